using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SignSvc.Callers.Tests;

/// <summary>A key of an issuer of the tests.</summary>
public sealed class TestKey(string? kid, string algorithm = "ES256")
{
    private readonly AsymmetricAlgorithm _key = algorithm.StartsWith("ES", StringComparison.Ordinal)
        ? ECDsa.Create(algorithm switch { "ES256" => ECCurve.NamedCurves.nistP256, "ES384" => ECCurve.NamedCurves.nistP384, _ => ECCurve.NamedCurves.nistP521 })
        : RSA.Create(2048);

    public string? Kid => kid;

    public string Algorithm => algorithm;

    public string Pem => _key.ExportSubjectPublicKeyInfoPem();

    /// <param name="members">Beside or instead of the usual ones; null removes.</param>
    public string Jwk(params (string Name, JsonNode? Value)[] members)
    {
        var jwk = new JsonObject { ["kid"] = kid, ["alg"] = algorithm, ["use"] = "sig" };
        if (kid is null)
            jwk.Remove("kid");
        if (_key is ECDsa ec)
        {
            var q = ec.ExportParameters(includePrivateParameters: false).Q;
            (jwk["kty"], jwk["crv"]) = ("EC", algorithm switch { "ES256" => "P-256", "ES384" => "P-384", _ => "P-521" });
            (jwk["x"], jwk["y"]) = (Base64Url.EncodeToString(q.X), Base64Url.EncodeToString(q.Y));
        }
        else
        {
            var n = ((RSA)_key).ExportParameters(includePrivateParameters: false);
            (jwk["kty"], jwk["n"], jwk["e"]) = ("RSA", Base64Url.EncodeToString(n.Modulus), Base64Url.EncodeToString(n.Exponent));
        }

        foreach (var (name, value) in members)
            Set(jwk, name, value);
        return jwk.ToJsonString();
    }

    public byte[] Sign(byte[] data)
    {
        var hash = new HashAlgorithmName($"SHA{algorithm[2..]}");
        return _key is ECDsa ec
            ? ec.SignData(data, hash)
            : ((RSA)_key).SignData(data, hash, algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);
    }

    internal static void Set(JsonObject json, string name, JsonNode? value)
    {
        if (value is null)
            json.Remove(name);
        else
            json[name] = value;
    }
}

/// <summary>A token in the making; each change is a new one.</summary>
public sealed class TestToken
{
    private readonly TestKey _key;
    private readonly JsonObject _header;
    private readonly JsonObject _claims;

    public TestToken(TestKey key, TimeProvider? time = null)
        : this(key, new JsonObject { ["alg"] = key.Algorithm, ["typ"] = "JWT" }, Standard(time ?? TimeProvider.System))
    {
        if (key.Kid is not null)
            _header["kid"] = key.Kid;
    }

    private TestToken(TestKey key, JsonObject header, JsonObject claims) => (_key, _header, _claims) = (key, header, claims);

    public TestToken With(params (string Name, object? Value)[] claims) => new(_key, Copy(_header), Changed(_claims, claims));

    public TestToken WithHeader(params (string Name, object? Value)[] members) => new(_key, Changed(_header, members), Copy(_claims));

    public TestToken SignedBy(TestKey key) => new(key, Copy(_header), Copy(_claims));

    public string Header => _header.ToJsonString();

    public string Payload => _claims.ToJsonString();

    /// <summary>The token that is sent.</summary>
    public override string ToString() => Join(Header, Payload, _key.Sign);

    /// <summary>Signs whatever it is given as header and claims.</summary>
    public static string Join(string header, string payload, Func<byte[], byte[]> sign)
    {
        var signed = $"{Encode(header)}.{Encode(payload)}";
        return $"{signed}.{Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(signed)))}";
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));

    private static JsonObject Standard(TimeProvider time)
    {
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        return new JsonObject { ["iss"] = "?", ["sub"] = "build", ["aud"] = "signsvc", ["iat"] = now, ["nbf"] = now - 5, ["exp"] = now + 300 };
    }

    private static JsonObject Copy(JsonObject json) => json.DeepClone().AsObject();

    private static JsonObject Changed(JsonObject json, (string Name, object? Value)[] members)
    {
        var copy = Copy(json);
        foreach (var (name, value) in members)
            TestKey.Set(copy, name, value is null ? null : JsonSerializer.SerializeToNode(value));
        return copy;
    }
}
