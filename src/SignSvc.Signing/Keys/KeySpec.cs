using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json.Serialization;

namespace SignSvc.Signing.Keys;

/// <summary>
/// What a key pair is made of, under AWS KMS's names. A P-256 key signs SHA-256 digests only, P-384 SHA-384, P-521
/// SHA-512 (RFC 7518 section 3.4, and the AWS KMS key spec reference); an RSA key may sign with six algorithms, of
/// which a key lists those it is used with.
/// </summary>
[JsonConverter(typeof(KeySpecConverter))]
public sealed class KeySpec
{
    public static readonly KeySpec Rsa2048 = Rsa("RSA_2048", 2048);
    public static readonly KeySpec Rsa3072 = Rsa("RSA_3072", 3072);
    public static readonly KeySpec Rsa4096 = Rsa("RSA_4096", 4096);
    public static readonly KeySpec P256 = Ecc("ECC_NIST_P256", "P-256", 256, ECCurve.NamedCurves.nistP256, SigningAlgorithm.ES256);
    public static readonly KeySpec P384 = Ecc("ECC_NIST_P384", "P-384", 384, ECCurve.NamedCurves.nistP384, SigningAlgorithm.ES384);
    public static readonly KeySpec P521 = Ecc("ECC_NIST_P521", "P-521", 521, ECCurve.NamedCurves.nistP521, SigningAlgorithm.ES512);

    public static readonly IReadOnlyList<KeySpec> All = [Rsa2048, Rsa3072, Rsa4096, P256, P384, P521];

    private readonly ECCurve _curve;

    private KeySpec(
        string name, KeyFamily family, int bits, string? jwkCurve, ECCurve curve, ImmutableArray<SigningAlgorithm> algorithms)
    {
        Name = name;
        Family = family;
        Bits = bits;
        JwkCurve = jwkCurve;
        _curve = curve;
        Algorithms = algorithms;
    }

    /// <summary>AWS KMS name: <c>ECC_NIST_P256</c>.</summary>
    public string Name { get; }

    public KeyFamily Family { get; }

    /// <summary>Modulus or field size in bits.</summary>
    public int Bits { get; }

    /// <summary>Value of the JWK member <c>crv</c> (RFC 7518 section 6.2.1.1); null for RSA.</summary>
    public string? JwkCurve { get; }

    /// <summary>The algorithms that a key of this spec can sign with; the first is the default.</summary>
    public ImmutableArray<SigningAlgorithm> Algorithms { get; }

    /// <exception cref="InvalidOperationException">This is an RSA spec.</exception>
    public ECCurve Curve =>
        Family == KeyFamily.Ecc ? _curve : throw new InvalidOperationException($"{Name} has no curve.");

    /// <summary>Bytes of a field element: half of an r‖s signature. For RSA, bytes of the modulus.</summary>
    public int FieldLength => (Bits + 7) / 8;

    /// <summary>Length in bytes of a signature as SignSvc holds it: r‖s for ECDSA, the modulus' length for RSA.</summary>
    public int SignatureLength => Family == KeyFamily.Ecc ? 2 * FieldLength : FieldLength;

    public static bool TryParse(string? name, [NotNullWhen(true)] out KeySpec? spec)
    {
        spec = All.FirstOrDefault(s => string.Equals(s.Name, name, StringComparison.Ordinal));
        return spec is not null;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static KeySpec Parse(string? name) =>
        TryParse(name, out var spec)
            ? spec
            : throw new SigningException(
                SigningFault.InvalidRequest, $"Unknown key spec; known are {string.Join(", ", All.Select(s => s.Name))}.");

    public bool CanSignWith(SigningAlgorithm algorithm) => Algorithms.Contains(algorithm);

    public override string ToString() => Name;

    private static KeySpec Rsa(string name, int bits) =>
        new(name, KeyFamily.Rsa, bits, jwkCurve: null, curve: default,
            [SigningAlgorithm.RS256, SigningAlgorithm.RS384, SigningAlgorithm.RS512,
             SigningAlgorithm.PS256, SigningAlgorithm.PS384, SigningAlgorithm.PS512]);

    private static KeySpec Ecc(string name, string jwkCurve, int bits, ECCurve curve, SigningAlgorithm algorithm) =>
        new(name, KeyFamily.Ecc, bits, jwkCurve, curve, [algorithm]);
}
