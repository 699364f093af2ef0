using System.Security.Cryptography;
using SignSvc.Signing.Access.Approvals;

namespace SignSvc.Signing.Keys.Import;

/// <summary>How material is wrapped for its way here, under AWS KMS's names.</summary>
public enum WrappingAlgorithm
{
    /// <summary>RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 8017 section 7.1). Up to 446 bytes: EC keys fit, RSA keys do not.</summary>
    RsaOaepSha256,

    /// <summary>An AES-256 key under the above, then the material under that key (RFC 5649): the layout of CKM_RSA_AES_KEY_WRAP.</summary>
    RsaAesKeyWrapSha256,
}

/// <summary>PKCS#8 as it arrives. Only <see cref="Parse"/> makes one, so that an instance is of sensible size.</summary>
public sealed class WrappedMaterial
{
    public const string RsaOaepSha256 = "RSA_OAEP_SHA_256";
    public const string RsaAesKeyWrapSha256 = "RSA_AES_KEY_WRAP_SHA_256";

    /// <summary>Modulus of the wrapping key, in bits and in bytes.</summary>
    public const int WrappingKeyBits = 4096;
    private const int BlockLength = WrappingKeyBits / 8;

    private const int AesKeyLength = 32;

    /// <summary>The PKCS#8 of an RSA-4096 key has about 2,400 bytes; key wrap adds up to 16.</summary>
    private const int MaxLength = BlockLength + 4096;

    private readonly byte[] _wrapped;

    private WrappedMaterial(WrappingAlgorithm algorithm, byte[] wrapped)
    {
        Algorithm = algorithm;
        _wrapped = wrapped;
    }

    public static IReadOnlyList<string> Algorithms => [RsaOaepSha256, RsaAesKeyWrapSha256];

    public WrappingAlgorithm Algorithm { get; }

    /// <summary>SHA-256 of what arrived, to recognise it by.</summary>
    public string Fingerprint() => ApprovalSubject.Fingerprint(_wrapped);

    /// <param name="wrappedKey">Standard base64.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.UnknownAlgorithm"/>.</exception>
    public static WrappedMaterial Parse(string algorithm, string wrappedKey)
    {
        var known = algorithm switch
        {
            RsaOaepSha256 => WrappingAlgorithm.RsaOaepSha256,
            RsaAesKeyWrapSha256 => WrappingAlgorithm.RsaAesKeyWrapSha256,
            _ => throw new SigningException(SigningFault.UnknownAlgorithm, $"The algorithm is one of {string.Join(", ", Algorithms)}."),
        };
        var bytes = new byte[MaxLength];
        if (wrappedKey.Length > Base64Length(MaxLength) || !Convert.TryFromBase64String(wrappedKey, bytes, out var written))
            throw new SigningException(SigningFault.InvalidRequest, $"wrappedKey is base64 of at most {MaxLength} bytes.");
        var fits = known == WrappingAlgorithm.RsaOaepSha256
            ? written == BlockLength
            : written >= BlockLength + 16 && written % 8 == 0;
        return fits
            ? new WrappedMaterial(known, bytes[..written])
            : throw new SigningException(
                SigningFault.InvalidRequest,
                known == WrappingAlgorithm.RsaOaepSha256
                    ? $"{RsaOaepSha256} yields {BlockLength} bytes. RSA private keys do not fit into it: use {RsaAesKeyWrapSha256}."
                    : $"{RsaAesKeyWrapSha256} yields {BlockLength} bytes of wrapped AES key, then the key wrap of the material.");
    }

    /// <summary>The owner's side: wraps material for its way to the service.</summary>
    /// <param name="wrappingKey">Public half, of the import parameters.</param>
    /// <exception cref="CryptographicException">The material is too long for the algorithm.</exception>
    public static WrappedMaterial Wrap(WrappingAlgorithm algorithm, RSA wrappingKey, ReadOnlySpan<byte> pkcs8)
    {
        if (algorithm == WrappingAlgorithm.RsaOaepSha256)
            return new WrappedMaterial(algorithm, wrappingKey.Encrypt(pkcs8, RSAEncryptionPadding.OaepSHA256));
        Span<byte> key = stackalloc byte[AesKeyLength];
        RandomNumberGenerator.Fill(key);
        try
        {
            using var aes = Aes.Create();
            aes.SetKey(key);
            return new WrappedMaterial(algorithm, [.. wrappingKey.Encrypt(key, RSAEncryptionPadding.OaepSHA256), .. aes.EncryptKeyWrapPadded(pkcs8)]);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>As it travels.</summary>
    public ReadOnlyMemory<byte> Bytes => _wrapped;

    /// <returns>The PKCS#8. The caller zeroes it.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, in the same words wherever it failed, so that nothing is learnt of the padding.</exception>
    public byte[] Unwrap(RSA wrappingKey)
    {
        byte[]? aes = null;
        try
        {
            var opened = wrappingKey.Decrypt(_wrapped[..BlockLength], RSAEncryptionPadding.OaepSHA256);
            if (Algorithm == WrappingAlgorithm.RsaOaepSha256)
                return opened;
            aes = opened;
            return aes.Length == AesKeyLength ? UnwrapWithPadding(aes, _wrapped.AsSpan(BlockLength)) : throw Unopened(null);
        }
        catch (CryptographicException e)
        {
            throw Unopened(e);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(aes);
        }
    }

    /// <summary>RFC 5649 section 4.2: blocks of 8 bytes, two at the least. The platform checks the integrity value, the length and the padding without telling which failed.</summary>
    /// <exception cref="CryptographicException">It was not wrapped under this key.</exception>
    public static byte[] UnwrapWithPadding(ReadOnlySpan<byte> key, ReadOnlySpan<byte> wrapped)
    {
        if (wrapped.Length < 16 || wrapped.Length % 8 != 0)
            throw new CryptographicException("Key wrap with padding yields whole blocks of 8 bytes, two at the least.");
        using var aes = Aes.Create();
        aes.SetKey(key);
        return aes.DecryptKeyWrapPadded(wrapped);
    }

    private static int Base64Length(int bytes) => (bytes + 2) / 3 * 4;

    private static SigningException Unopened(Exception? inner) => new(
        SigningFault.InvalidRequest, "The material does not unwrap: it is damaged, or was wrapped under another public key or algorithm.", inner);
}
