using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Pkcs11;

/// <summary>Which mechanism makes which algorithm's signature over a digest that was computed here.</summary>
internal static unsafe class SigningMechanism
{
    private const int DigestInfoHeaderLength = 19;
    private const int LongestDigest = 64;

    public static CK_MECHANISM_TYPE For(SigningAlgorithm algorithm) =>
        algorithm.Family == KeyFamily.Ecc ? CKM_ECDSA
        : algorithm.RsaPadding == RSASignaturePadding.Pss ? CKM_RSA_PKCS_PSS
        : CKM_RSA_PKCS;

    /// <summary>Fills <paramref name="signature"/> exactly. PKCS#11 has ECDSA as r‖s already (v2.40 mechanisms, section 2.3.1).</summary>
    public static void Sign(
        CryptokiSession session, nuint key, SigningAlgorithm algorithm, ReadOnlySpan<byte> digest, Span<byte> signature)
    {
        var mechanism = new CK_MECHANISM { mechanism = For(algorithm) };
        int written;
        if (mechanism.mechanism == CKM_RSA_PKCS)
        {
            // The mechanism pads what it is given; the DigestInfo around the digest is the caller's (RFC 8017 section 9.2).
            Span<byte> digestInfo = stackalloc byte[DigestInfoHeaderLength + LongestDigest];
            var header = DigestInfoHeader(algorithm);
            header.CopyTo(digestInfo);
            digest.CopyTo(digestInfo[header.Length..]);
            written = session.Sign(&mechanism, key, digestInfo[..(header.Length + digest.Length)], signature);
        }
        else if (mechanism.mechanism == CKM_RSA_PKCS_PSS)
        {
            var pss = Pss(algorithm);
            mechanism.pParameter = &pss;
            mechanism.ulParameterLen = (nuint)sizeof(CK_RSA_PKCS_PSS_PARAMS);
            written = session.Sign(&mechanism, key, digest, signature);
        }
        else
        {
            written = session.Sign(&mechanism, key, digest, signature);
        }

        if (written != signature.Length)
        {
            throw new SigningException(
                SigningFault.BackendFailed, $"C_Sign wrote {written} bytes where {algorithm} has {signature.Length}.");
        }
    }

    /// <summary>
    /// Whether the object signs what the public key verifies, by any mechanism of the spec: a key may be made for one of
    /// them alone (CKA_ALLOWED_MECHANISMS).
    /// </summary>
    /// <exception cref="CryptokiException">It signs by none of them, for a reason that says nothing of what it is.</exception>
    public static bool Proves(CryptokiSession session, nuint key, PublicKey publicKey)
    {
        CryptokiException? refused = null;
        foreach (var algorithm in publicKey.Spec.Algorithms.DistinctBy(For))
        {
            try
            {
                return Proves(session, key, publicKey, algorithm);
            }
            catch (CryptokiException e) when (e.Rv is CKR_MECHANISM_INVALID or CKR_KEY_FUNCTION_NOT_PERMITTED or CKR_ACTION_PROHIBITED)
            {
                refused = e;
            }
        }

        throw refused!;
    }

    /// <summary>The same, by one algorithm and tried on a random digest.</summary>
    public static bool Proves(CryptokiSession session, nuint key, PublicKey publicKey, SigningAlgorithm algorithm)
    {
        var signature = new byte[publicKey.Spec.SignatureLength];
        var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
        try
        {
            Sign(session, key, algorithm, digest, signature);
        }
        catch (SigningException)
        {
            // Another length: a key of another spec.
            return false;
        }

        return publicKey.Verify(algorithm, digest, signature);
    }

    private static CK_RSA_PKCS_PSS_PARAMS Pss(SigningAlgorithm algorithm)
    {
        var (hash, mgf) = algorithm.DigestLength switch
        {
            32 => (CKM_SHA256, CKG_MGF1_SHA256),
            48 => (CKM_SHA384, CKG_MGF1_SHA384),
            _ => (CKM_SHA512, CKG_MGF1_SHA512),
        };
        return new CK_RSA_PKCS_PSS_PARAMS { hashAlg = hash, mgf = mgf, sLen = (nuint)algorithm.DigestLength };
    }

    /// <summary>RFC 8017 section 9.2, note 1: everything before the digest.</summary>
    private static ReadOnlySpan<byte> DigestInfoHeader(SigningAlgorithm algorithm) => algorithm.DigestLength switch
    {
        32 => [0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20],
        48 => [0x30, 0x41, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30],
        _ => [0x30, 0x51, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40],
    };
}
