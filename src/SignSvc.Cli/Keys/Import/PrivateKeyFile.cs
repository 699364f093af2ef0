using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Cli.Keys.Import;

/// <summary>A private key as its owner keeps it, brought into the one form that is wrapped.</summary>
internal static class PrivateKeyFile
{
    /// <param name="content">PEM (PKCS#8, PKCS#1 or SEC 1), or DER PKCS#8.</param>
    /// <returns>DER PKCS#8. The caller zeroes it.</returns>
    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>: it is none, or encrypted.</exception>
    public static byte[] ToPkcs8(byte[] content, string name)
    {
        var text = Encoding.ASCII.GetChars(content);
        try
        {
            if (!PemEncoding.TryFind(text, out var fields))
                return content.Length > 0 && content[0] == 0x30 ? [.. content] : throw NoPrivateKey(name);
            return text.AsSpan()[fields.Label] switch
            {
                "PRIVATE KEY" => Convert.FromBase64CharArray(text, fields.Base64Data.Start.Value, fields.Base64Data.End.Value - fields.Base64Data.Start.Value),
                "RSA PRIVATE KEY" => Export(RSA.Create(), text),
                "EC PRIVATE KEY" => Export(ECDsa.Create(), text),
                "ENCRYPTED PRIVATE KEY" => throw CommandException.Usage(
                    $"{name} is encrypted.", $"Decrypt it in a pipe: openssl pkcs8 -in {name} | signsvc keys import KEY --key-file -"),
                _ => throw NoPrivateKey(name),
            };
        }
        catch (CryptographicException e)
        {
            throw CommandException.Usage($"{name} cannot be read as a private key: {e.Message}", inner: e);
        }
        finally
        {
            Array.Clear(text);
        }
    }

    /// <exception cref="CommandException"><see cref="ExitCode.Usage"/>.</exception>
    public static RSA ReadWrappingKey(string pem)
    {
        var key = RSA.Create();
        try
        {
            key.ImportFromPem(pem);
            return key;
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            key.Dispose();
            throw CommandException.Usage("The parameters hold no wrapping key.", inner: e);
        }
    }

    private static byte[] Export(AsymmetricAlgorithm key, ReadOnlySpan<char> pem)
    {
        using (key)
        {
            key.ImportFromPem(pem);
            return key.ExportPkcs8PrivateKey();
        }
    }

    private static CommandException NoPrivateKey(string name) => CommandException.Usage(
        $"{name} holds no private key.", "It takes PEM (PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE KEY) or DER PKCS#8.");
}
