using System.Buffers.Text;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.Tokens;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;
using SignSvc.Signing.Tokens;

namespace SignSvc.Access.Issuers;

/// <summary>
/// The keys of an issuer that can verify: RSA of 2048 bits and more with exponent 65537, and the NIST curves. Others in the
/// document (symmetric and private keys, keys for encryption, two keys under one kid, ROCA) are left out, so that no
/// token is ever held against them.
/// </summary>
internal sealed class JwkSet
{
    public const int MaxBytes = 256 * 1024;
    private const int MaxKeys = 100;

    private readonly ImmutableArray<IssuerKey> _keys;

    private JwkSet(ImmutableArray<IssuerKey> keys) => _keys = keys;

    public int Count => _keys.Length;

    /// <exception cref="InvalidDataException">It is no key set, or none of its keys can be used.</exception>
    public static JwkSet Parse(ReadOnlyMemory<byte> json)
    {
        if (json.Length > MaxBytes)
            throw new InvalidDataException($"The key set is longer than {MaxBytes} bytes.");
        try
        {
            var document = ForeignJson.Parse(json.Span);
            if (document.ValueKind != JsonValueKind.Object || !document.TryGetProperty("keys", out var members)
                || members.ValueKind != JsonValueKind.Array
                || members.GetArrayLength() > MaxKeys)
                throw new InvalidDataException($"It is no JWK set (RFC 7517 section 5) of at most {MaxKeys} keys.");

            // A kid that several keys share, of whatever kind, names none of them.
            var ambiguous = members.EnumerateArray().Select(Kid).Where(k => k is not null)
                .GroupBy(k => k, StringComparer.Ordinal).Where(g => g.Skip(1).Any()).Select(g => g.Key).ToHashSet(StringComparer.Ordinal);
            var keys = members.EnumerateArray().Select(IssuerKey.TryRead).OfType<IssuerKey>()
                .Where(k => !ambiguous.Contains(k.Kid)).ToImmutableArray();
            return keys.Length > 0 ? new JwkSet(keys) : throw new InvalidDataException("None of its keys can be used.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException("The key set is no JSON that can mean only one thing.", e);
        }
    }

    public bool Knows(string? kid) => kid is not null && _keys.Any(k => string.Equals(k.Kid, kid, StringComparison.Ordinal));

    /// <summary>The key under this kid, if it is for this algorithm. A token without a kid is held against the one key that suits, if it is one.</summary>
    public IssuerKey? Find(string? kid, SigningAlgorithm algorithm)
    {
        var suitable = _keys.Where(k => k.IsFor(algorithm) && (kid is null || string.Equals(k.Kid, kid, StringComparison.Ordinal))).Take(2).ToArray();
        return suitable.Length == 1 ? suitable[0] : null;
    }

    /// <summary>Whether the same key is still there under the same kid.</summary>
    public bool Holds(IssuerKey key) => _keys.Any(k => ReferenceEquals(k, key) || k.IsSame(key));

    private static string? Kid(JsonElement jwk) =>
        jwk.ValueKind == JsonValueKind.Object && jwk.TryGetProperty("kid", out var kid) && kid.ValueKind == JsonValueKind.String ? kid.GetString() : null;
}

/// <summary>One public key of an issuer, and the algorithms that it may be used with.</summary>
internal sealed class IssuerKey
{
    /// <summary>Providers hold native handles; a cache would keep those of keys that the issuer has withdrawn.</summary>
    private static readonly CryptoProviderFactory Crypto = new() { CacheSignatureProviders = false };

    private readonly PublicKey _key;
    private readonly SigningAlgorithm? _only;

    private IssuerKey(string? kid, PublicKey key, SigningAlgorithm? only)
    {
        Kid = kid;
        _key = key;
        _only = only;
        SecurityKey = Open(key, kid);
    }

    public string? Kid { get; }

    public SecurityKey SecurityKey { get; }

    /// <summary>RFC 8725 section 3.1: where the issuer names an algorithm for the key, it is the only one.</summary>
    public bool IsFor(SigningAlgorithm algorithm) => _key.Spec.CanSignWith(algorithm) && (_only is null || _only == algorithm);

    public bool IsSame(IssuerKey other) =>
        string.Equals(Kid, other.Kid, StringComparison.Ordinal) && string.Equals(_key.Kid, other._key.Kid, StringComparison.Ordinal) && _only == other._only;

