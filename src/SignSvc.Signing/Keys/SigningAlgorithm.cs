using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json.Serialization;

namespace SignSvc.Signing.Keys;

/// <summary>A key's mathematics; a backend's budget is kept for each family.</summary>
public enum KeyFamily
{
    Rsa,
    Ecc,
}

/// <summary>
/// A signature algorithm under its JWA name (RFC 7518 section 3.1) and its AWS KMS name. There are nine, and only
/// these nine instances exist, so that reference equality is equality.
/// </summary>
[JsonConverter(typeof(SigningAlgorithmConverter))]
public sealed class SigningAlgorithm
{
    public static readonly SigningAlgorithm RS256 = Rsa("RS256", "RSASSA_PKCS1_V1_5_SHA_256", HashAlgorithmName.SHA256, 32, RSASignaturePadding.Pkcs1);
    public static readonly SigningAlgorithm RS384 = Rsa("RS384", "RSASSA_PKCS1_V1_5_SHA_384", HashAlgorithmName.SHA384, 48, RSASignaturePadding.Pkcs1);
    public static readonly SigningAlgorithm RS512 = Rsa("RS512", "RSASSA_PKCS1_V1_5_SHA_512", HashAlgorithmName.SHA512, 64, RSASignaturePadding.Pkcs1);
    public static readonly SigningAlgorithm PS256 = Rsa("PS256", "RSASSA_PSS_SHA_256", HashAlgorithmName.SHA256, 32, RSASignaturePadding.Pss);
    public static readonly SigningAlgorithm PS384 = Rsa("PS384", "RSASSA_PSS_SHA_384", HashAlgorithmName.SHA384, 48, RSASignaturePadding.Pss);
    public static readonly SigningAlgorithm PS512 = Rsa("PS512", "RSASSA_PSS_SHA_512", HashAlgorithmName.SHA512, 64, RSASignaturePadding.Pss);
    public static readonly SigningAlgorithm ES256 = Ecc("ES256", "ECDSA_SHA_256", HashAlgorithmName.SHA256, 32);
    public static readonly SigningAlgorithm ES384 = Ecc("ES384", "ECDSA_SHA_384", HashAlgorithmName.SHA384, 48);
    public static readonly SigningAlgorithm ES512 = Ecc("ES512", "ECDSA_SHA_512", HashAlgorithmName.SHA512, 64);

    public static readonly IReadOnlyList<SigningAlgorithm> All =
        [RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512];

    private SigningAlgorithm(
        string name, string kmsName, KeyFamily family, HashAlgorithmName hash, int digestLength, RSASignaturePadding? padding)
    {
        Name = name;
        KmsName = kmsName;
        Family = family;
        Hash = hash;
        DigestLength = digestLength;
        RsaPadding = padding;
    }

    /// <summary>JWA name: <c>ES256</c>.</summary>
    public string Name { get; }

    /// <summary>AWS KMS name: <c>ECDSA_SHA_256</c>.</summary>
    public string KmsName { get; }

    public KeyFamily Family { get; }

    public HashAlgorithmName Hash { get; }

    /// <summary>Length of the digest in bytes; no other length is ever signed.</summary>
    public int DigestLength { get; }

    /// <summary>PKCS#1 v1.5 or PSS with a salt as long as the hash (RFC 7518 section 3.5); null for ECDSA.</summary>
    public RSASignaturePadding? RsaPadding { get; }

    /// <summary>Takes a JWA or an AWS KMS name, exactly as written there.</summary>
    public static bool TryParse(string? name, [NotNullWhen(true)] out SigningAlgorithm? algorithm)
    {
        algorithm = null;
        foreach (var candidate in All)
        {
            if (string.Equals(candidate.Name, name, StringComparison.Ordinal)
                || string.Equals(candidate.KmsName, name, StringComparison.Ordinal))
            {
                algorithm = candidate;
            }
        }

        return algorithm is not null;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.UnknownAlgorithm"/>.</exception>
    public static SigningAlgorithm Parse(string? name) =>
        TryParse(name, out var algorithm)
            ? algorithm
            : throw new SigningException(
                SigningFault.UnknownAlgorithm,
                $"Unknown algorithm; known are {string.Join(", ", All.Select(a => a.Name))} and their AWS KMS names.");

    public byte[] HashData(ReadOnlySpan<byte> message) => CryptographicOperations.HashData(Hash, message);

    public override string ToString() => Name;

    private static SigningAlgorithm Rsa(
        string name, string kmsName, HashAlgorithmName hash, int digestLength, RSASignaturePadding padding) =>
        new(name, kmsName, KeyFamily.Rsa, hash, digestLength, padding);

    private static SigningAlgorithm Ecc(string name, string kmsName, HashAlgorithmName hash, int digestLength) =>
        new(name, kmsName, KeyFamily.Ecc, hash, digestLength, padding: null);
}
