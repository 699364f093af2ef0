using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Signing;

/// <summary>A public key in PEM.</summary>
internal static class PublicKeyFile
{
    private const int MaxBytes = 64 * 1024;

    public static async Task<PublicKey> ReadAsync(string path, CancellationToken cancellationToken) =>
        Parse(path, await InputFile.ReadTextAsync(path, MaxBytes, cancellationToken));

    /// <param name="source">For the message: a file, or a key of the service.</param>
    public static PublicKey Parse(string source, string text)
    {
        if (!PemEncoding.TryFind(text, out var fields) || text[fields.Label] is not "PUBLIC KEY")
            throw CommandException.Usage($"{source} is no public key in PEM (-----BEGIN PUBLIC KEY-----).", "'signsvc keys public-key' writes one.");
        return PublicKey.FromSpki(Convert.FromBase64String(text[fields.Base64Data]));
    }
}
