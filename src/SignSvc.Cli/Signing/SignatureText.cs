using System.Buffers.Text;
using System.Text;

namespace SignSvc.Cli.Signing;

/// <summary>Signatures as files hold them: base64 in one line, or the bytes themselves.</summary>
internal static class SignatureText
{
    /// <summary>Far over the longest: 512 bytes of RSA-4096, or what base64 makes of them.</summary>
    private const int MaxFileBytes = 16 * 1024;

    public static byte[] Write(byte[] signature, bool isRaw) =>
        isRaw ? signature : Encoding.ASCII.GetBytes(Convert.ToBase64String(signature) + "\n");

    /// <param name="format">Null: base64 if every byte of the file belongs to it. The chance that a raw signature looks so is below 2⁻⁹⁰.</param>
    public static async Task<byte[]> ReadAsync(string path, string? format, CancellationToken cancellationToken)
    {
        var content = await InputFile.ReadAsync(path, MaxFileBytes, cancellationToken);
        if (string.Equals(format, "raw", StringComparison.Ordinal))
            return content;
        if (Base64.IsValid(content))
            return Convert.FromBase64String(Encoding.ASCII.GetString(content));
        return format is null ? content : throw CommandException.Usage($"{path} is not base64.");
    }
}
