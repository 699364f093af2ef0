using System.Buffers.Binary;
using System.Security.Cryptography;

namespace SignSvc.Signing.Storage;

/// <summary>
/// The secret of all backups of an installation, derived from its root key. Each file has a key of its own, by
/// HKDF-SHA256 (RFC 5869) with the file's random salt, so that nonces may simply count.
/// </summary>
/// <param name="master">32 bytes; kept.</param>
public sealed class BackupKey(byte[] master)
{
    internal const int SaltLength = 32;
    internal const int CheckLength = 16;
    private const int KeyLength = 32;

    internal BackupCipher For(BackupHeader header)
    {
        var key = Derive(header.Salt.Span, "signsvc/backup/chunks/v1"u8, KeyLength);
        try
        {
            return new BackupCipher(key, header);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>Tells a wrong root key from a damaged file, and nothing else.</summary>
    internal byte[] CheckValue(ReadOnlySpan<byte> salt) => Derive(salt, "signsvc/backup/check/v1"u8, CheckLength);

    private byte[] Derive(ReadOnlySpan<byte> salt, ReadOnlySpan<byte> use, int length)
    {
        var key = new byte[length];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, master, key, salt, use);
        return key;
    }
}

/// <summary>The clear begin of a file: what it is, its format's version, its salt, and the check value of its key.</summary>
internal sealed record BackupHeader(ReadOnlyMemory<byte> Salt, ReadOnlyMemory<byte> Check)
{
    public const int Length = 8 + 2 + BackupKey.SaltLength + BackupKey.CheckLength;
    private const ushort Version = 1;

    private static ReadOnlySpan<byte> Magic => "SIGNSVCB"u8;

    public static BackupHeader New(BackupKey key)
    {
        var salt = RandomNumberGenerator.GetBytes(BackupKey.SaltLength);
        return new BackupHeader(salt, key.CheckValue(salt));
    }

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: no backup, another version, another root key.</exception>
    public static BackupHeader Parse(ReadOnlySpan<byte> bytes, BackupKey key)
    {
        if (bytes.Length != Length || !bytes.StartsWith(Magic))
            throw new SigningException(SigningFault.StoreFailed, "This is not a backup of SignSvc, or its first bytes are damaged.");
        var version = BinaryPrimitives.ReadUInt16BigEndian(bytes[Magic.Length..]);
        if (version != Version)
            throw new SigningException(SigningFault.StoreFailed, $"The backup has format version {version}; this version of SignSvc reads version {Version}.");
        var salt = bytes.Slice(Magic.Length + 2, BackupKey.SaltLength).ToArray();
        var check = bytes[^BackupKey.CheckLength..].ToArray();
        return CryptographicOperations.FixedTimeEquals(check, key.CheckValue(salt))
            ? new BackupHeader(salt, check)
            : throw new SigningException(
                SigningFault.StoreFailed,
                "The backup was made under another root key than the one given here (or its first bytes are damaged). Put the root key in place that the service had when the backup was made.");
    }

    public byte[] ToBytes()
    {
        var bytes = new byte[Length];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(Magic.Length), Version);
        Salt.Span.CopyTo(bytes.AsSpan(Magic.Length + 2));
        Check.Span.CopyTo(bytes.AsSpan(Length - BackupKey.CheckLength));
        return bytes;
    }
}

/// <summary>
/// AES-256-GCM over chunks in their order. A chunk is bound to the header, to its number, to its length and to whether it
/// is the last: none can be changed, moved, left out, taken from another file or cut off unnoticed.
/// </summary>
internal sealed class BackupCipher : IDisposable
{
    /// <summary>Plain bytes of a chunk; only the last may have fewer.</summary>
    public const int ChunkLength = 64 * 1024;

    /// <summary>Length and last-mark (4 bytes), tag (16), before the encrypted bytes.</summary>
    public const int PrefixLength = 4 + TagLength;
    private const int TagLength = 16;
    private const uint LastMark = 0x8000_0000;

    private readonly AesGcm _aes;
    private readonly byte[] _associated;
    private long _number;

    public BackupCipher(ReadOnlySpan<byte> key, BackupHeader header)
    {
        _aes = new AesGcm(key, TagLength);
        _associated = [.. header.ToBytes(), 0, 0, 0, 0];
    }

    /// <param name="chunk">Gets prefix and encrypted bytes.</param>
    public void Encrypt(ReadOnlySpan<byte> plain, bool isLast, Span<byte> chunk)
    {
        BinaryPrimitives.WriteUInt32BigEndian(chunk, (uint)plain.Length | (isLast ? LastMark : 0));
        _aes.Encrypt(
            NextNonce(), plain, chunk.Slice(PrefixLength, plain.Length), chunk.Slice(4, TagLength), Associated(chunk[..4]));
    }

    /// <returns>The length of what follows the prefix, and whether it is the last.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>.</exception>
    public static (int Length, bool IsLast) ReadPrefix(ReadOnlySpan<byte> prefix)
    {
        var word = BinaryPrimitives.ReadUInt32BigEndian(prefix);
        var length = word & ~LastMark;
        var isLast = (word & LastMark) != 0;
        return length <= ChunkLength && (isLast || length == ChunkLength) ? ((int)length, isLast) : throw Damaged(null);
    }

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>.</exception>
    public void Decrypt(ReadOnlySpan<byte> prefix, ReadOnlySpan<byte> encrypted, Span<byte> plain)
    {
        try
        {
            _aes.Decrypt(NextNonce(), encrypted, prefix.Slice(4, TagLength), plain, Associated(prefix[..4]));
        }
        catch (AuthenticationTagMismatchException e)
        {
            throw Damaged(e);
        }
    }

    public static SigningException Damaged(Exception? inner) =>
        new(SigningFault.StoreFailed, "The backup is damaged: a part of it was changed, moved or taken out.", inner);

    public void Dispose() => _aes.Dispose();

    private byte[] NextNonce()
    {
        var nonce = new byte[12];
        BinaryPrimitives.WriteInt64BigEndian(nonce.AsSpan(4), _number++);
        return nonce;
    }

    private ReadOnlySpan<byte> Associated(ReadOnlySpan<byte> word)
    {
        word.CopyTo(_associated.AsSpan(BackupHeader.Length));
        return _associated;
    }
}