    /// <summary>The signature alone; the payload may be anything.</summary>
    public bool Verifies(CompactJws token, SigningAlgorithm algorithm)
    {
        if (!IsFor(algorithm) || token.Signature.Length != _key.Spec.SignatureLength)
            return false;
        var provider = Crypto.CreateForVerifying(SecurityKey, algorithm.Name);
        try
        {
            return provider.Verify(token.SigningInput.ToArray(), token.Signature.ToArray());
        }
        finally
        {
            Crypto.ReleaseSignatureProvider(provider);
        }
    }

    /// <summary>Null for a key that cannot or must not verify tokens.</summary>
    public static IssuerKey? TryRead(JsonElement jwk)
    {
        if (jwk.ValueKind != JsonValueKind.Object || !IsForSignatures(jwk) || jwk.TryGetProperty("d", out _) || jwk.TryGetProperty("k", out _))
            return null;
        SigningAlgorithm? only = null;
        if (jwk.TryGetProperty("alg", out var alg) && !(alg.ValueKind == JsonValueKind.String && SigningAlgorithm.TryParse(alg.GetString(), out only)))
            return null;
        if (jwk.TryGetProperty("kid", out var kid) && kid.ValueKind != JsonValueKind.String)
            return null;
        try
        {
            var key = PublicKey.FromSpki(Spki(jwk));
            if (key.Spec.Family == KeyFamily.Rsa && WeakKeys.HasRocaFingerprint(WeakKeys.Modulus(key)))
                return null;
            var read = new IssuerKey(kid.ValueKind == JsonValueKind.String ? kid.GetString() : null, key, only);
            return only is null || read.IsFor(only) ? read : null;
        }
        // OpenSSL's refusal of a point off its curve reaches us as PlatformNotSupportedException.
        catch (Exception e) when (e is SigningException or CryptographicException or FormatException or PlatformNotSupportedException)
        {
            return null;
        }
    }

    private static bool IsForSignatures(JsonElement jwk) =>
        (!jwk.TryGetProperty("use", out var use) || (use.ValueKind == JsonValueKind.String && use.ValueEquals("sig")))
        && (!jwk.TryGetProperty("key_ops", out var operations)
            || (operations.ValueKind == JsonValueKind.Array
                && operations.EnumerateArray().Any(o => o.ValueKind == JsonValueKind.String && o.ValueEquals("verify"))));

    private static byte[] Spki(JsonElement jwk)
    {
        switch (Member(jwk, "kty"))
        {
            case "RSA":
                var (n, e) = (Bytes(jwk, "n"), Bytes(jwk, "e"));
                // The platform's import falls over empty numbers; which sizes and exponents are good is settled with the SPKI.
                if (n.AsSpan().TrimStart((byte)0).IsEmpty || e.AsSpan().TrimStart((byte)0).IsEmpty)
                    throw new FormatException("A number of the key is zero.");
                using (var rsa = RSA.Create(new RSAParameters { Modulus = n, Exponent = e }))
                    return rsa.ExportSubjectPublicKeyInfo();
            case "EC":
                var spec = KeySpec.All.FirstOrDefault(s => s.JwkCurve is { } curve && string.Equals(curve, Member(jwk, "crv"), StringComparison.Ordinal))
                    ?? throw new FormatException("The curve is none of ours.");
                var point = new ECPoint { X = Bytes(jwk, "x"), Y = Bytes(jwk, "y") };
                if (point.X.Length != spec.FieldLength || point.Y.Length != spec.FieldLength)
                    throw new FormatException("RFC 7518 section 6.2.1.2: a coordinate has the length of the curve's field.");
                using (var ec = ECDsa.Create(new ECParameters { Curve = spec.Curve, Q = point }))
                    return ec.ExportSubjectPublicKeyInfo();
            default:
                throw new FormatException("The key type is none of ours.");
        }
    }

    private static string? Member(JsonElement jwk, string name) =>
        jwk.TryGetProperty(name, out var member) && member.ValueKind == JsonValueKind.String ? member.GetString() : null;

    private static byte[] Bytes(JsonElement jwk, string name) => Base64Url.DecodeFromChars(Member(jwk, name));

    private static AsymmetricSecurityKey Open(PublicKey key, string? kid)
    {
        if (key.Spec.Family == KeyFamily.Ecc)
        {
            var ec = ECDsa.Create();
            ec.ImportSubjectPublicKeyInfo(key.Spki.Span, out _);
            return new ECDsaSecurityKey(ec) { KeyId = kid, CryptoProviderFactory = Crypto };
        }

        var rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(key.Spki.Span, out _);
        return new RsaSecurityKey(rsa) { KeyId = kid, CryptoProviderFactory = Crypto };
    }
}
