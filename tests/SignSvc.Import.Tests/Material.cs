using System.Security.Cryptography;
using System.Text.Json;

namespace SignSvc.Import.Tests;

/// <summary>Keys that an owner holds elsewhere, wrapped as an owner would wrap them.</summary>
internal static class Material
{
    public static ECDsa P256() => ECDsa.Create(ECCurve.NamedCurves.nistP256);

    /// <returns>The key's name.</returns>
    public static async Task<string> MakeEmptyKeyAsync(this HttpClient client, string spec = "ECC_NIST_P256", string purpose = "artifacts")
    {
        var name = $"imported-{RandomNumberGenerator.GetHexString(8, lowercase: true)}";
        var answer = await client.PostJsonAsync(
            "/v1/keys", $$"""{"name":"{{name}}","purpose":"{{purpose}}","tier":"assured","spec":"{{spec}}","origin":"imported"}""");
        Assert.Equal(201, answer.Code);
        Assert.Equal(0, answer.Json.GetProperty("versions").GetArrayLength());
        return name;
    }

    public static async Task<JsonAnswer> ParametersAsync(this HttpClient client, string key)
    {
        var answer = await client.PostJsonAsync($"/v1/keys/{key}/import-parameters");
        Assert.True(answer.Code == 200, answer.ToString());
        return answer;
    }

    /// <summary>The body of an import of PKCS#8.</summary>
    public static string Wrap(this JsonAnswer parameters, byte[] pkcs8, string algorithm = "RSA_AES_KEY_WRAP_SHA_256", string more = "")
    {
        using var rsa = RSA.Create();
        rsa.ImportFromPem(parameters["wrappingPublicKey"]);
        Assert.Equal(rsa.ExportSubjectPublicKeyInfo(), parameters.Json.GetProperty("wrappingPublicKeyDer").GetBytesFromBase64());
        Assert.Equal(4096, rsa.KeySize);
        return Body(parameters["token"], algorithm, Wrap(rsa, pkcs8, algorithm), more);
    }

    public static string Body(string token, string algorithm, byte[] wrapped, string more = "") =>
        $$"""{"token":"{{token}}","algorithm":"{{algorithm}}","wrappedKey":"{{Convert.ToBase64String(wrapped)}}"{{more}}}""";

    public static Task<JsonAnswer> ImportAsync(this HttpClient client, string key, string body) =>
        client.PostJsonAsync($"/v1/keys/{key}/import", body);

    /// <summary>Signs through the service and verifies with what the owner holds.</summary>
    public static async Task<bool> SignsAsAsync(this HttpClient client, string key, AsymmetricAlgorithm owner)
    {
        var message = RandomNumberGenerator.GetBytes(100);
        var answer = await client.PostJsonAsync(
            $"/v1/keys/{key}/sign", $$"""{"message":"{{Convert.ToBase64String(message)}}","encoding":"p1363"}""");
        Assert.True(answer.Code == 200, answer.ToString());
        var signature = answer.Json.GetProperty("signature").GetBytesFromBase64();
        return owner switch
        {
            ECDsa ec => ec.VerifyData(message, signature, ec.KeySize switch { 256 => HashAlgorithmName.SHA256, 384 => HashAlgorithmName.SHA384, _ => HashAlgorithmName.SHA512 }),
            RSA rsa => rsa.VerifyData(message, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            _ => false,
        };
    }

    public static async Task<string> CredentialAsync(this HttpClient client, string role)
    {
        var answer = await client.PostJsonAsync(
            "/v1/credentials", $$"""{"name":"{{role}}-{{RandomNumberGenerator.GetHexString(8, lowercase: true)}}","roles":["{{role}}"]}""");
        Assert.Equal(201, answer.Code);
        return answer["token"];
    }

    public static string Problem(this JsonAnswer answer) => $"{answer.Code} {answer["type"].Split(':')[^1]}";

    /// <summary>One member of each version, in order.</summary>
    public static string VersionsBy(this JsonAnswer key, string member) =>
        string.Join(' ', key.Versions().Select(v => v.GetProperty(member).GetString()));

    public static string Outcomes(this JsonAnswer audit) => string.Join(
        ' ', audit.Json.GetProperty("records").EnumerateArray().Select(r => r.GetProperty("outcome").GetString()!).Order(StringComparer.Ordinal));

    public static JsonElement[] Versions(this JsonAnswer key) => [.. key.Json.GetProperty("versions").EnumerateArray()];

    private static byte[] Wrap(RSA wrapping, byte[] pkcs8, string algorithm)
    {
        if (algorithm is "RSA_OAEP_SHA_256")
            return wrapping.Encrypt(pkcs8, RSAEncryptionPadding.OaepSHA256);
        using var aes = Aes.Create();
        aes.SetKey(RandomNumberGenerator.GetBytes(32));
        return [.. wrapping.Encrypt(aes.Key, RSAEncryptionPadding.OaepSHA256), .. aes.EncryptKeyWrapPadded(pkcs8)];
    }
}
