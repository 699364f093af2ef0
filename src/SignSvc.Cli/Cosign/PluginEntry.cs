using System.Text.Json;
using SignSvc.Signing;

namespace SignSvc.Cli.Cosign;

/// <summary>
/// <c>sigstore-kms-signsvc</c>: signsvc as cosign starts it for <c>--key signsvc://NAME</c>, several times a signature.
/// The first argument is the protocol's version, the second a JSON document; one JSON document goes out. Nothing of
/// the command line is loaded for it: starting is most of what it costs.
/// </summary>
internal static class PluginEntry
{
    private const string ProtocolVersion = "v1";

    /// <summary>No command of signsvc is called so; the name of the program does not matter.</summary>
    public static bool IsCall(string[] args) =>
        args is [ProtocolVersion, var call] && call.AsSpan().TrimStart().StartsWith('{');

    public static async Task<int> RunAsync(string[] args, TimeProvider time)
    {
        var answer = await AnswerAsync(args[1], time);
        await using var output = Console.OpenStandardOutput();
        await JsonSerializer.SerializeAsync(output, answer, PluginJson.Default.PluginAnswer);
        return answer.ErrorMessage is null ? ExitCode.Ok : ExitCode.Refused;
    }

    /// <summary>cosign shows <see cref="PluginAnswer.ErrorMessage"/> to its user and looks at nothing else of a failure.</summary>
    private static async Task<PluginAnswer> AnswerAsync(string json, TimeProvider time)
    {
        try
        {
            var call = JsonSerializer.Deserialize(json, PluginJson.Default.PluginCall);
            if (call?.InitOptions is not { ProtocolVersion: ProtocolVersion })
                return new PluginAnswer { ErrorMessage = $"signsvc speaks {ProtocolVersion} of the plugin protocol alone." };
            using var methods = PluginMethods.For(call, time);
            return await methods.AnswerAsync();
        }
        catch (CommandException e)
        {
            return new PluginAnswer { ErrorMessage = e.Next is null ? e.Message : $"{e.Message} {e.Next}" };
        }
        catch (Exception e) when (e is SigningException or IOException or UnauthorizedAccessException)
        {
            return new PluginAnswer { ErrorMessage = e.Message };
        }
        catch (JsonException e)
        {
            return new PluginAnswer { ErrorMessage = $"The call is not one of the plugin protocol {ProtocolVersion}: {e.Message}" };
        }
        catch (OperationCanceledException)
        {
            return new PluginAnswer { ErrorMessage = "The service did not answer before cosign's deadline." };
        }
    }
}
