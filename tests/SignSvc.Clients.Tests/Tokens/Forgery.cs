using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SignSvc.Clients.Tests.Tokens;

/// <summary>A token of the service, in its parts, with what anybody can know of the key that signed it.</summary>
/// <param name="Jwk">The key's object in the served key set, as text.</param>
/// <param name="Pem">The key as SPKI in PEM, as the service exports it.</param>
internal sealed record GenuineToken(string Algorithm, string Token, string Jwk, string Pem)
{
    public string[] Parts { get; } = Token.Split('.');

    public byte[] Signature => Base64Url.DecodeFromChars(Parts[2]);

    /// <summary>The header with members set, and the kid as it was.</summary>
    public string HeaderWith(params (string Name, JsonNode Value)[] members) => Rewrite(Parts[0], members);

    public string PayloadWith(params (string Name, JsonNode Value)[] members) => Rewrite(Parts[1], members);

    private static string Rewrite(string part, (string Name, JsonNode Value)[] members)
    {
        var json = JsonNode.Parse(Base64Url.DecodeFromChars(part))!.AsObject();
        foreach (var (name, value) in members)
            json[name] = value;
        return Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));
    }
}

/// <summary>What attackers make of a token they have (RFC 8725 sections 2.1 and 2.2). Issuer, audience and times stay good, so that nothing but the signature is left to refuse.</summary>
internal static class Forgery
{
    public static IReadOnlyDictionary<string, Func<GenuineToken, string>> All { get; } =
        new Dictionary<string, Func<GenuineToken, string>>(StringComparer.Ordinal)
        {
            ["flipped bit in the first byte of the signature"] = t => WithFlippedBit(t, 0),
            ["flipped bit in the last byte of the signature"] = t => WithFlippedBit(t, t.Signature.Length - 1),
            ["edited payload"] = t => Join(t.Parts[0], t.PayloadWith(("sub", "root")), t.Signature),
            ["edited header"] = t => Join(t.HeaderWith(("x", "y")), t.Parts[1], t.Signature),
            ["all-zero signature"] = t => Join(t.Parts[0], t.Parts[1], new byte[t.Signature.Length]),
            ["empty signature"] = t => Join(t.Parts[0], t.Parts[1], []),
            ["alg none"] = t => Join(t.HeaderWith(("alg", "none")), t.Parts[1], []),
            ["alg None with the old signature"] = t => Join(t.HeaderWith(("alg", "None")), t.Parts[1], t.Signature),
            ["HS256 keyed with the public JWK"] = t => WithHmac(t, t.Jwk),
            ["HS256 keyed with the public PEM"] = t => WithHmac(t, t.Pem),
            ["HS256 keyed with the public PEM without its last line end"] = t => WithHmac(t, t.Pem.TrimEnd()),
            ["stranger's key under the same kid, and in the header"] = WithStrangersKey,
        };

    private static string WithFlippedBit(GenuineToken token, int at)
    {
        var signature = token.Signature;
        signature[at] ^= 1;
        return Join(token.Parts[0], token.Parts[1], signature);
    }

    private static string WithHmac(GenuineToken token, string key)
    {
        var header = token.HeaderWith(("alg", "HS256"));
        return Join(header, token.Parts[1], HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), Encoding.ASCII.GetBytes($"{header}.{token.Parts[1]}")));
    }

    private static string WithStrangersKey(GenuineToken token)
    {
        var hash = new HashAlgorithmName($"SHA{token.Algorithm[2..]}");
        if (!token.Algorithm.StartsWith("ES", StringComparison.Ordinal))
        {
            using var rsa = RSA.Create(2048);
            var n = rsa.ExportParameters(includePrivateParameters: false);
            var padding = token.Algorithm.StartsWith("PS", StringComparison.Ordinal) ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1;
            return Sign(token, new { kty = "RSA", n = Encode(n.Modulus), e = Encode(n.Exponent) }, input => rsa.SignData(input, hash, padding));
        }

        var (curve, name) = token.Algorithm switch
        {
            "ES256" => (ECCurve.NamedCurves.nistP256, "P-256"),
            "ES384" => (ECCurve.NamedCurves.nistP384, "P-384"),
            _ => (ECCurve.NamedCurves.nistP521, "P-521"),
        };
        using var ec = ECDsa.Create(curve);
        var q = ec.ExportParameters(includePrivateParameters: false).Q;
        return Sign(token, new { kty = "EC", crv = name, x = Encode(q.X), y = Encode(q.Y) }, input => ec.SignData(input, hash));
    }

    private static string Sign(GenuineToken token, object jwk, Func<byte[], byte[]> sign)
    {
        var header = token.HeaderWith(("jwk", JsonSerializer.SerializeToNode(jwk)!));
        return Join(header, token.Parts[1], sign(Encoding.ASCII.GetBytes($"{header}.{token.Parts[1]}")));
    }

    private static string Encode(byte[]? bytes) => Base64Url.EncodeToString(bytes);

    private static string Join(string header, string payload, byte[] signature) =>
        $"{header}.{payload}.{Base64Url.EncodeToString(signature)}";
}
