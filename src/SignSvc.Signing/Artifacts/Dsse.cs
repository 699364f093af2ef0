using System.Buffers.Text;
using System.Text;

namespace SignSvc.Signing.Artifacts;

/// <summary>Dead Simple Signing Envelope, protocol 1.0.2: what is signed is a payload together with its type.</summary>
public static class Dsse
{
    public const string InTotoType = "application/vnd.in-toto+json";

    /// <summary>Longer types belong to nothing that is signed here.</summary>
    private const int MaxTypeLength = 256;

    private static ReadOnlySpan<byte> Version => "DSSEv1 "u8;

    /// <summary>The pre-authentication encoding: the bytes whose digest is signed.</summary>
    public static byte[] Encode(string payloadType, ReadOnlySpan<byte> payload)
    {
        var head = Encoding.UTF8.GetBytes($"DSSEv1 {Encoding.UTF8.GetByteCount(payloadType)} {payloadType} {payload.Length} ");
        var encoded = new byte[head.Length + payload.Length];
        head.CopyTo(encoded, 0);
        payload.CopyTo(encoded.AsSpan(head.Length));
        return encoded;
    }

    public static bool IsEncoded(ReadOnlySpan<byte> message) => message.StartsWith(Version);

    /// <summary>Takes an encoding apart.</summary>
    /// <returns>False where <paramref name="message"/> is none, to the last byte.</returns>
    public static bool TryDecode(ReadOnlySpan<byte> message, out string payloadType, out ReadOnlySpan<byte> payload)
    {
        payloadType = "";
        payload = default;
        if (!IsEncoded(message))
            return false;
        var rest = message[Version.Length..];
        if (!TryReadLength(ref rest, out var typeLength) || typeLength > MaxTypeLength || rest.Length <= typeLength || rest[typeLength] != ' ')
            return false;
        payloadType = Encoding.UTF8.GetString(rest[..typeLength]);
        rest = rest[(typeLength + 1)..];
        if (!TryReadLength(ref rest, out var length) || rest.Length != length)
            return false;
        payload = rest;
        return true;
    }

    private static bool TryReadLength(ref ReadOnlySpan<byte> text, out int length)
    {
        if (!Utf8Parser.TryParse(text, out length, out var read) || length < 0 || text.Length <= read || text[read] != ' ')
            return false;
        text = text[(read + 1)..];
        return true;
    }
}
