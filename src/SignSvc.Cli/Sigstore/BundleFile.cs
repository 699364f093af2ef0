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
            if (bundle?.MediaType.StartsWith(MediaType, StringComparison.Ordinal) == true)
                return bundle;
        }
        catch (JsonException e)
        {
            throw NoBundle(path, e);
        }

        throw NoBundle(path, inner: null);
    }

    private static CommandException NoBundle(string path, JsonException? inner) => CommandException.Usage(
        $"{InputFile.NameOf(path)} is no Sigstore bundle of a signature by a key.", inner?.Message, inner);
}
