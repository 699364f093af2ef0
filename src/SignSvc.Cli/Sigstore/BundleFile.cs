using System.Text.Json;
using SignSvc.Signing.Artifacts;

namespace SignSvc.Cli.Sigstore;

/// <summary>Bundles that are verified with a key; certificates and transparency logs are for other verifiers.</summary>
internal static class BundleFile
{
    private const int MaxBytes = 32 * 1024 * 1024;
    private const string MediaType = "application/vnd.dev.sigstore.bundle";

    public static async Task<SigstoreBundle> ReadAsync(string path, CancellationToken cancellationToken)
    {
        var bytes = await InputFile.ReadAsync(path, MaxBytes, cancellationToken);
        try
        {
            var bundle = JsonSerializer.Deserialize(bytes, SigstoreJson.Default.SigstoreBundle);
            if (bundle?.MediaType?.StartsWith(MediaType, StringComparison.Ordinal) == true)
                return bundle;
        }
        catch (JsonException e)
        {
            throw NoBundle(path, ReasonOf(e), e);
        }

        throw NoBundle(path, $"its mediaType does not begin with {MediaType}");
    }

    /// <summary>The serializer's own words name the types behind it; only of text that is no JSON does it wrap the reader's.</summary>
    private static string ReasonOf(JsonException e) => e switch
    {
        { InnerException: JsonException, LineNumber: { } line, BytePositionInLine: { } position } => $"it is not JSON from line {line + 1}, position {position + 1} on",
        { Path: null or "$" } => "it lacks a member that a bundle of a signature by a key has, or is no object",
        _ => $"what it has at {e.Path} does not belong there, or lacks a member",
    };

    private static CommandException NoBundle(string path, string reason, JsonException? inner = null) =>
        CommandException.Usage($"{InputFile.NameOf(path)} is no Sigstore bundle: {reason}.", inner: inner);
}
