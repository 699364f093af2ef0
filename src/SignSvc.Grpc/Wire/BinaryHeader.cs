using System.Diagnostics.CodeAnalysis;

namespace SignSvc.Grpc.Wire;

/// <summary>Bytes in a header: base64, sent without padding, taken with or without it (PROTOCOL-HTTP2.md, Binary-Header).</summary>
internal static class BinaryHeader
{
    public static string Encode(ReadOnlySpan<byte> value) => Convert.ToBase64String(value).TrimEnd('=');

    public static bool TryDecode(ReadOnlySpan<char> value, [NotNullWhen(true)] out byte[]? bytes)
    {
        bytes = null;
        var digits = value.Trim().TrimEnd('=');
        var padding = (4 - (digits.Length % 4)) % 4;
        if (padding == 3)
            return false;

        var padded = new char[digits.Length + padding];
        digits.CopyTo(padded);
        padded.AsSpan(digits.Length).Fill('=');
        var decoded = new byte[padded.Length / 4 * 3];
        if (!Convert.TryFromBase64Chars(padded, decoded, out var written))
            return false;

        bytes = decoded.AsSpan(0, written).ToArray();
        return true;
    }
}
