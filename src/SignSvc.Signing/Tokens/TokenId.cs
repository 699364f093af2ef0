using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// The claim <c>jti</c>: 128 random bits and a mark of the profile, in base64url. Profiles may share key, issuer, audiences and
/// type, so that nothing else in a token tells which one it was issued by; the signature is over this, every node and every
/// restart reads it alike, and nothing has to be kept for it.
/// </summary>
public static class TokenId
{
    private const int RandomBytes = 16;
    private const int Bytes = RandomBytes + sizeof(ulong);

    /// <summary>Unguessable and, for all practice, unique.</summary>
    public static string New(string profile)
    {
        Span<byte> id = stackalloc byte[Bytes];
        RandomNumberGenerator.Fill(id[..RandomBytes]);
        BinaryPrimitives.WriteUInt64BigEndian(id[RandomBytes..], MarkOf(profile));
        return Base64Url.EncodeToString(id);
    }

    /// <param name="id">Of a token whose signature is good; anything else says what it likes.</param>
    public static bool IsOf(string profile, string id)
    {
        Span<byte> bytes = stackalloc byte[Bytes];
        return Base64Url.DecodeFromChars(id, bytes, out _, out var read) == OperationStatus.Done && read == Bytes
            && BinaryPrimitives.ReadUInt64BigEndian(bytes[RandomBytes..]) == MarkOf(profile);
    }

    /// <summary>Of its name, which is not shown to whoever reads a token.</summary>
    private static ulong MarkOf(string profile)
    {
        Span<byte> name = stackalloc byte[Encoding.UTF8.GetMaxByteCount(Keys.KeyName.MaxLength)];
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(name[..Encoding.UTF8.GetBytes(profile, name)], hash);
        return BinaryPrimitives.ReadUInt64BigEndian(hash);
    }
}
