using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;

namespace SignSvc.Emulation.Keys;

/// <summary>
/// One piece of key material: an AES-256 key or a key pair. Imported material may be deleted or expire; its id stays.
/// Instances sign from several threads at once.
/// </summary>
internal sealed class KeyMaterial
{
    private readonly Lock _opening = new();
    private RSA? _rsa;
    private ECDsa? _ecdsa;

    /// <summary>
    /// 64 hexadecimal digits; equal for equal material of one key, so that a re-import is recognised.
    /// </summary>
    public required string Id { get; init; }

    /// <summary>32 bytes of AES, or PKCS#8; null after imported material was deleted.</summary>
    public byte[]? Secret { get; set; }

    /// <summary>End of imported material that expires.</summary>
    public DateTimeOffset? ValidTo { get; set; }

    public string? ImportDescription { get; set; }

    public static KeyMaterial Generate(KeySpec spec, string keyId) => From(keyId, GenerateSecret(spec));

    public static KeyMaterial From(string keyId, byte[] secret) => new() { Id = IdOf(keyId, secret), Secret = secret };

    public static byte[] GenerateSecret(KeySpec spec)
    {
        switch (spec.Kind)
        {
            case KeyKind.Rsa:
                using (var rsa = System.Security.Cryptography.RSA.Create(spec.Bits))
                    return rsa.ExportPkcs8PrivateKey();
            case KeyKind.Ecc:
                using (var ecdsa = ECDsa.Create(spec.Curve))
                    return ecdsa.ExportPkcs8PrivateKey();
            default:
                return RandomNumberGenerator.GetBytes(32);
        }
    }

    /// <returns>Whether imported bytes are key material of this spec.</returns>
    public static bool Fits(KeySpec spec, byte[] secret)
    {
        if (spec.Kind == KeyKind.Symmetric)
            return secret.Length == 32;
        try
        {
            var material = new KeyMaterial { Id = "", Secret = secret };
            return spec.Kind == KeyKind.Rsa
                ? material.Rsa.KeySize == spec.Bits
                : string.Equals(CurveOid(material.Ecdsa), CurveOid(spec), StringComparison.Ordinal);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    public bool IsPresent(DateTimeOffset now) => Secret is not null && !(ValidTo <= now);

    [JsonIgnore]
    public RSA Rsa => Open(ref _rsa, RSA.Create);

    [JsonIgnore]
    public ECDsa Ecdsa => Open(ref _ecdsa, ECDsa.Create);

    /// <summary>SubjectPublicKeyInfo, DER.</summary>
    public byte[] PublicKey(KeySpec spec) =>
        spec.Kind == KeyKind.Rsa ? Rsa.ExportSubjectPublicKeyInfo() : Ecdsa.ExportSubjectPublicKeyInfo();

    public static string IdOf(string keyId, byte[] secret) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(keyId)));

    private T Open<T>(ref T? pair, Func<T> create)
        where T : AsymmetricAlgorithm
    {
        lock (_opening)
        {
            if (pair is null)
            {
                var opened = create();
                opened.ImportPkcs8PrivateKey(Secret, out _);
                pair = opened;
            }

            return pair;
        }
    }

    private static string? CurveOid(ECDsa ecdsa) =>
        ecdsa.ExportParameters(includePrivateParameters: false).Curve.Oid.Value;

    private static string? CurveOid(KeySpec spec)
    {
        using var ecdsa = ECDsa.Create(spec.Curve);
        return CurveOid(ecdsa);
    }
}
