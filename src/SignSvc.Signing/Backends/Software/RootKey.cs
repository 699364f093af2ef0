using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Signing.Backends.Software;

/// <summary>
/// The 256-bit secret of the embedded default. From it come, by HKDF-SHA256 (RFC 5869), one key for each use: wrapping
/// private keys (AES-256-GCM), sealing documents, sealing the audit. The root itself encrypts nothing.
/// </summary>
public sealed class RootKey : IWrapsKeys, IDisposable
{
    public const int Length = 32;
    private const byte Format = 1;
    private const int NonceLength = 12;
    private const int TagLength = 16;

    private readonly byte[] _root;

    /// <summary>The key, not an <see cref="AesGcm"/>: one instance of that must not be used by two threads at once.</summary>
    private readonly byte[] _wrapping;

    /// <param name="root">32 bytes; copied. The caller zeroes its own.</param>
    public RootKey(ReadOnlySpan<byte> root)
    {
        if (root.Length != Length)
            throw new ArgumentException($"A root key has {Length} bytes.", nameof(root));
        _root = root.ToArray();
        _wrapping = Derive("signsvc/wrap/v1");
    }

    public static RootKey Generate()
    {
        var root = RandomNumberGenerator.GetBytes(Length);
        try
        {
            return new RootKey(root);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(root);
        }
    }

    /// <summary>A key for one use. The caller zeroes it.</summary>
    public byte[] Derive(string use) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, _root, Length, salt: [], info: Encoding.UTF8.GetBytes(use));

    /// <summary>Layout: format (1 byte), nonce (12), tag (16), ciphertext. Nonces are random: below 2³² wrappings the chance of a repeat is under 2⁻³² (NIST SP 800-38D section 8.3).</summary>
    public Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken)
    {
        var wrapped = new byte[1 + NonceLength + TagLength + secret.Length];
        wrapped[0] = Format;
        var nonce = wrapped.AsSpan(1, NonceLength);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(_wrapping, TagLength);
        cipher.Encrypt(
            nonce, secret.Span, wrapped.AsSpan(1 + NonceLength + TagLength), wrapped.AsSpan(1 + NonceLength, TagLength),
            context.ToAssociatedData());
        return Task.FromResult(wrapped);
    }

    public Task<byte[]> UnwrapAsync(
        ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken)
    {
        var bytes = wrapped.Span;
        if (bytes.Length < 1 + NonceLength + TagLength || bytes[0] != Format)
            throw Refused(null);
        var secret = new byte[bytes.Length - 1 - NonceLength - TagLength];
        try
        {
            using var cipher = new AesGcm(_wrapping, TagLength);
            cipher.Decrypt(
                bytes.Slice(1, NonceLength), bytes[(1 + NonceLength + TagLength)..], bytes.Slice(1 + NonceLength, TagLength),
                secret, context.ToAssociatedData());
            return Task.FromResult(secret);
        }
        catch (AuthenticationTagMismatchException e)
        {
            throw Refused(e);
        }
    }

    /// <summary>Writes the root for the file that keeps it; nothing else may ask for it.</summary>
    public void CopyTo(Span<byte> destination) => _root.CopyTo(destination);

    public void Dispose()
    {
        CryptographicOperations.ZeroMemory(_root);
        CryptographicOperations.ZeroMemory(_wrapping);
    }

    private static SigningException Refused(Exception? inner) => new(
        SigningFault.BackendFailed,
        "A wrapped private key does not open: it was damaged, moved to another key, or wrapped under another root key.",
        inner);
}
