using System.Buffers.Text;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Access;

/// <summary>A public key with which a client signs its assertions, under one algorithm alone (RFC 8725 section 3.1).</summary>
/// <param name="Kid">As the client names it in headers; null: it names none.</param>
public sealed record ClientKey(SigningAlgorithm Algorithm, PublicKey PublicKey, string? Kid = null)
{
    private const int MaxKeys = 10;

    private static readonly string[] PrivateMembers = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

    /// <summary>Reads a JWK set (RFC 7517 section 5).</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: more than 10 keys, a private or symmetric key, an unknown curve, an RSA key without <c>alg</c>.</exception>
    public static ImmutableArray<ClientKey> ParseSet(JsonElement set)
    {
        if (set.ValueKind != JsonValueKind.Object || !set.TryGetProperty("keys", out var keys)
            || keys.ValueKind != JsonValueKind.Array || keys.GetArrayLength() > MaxKeys)
        {
            throw Invalid($"A JWK set has the array keys, of at most {MaxKeys} keys.");
        }

        var parsed = keys.EnumerateArray().Select(Parse).ToImmutableArray();
        return parsed.Where(k => k.Kid is not null).GroupBy(k => k.Kid, StringComparer.Ordinal).Any(g => g.Count() > 1)
            ? throw Invalid("Two keys have one kid.")
            : parsed;
    }

    private static ClientKey Parse(JsonElement jwk)
    {
        var key = ParsePublic(jwk);
        var kid = Text(jwk, "kid");
        if (kid?.Length > 255)
            throw Invalid("A kid has at most 255 characters.");
        return Text(jwk, "alg") is { } alg
            ? SigningAlgorithm.TryParse(alg, out var algorithm) && key.Spec.CanSignWith(algorithm)
                ? new ClientKey(algorithm, key, kid)
                : throw Invalid("A key's alg does not fit the key.")
            : key.Spec.Algorithms is [var only]
                ? new ClientKey(only, key, kid)
                : throw Invalid("An RSA key names its alg.");
    }

    /// <summary>The public key of a JWK (RFC 7518 section 6).</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static PublicKey ParsePublic(JsonElement jwk)
    {
        if (jwk.ValueKind != JsonValueKind.Object || Array.Exists(PrivateMembers, m => jwk.TryGetProperty(m, out _)))
            throw Invalid("A JWK is the object of a public key: without private members, and not symmetric.");
        try
        {
            switch (Text(jwk, "kty"))
            {
                case "EC":
                    var spec = KeySpec.All.FirstOrDefault(s => s.JwkCurve is not null && string.Equals(s.JwkCurve, Text(jwk, "crv"), StringComparison.Ordinal))
                        ?? throw Invalid("The curve is none of P-256, P-384 and P-521.");
                    var (x, y) = (Bytes(jwk, "x"), Bytes(jwk, "y"));
                    if (x.Length != spec.FieldLength || y.Length != spec.FieldLength)
                        throw Invalid("A coordinate does not have the curve's length.");
                    using (var ec = ECDsa.Create(new ECParameters { Curve = spec.Curve, Q = { X = x, Y = y } }))
                        return PublicKey.FromSpki(ec.ExportSubjectPublicKeyInfo());
                case "RSA":
                    using (var rsa = RSA.Create(new RSAParameters { Modulus = Bytes(jwk, "n"), Exponent = Bytes(jwk, "e") }))
                        return PublicKey.FromSpki(rsa.ExportSubjectPublicKeyInfo());
                default:
                    throw Invalid("A JWK has the kty EC or RSA.");
            }
        }
        catch (Exception e) when (e is CryptographicException or FormatException or PlatformNotSupportedException)
        {
            throw new SigningException(SigningFault.InvalidRequest, "A JWK holds no public key.", e);
        }
    }

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static byte[] Bytes(JsonElement json, string name) =>
        Text(json, name) is { Length: > 0 and <= 1024 } text && !text.Contains('=', StringComparison.Ordinal)
            ? Base64Url.DecodeFromChars(text)
            : throw Invalid($"A JWK lacks the member {name}.");

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
