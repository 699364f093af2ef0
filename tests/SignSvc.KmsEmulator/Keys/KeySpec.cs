using System.Security.Cryptography;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Keys;

internal enum KeyKind
{
    Symmetric,
    Rsa,
    Ecc,
}

/// <summary>A key spec that the emulator serves, with the algorithms that AWS KMS lists for it.</summary>
internal sealed record KeySpec(
    string Name,
    KeyKind Kind,
    int Bits,
    ECCurve Curve,
    string[] SigningAlgorithms,
    string[] EncryptionAlgorithms)
{
    public const string SymmetricDefault = "SYMMETRIC_DEFAULT";
    public const string SignVerify = "SIGN_VERIFY";
    public const string EncryptDecrypt = "ENCRYPT_DECRYPT";

    /// <summary>As the service lists them in its error message (recorded).</summary>
    public static readonly string[] WireNames =
    [
        "RSA_2048",
        "ECC_NIST_P384",
        "ECC_NIST_P256",
        "ECC_NIST_P521",
        "HMAC_384",
        "RSA_3072",
        "ECC_SECG_P256K1",
        "RSA_4096",
        SymmetricDefault,
        "HMAC_256",
        "HMAC_224",
        "HMAC_512",
    ];

    public static readonly string[] WireUsages = [EncryptDecrypt, SignVerify, "GENERATE_VERIFY_MAC"];

    public static readonly string[] AllSigningAlgorithms =
    [
        "RSASSA_PSS_SHA_256",
        "RSASSA_PSS_SHA_384",
        "RSASSA_PSS_SHA_512",
        "RSASSA_PKCS1_V1_5_SHA_256",
        "RSASSA_PKCS1_V1_5_SHA_384",
        "RSASSA_PKCS1_V1_5_SHA_512",
        "ECDSA_SHA_256",
        "ECDSA_SHA_384",
        "ECDSA_SHA_512",
    ];

    public static readonly string[] AllEncryptionAlgorithms =
    [
        SymmetricDefault,
        "RSAES_OAEP_SHA_1",
        "RSAES_OAEP_SHA_256",
    ];

    /// <summary>Key pairs, which are also what GenerateDataKeyPair makes.</summary>
    public static readonly IReadOnlyList<KeySpec> Pairs =
    [
        Rsa(2048),
        Rsa(3072),
        Rsa(4096),
        Ecc("ECC_NIST_P256", 256, ECCurve.NamedCurves.nistP256, "ECDSA_SHA_256"),
        Ecc("ECC_NIST_P384", 384, ECCurve.NamedCurves.nistP384, "ECDSA_SHA_384"),
        Ecc("ECC_NIST_P521", 521, ECCurve.NamedCurves.nistP521, "ECDSA_SHA_512"),
        Ecc("ECC_SECG_P256K1", 256, ECCurve.CreateFromValue("1.3.132.0.10"), "ECDSA_SHA_256"),
    ];

    public static readonly KeySpec Symmetric = new(
        SymmetricDefault,
        KeyKind.Symmetric,
        Bits: 256,
        Curve: default,
        [],
        [SymmetricDefault]);

    /// <exception cref="KmsException">UnsupportedOperationException: the service has it, the emulator does not.</exception>
    public static KeySpec Served(string name) =>
        Pairs.Append(Symmetric).FirstOrDefault(s => string.Equals(s.Name, name, StringComparison.Ordinal))
        ?? throw KmsException.Unsupported($"KeySpec {name} is not served by this emulator.");

    public bool Allows(string usage) =>
        Kind switch
        {
            KeyKind.Symmetric => usage is EncryptDecrypt,
            KeyKind.Ecc => usage is SignVerify,
            _ => usage is SignVerify or EncryptDecrypt,
        };

    private static KeySpec Rsa(int bits) =>
        new($"RSA_{bits}", KeyKind.Rsa, bits, Curve: default, AllSigningAlgorithms[..6], AllEncryptionAlgorithms[1..]);

    private static KeySpec Ecc(string name, int bits, ECCurve curve, string algorithm) =>
        new(name, KeyKind.Ecc, bits, curve, [algorithm], []);
}
