using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Http;

/// <summary>What the service said, as it said it.</summary>
internal sealed class Answer(byte[] body, string? etag = null)
{
    /// <summary>Of the key that was changed; null: the service did not say.</summary>
    public string? Etag => etag;

    public ReadOnlyMemory<byte> Body => body;

    /// <exception cref="CommandException"><see cref="ExitCode.Unavailable"/>: this is not an answer of SignSvc.</exception>
    public T Read<T>(JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(body, type) ?? throw NotOurs(inner: null);
        }
        catch (JsonException e)
        {
            throw NotOurs(e);
        }
    }

    /// <summary>Prints it as it came, or through <paramref name="forPeople"/>.</summary>
    public async Task ShowAsync<T>(ParseResult parsed, JsonTypeInfo<T> type, Action<T> forPeople, CancellationToken cancellationToken)
        where T : class
    {
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(body, cancellationToken);
        else
            forPeople(Read(type));
    }

    private static CommandException NotOurs(JsonException? inner) => new(
        ExitCode.Unavailable, "The answer is not one of SignSvc.", "Is this the URL of the service? Name another with --url or SIGNSVC_URL.", inner);
}
