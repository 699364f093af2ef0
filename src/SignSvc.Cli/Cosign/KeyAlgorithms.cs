using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Cosign;

/// <summary>How cosign calls algorithms, and which of ours it means.</summary>
internal static class KeyAlgorithms
{
    public const string Default = "ecdsa-p256";

    private static readonly (string Name, KeySpec Spec, SigningAlgorithm Algorithm)[] Known =
    [
        (Default, KeySpec.P256, SigningAlgorithm.ES256),
        ("ecdsa-p384", KeySpec.P384, SigningAlgorithm.ES384),
        ("ecdsa-p521", KeySpec.P521, SigningAlgorithm.ES512),
        ("rsa-2048", KeySpec.Rsa2048, SigningAlgorithm.RS256),
        ("rsa-3072", KeySpec.Rsa3072, SigningAlgorithm.RS256),
        ("rsa-4096", KeySpec.Rsa4096, SigningAlgorithm.RS256),
    ];

    public static IEnumerable<string> Names => Known.Select(k => k.Name);

    /// <summary>For a new key.</summary>
    public static (KeySpec Spec, SigningAlgorithm Algorithm) Parse(string? name)
    {
        foreach (var known in Known)
        {
            if (string.Equals(known.Name, string.IsNullOrEmpty(name) ? Default : name, StringComparison.Ordinal))
                return (known.Spec, known.Algorithm);
        }

        throw CommandException.Usage($"Keys are made for {string.Join(", ", Names)}, not for '{name}'.");
    }

    /// <summary>
    /// The hash is that of the digest's length, else the one cosign names: cosign 3 says SHA-256 of a SHA-384 digest.
    /// An elliptic curve has its own, and RSA is PKCS#1 v1.5, which is all that cosign verifies.
    /// </summary>
    public static SigningAlgorithm For(string key, KeySpec spec, byte[]? digest, int hashFunc)
    {
        var hash = digest is null ? OfGo(hashFunc) : OfLength(digest.Length);
        var algorithm = SigningAlgorithm.All.First(a => a.Family == spec.Family && a.Hash == hash && a.RsaPadding != RSASignaturePadding.Pss);
        return spec.CanSignWith(algorithm)
            ? algorithm
            : throw CommandException.Usage(
                $"{key} is an {spec} key and signs {spec.Algorithms[0].Hash} digests; cosign asks for {hash}.",
                "With cosign use an ECC_NIST_P256 key or an RSA key that signs RS256.");
    }

    private static HashAlgorithmName OfGo(int hashFunc) => hashFunc switch
    {
        5 => HashAlgorithmName.SHA256,
        6 => HashAlgorithmName.SHA384,
        7 => HashAlgorithmName.SHA512,
        _ => throw CommandException.Usage($"Digests of SHA-256, SHA-384 and SHA-512 are signed; cosign asks for its hash number {hashFunc}."),
    };

    private static HashAlgorithmName OfLength(int length) => length switch
    {
        32 => HashAlgorithmName.SHA256,
        48 => HashAlgorithmName.SHA384,
        64 => HashAlgorithmName.SHA512,
        _ => throw CommandException.Usage($"Digests of SHA-256, SHA-384 and SHA-512 are signed; this one has {length} bytes."),
    };
}
