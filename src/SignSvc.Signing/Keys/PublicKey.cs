using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace SignSvc.Signing.Keys;

/// <summary>
/// The public half of one version: its SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), what follows from it, and
/// local verification. Instances are immutable and may verify from several threads at once.
/// </summary>
[JsonConverter(typeof(PublicKeyConverter))]
public sealed class PublicKey
{
    /// <summary>The only RSA exponent that is accepted (F4): what every backend makes, and none of the weak small ones.</summary>
    private const int RsaExponent = 65537;

    private readonly Lazy<AsymmetricAlgorithm> _verifier;
    private readonly byte[] _spki;

    private PublicKey(KeySpec spec, byte[] spki, string[] jwkMembers)
    {
        Spec = spec;
        _spki = spki;
        JwkMembers = jwkMembers;
        Kid = Thumbprint();
        _verifier = new Lazy<AsymmetricAlgorithm>(() => Open(spki));
    }

    public KeySpec Spec { get; }

    /// <summary>DER SubjectPublicKeyInfo.</summary>
    public ReadOnlyMemory<byte> Spki => _spki;

    /// <summary>RFC 7638 SHA-256 thumbprint, base64url without padding.</summary>
    public string Kid { get; }

    /// <summary>base64url x and y, or n and e.</summary>
    private string[] JwkMembers { get; }

    /// <summary>Reads a SubjectPublicKeyInfo and settles its spec.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: not an SPKI, or a key of no known spec.</exception>
    public static PublicKey FromSpki(ReadOnlySpan<byte> spki)
    {
        try
        {
            using var key = Open(spki);
            var canonical = key.ExportSubjectPublicKeyInfo();
            if (key is ECDsa ec)
            {
                var q = ec.ExportParameters(includePrivateParameters: false);
                var spec = KeySpec.All.Single(s =>
                    s.Family == KeyFamily.Ecc && q.Curve.IsNamed && string.Equals(s.Curve.Oid.Value, q.Curve.Oid.Value, StringComparison.Ordinal));
                return new PublicKey(spec, canonical, [Base64Url.EncodeToString(q.Q.X), Base64Url.EncodeToString(q.Q.Y)]);
            }

            var rsa = ((RSA)key).ExportParameters(includePrivateParameters: false);
            var rsaSpec = KeySpec.All.Single(s => s.Family == KeyFamily.Rsa && s.Bits == key.KeySize);
            if (!rsa.Exponent.AsSpan().SequenceEqual(new byte[] { 1, 0, 1 }))
                throw new SigningException(SigningFault.InvalidRequest, $"The RSA exponent must be {RsaExponent}.");
            return new PublicKey(
                rsaSpec, canonical, [Base64Url.EncodeToString(rsa.Modulus), Base64Url.EncodeToString(rsa.Exponent)]);
        }
        // OpenSSL's refusal of a point off its curve reaches us as PlatformNotSupportedException.
        catch (Exception e) when (e is CryptographicException or InvalidOperationException or PlatformNotSupportedException)
        {
            throw new SigningException(
                SigningFault.InvalidRequest,
                $"Not the SubjectPublicKeyInfo of a key of a known spec ({string.Join(", ", KeySpec.All)}).", e);
        }
    }

    /// <summary>Verifies locally. RSA signatures and r‖s have exactly the spec's length, else they are not valid.</summary>
    /// <param name="signature">r‖s for ECDSA; the modulus' length for RSA.</param>
    public bool Verify(SigningAlgorithm algorithm, ReadOnlySpan<byte> digest, ReadOnlySpan<byte> signature)
    {
        if (!Spec.CanSignWith(algorithm) || digest.Length != algorithm.DigestLength || signature.Length != Spec.SignatureLength)
            return false;
        return _verifier.Value switch
        {
            ECDsa ec => ec.VerifyHash(digest, signature, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
            RSA rsa => rsa.VerifyHash(digest, signature, algorithm.Hash, algorithm.RsaPadding!),
            _ => false,
        };
    }

    public string ToPem() => PemEncoding.WriteString("PUBLIC KEY", _spki);

    /// <summary>Writes the members <c>kty</c> and the key's own (RFC 7518 section 6), inside an object that is open.</summary>
    public void WriteJwkMembers(Utf8JsonWriter writer)
    {
        if (Spec.Family == KeyFamily.Ecc)
        {
            writer.WriteString("kty", "EC");
            writer.WriteString("crv", Spec.JwkCurve);
            writer.WriteString("x", JwkMembers[0]);
            writer.WriteString("y", JwkMembers[1]);
        }
        else
        {
            writer.WriteString("kty", "RSA");
            writer.WriteString("n", JwkMembers[0]);
            writer.WriteString("e", JwkMembers[1]);
        }
    }

    /// <summary>RFC 7638 section 3: the required members in lexicographic order, no white space, SHA-256.</summary>
    private string Thumbprint()
    {
        var json = Spec.Family == KeyFamily.Ecc
            ? $$"""{"crv":"{{Spec.JwkCurve}}","kty":"EC","x":"{{JwkMembers[0]}}","y":"{{JwkMembers[1]}}"}"""
            : $$"""{"e":"{{JwkMembers[1]}}","kty":"RSA","n":"{{JwkMembers[0]}}"}""";
        return Base64Url.EncodeToString(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(json)));
    }

    /// <summary>DER of the OID 1.2.840.10045.2.1.</summary>
    private static ReadOnlySpan<byte> IdEcPublicKey => [0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

    private static AsymmetricAlgorithm Open(ReadOnlySpan<byte> spki)
    {
        AsymmetricAlgorithm key = IsEcc(spki) ? ECDsa.Create() : RSA.Create();
        try
        {
            key.ImportSubjectPublicKeyInfo(spki, out var read);
            if (read != spki.Length)
                throw new CryptographicException("Bytes follow the SubjectPublicKeyInfo.");
            return key;
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    /// <summary>Looks for id-ecPublicKey where an SPKI has its algorithm.</summary>
    private static bool IsEcc(ReadOnlySpan<byte> spki) =>
        spki[..Math.Min(spki.Length, 24)].IndexOf(IdEcPublicKey) >= 0;
}
