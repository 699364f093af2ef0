using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Signing.Keys;

namespace SignSvc.Hsm.Tests;

/// <summary>What these tests ask of the service.</summary>
internal static class ServiceCalls
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static Task<JsonAnswer> CreateAsync(this ServiceProcess service, string name, KeySpec spec, string more = "") =>
        service.Client.PostJsonAsync(
            "/v1/keys",
            $$"""{"name":"{{name}}","purpose":"artifacts","tier":"assured","backend":"pkcs11","spec":"{{spec.Name}}","algorithms":[{{string.Join(',', spec.Algorithms.Select(a => $"\"{a.Name}\""))}}]{{more}}}""");

    public static Task<JsonAnswer> SignAsync(this ServiceProcess service, string key, SigningAlgorithm algorithm, byte[] digest) =>
        service.Client.PostJsonAsync(
            $"/v1/keys/{key}/sign", $$"""{"digest":"{{Convert.ToBase64String(digest)}}","algorithm":"{{algorithm.Name}}"}""");

    /// <summary>A signature over a new digest, which the service then verifies.</summary>
    public static async Task<JsonAnswer> SignAndVerifyAsync(this ServiceProcess service, string key, SigningAlgorithm algorithm)
    {
        var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
        var signed = await service.SignAsync(key, algorithm, digest);
        Assert.True(signed.Code == 200, signed.ToString());
        await service.AssertVerifiesAsync(key, algorithm, digest, Convert.FromBase64String(signed["signature"]));
        return signed;
    }

    public static async Task AssertVerifiesAsync(
        this ServiceProcess service, string key, SigningAlgorithm algorithm, byte[] digest, byte[] signature)
    {
        var verified = await service.Client.PostJsonAsync(
            $"/v1/keys/{key}/verify",
            $$"""{"digest":"{{Convert.ToBase64String(digest)}}","signature":"{{Convert.ToBase64String(signature)}}","algorithm":"{{algorithm.Name}}"}""");
        Assert.True(verified.Code == 200 && verified.Json.GetProperty("valid").GetBoolean(), verified.ToString());
    }

    public static async Task<byte[]> PublicKeyAsync(this ServiceProcess service, string key, string format = "der") =>
        (await service.Client.GetJsonAsync($"/v1/keys/{key}/public-key?format={format}")).Body;

    /// <summary>The CKA_ID that the service gives its keys.</summary>
    public static async Task<string> CkaIdAsync(this ServiceProcess service, string key) =>
        Convert.ToHexStringLower(SHA256.HashData(await service.PublicKeyAsync(key))[..20]);

    /// <summary>As <c>/healthz/ready</c> tells it, which answers 200 whether the token is there or not.</summary>
    public static async Task<string> TokenStateAsync(this ServiceProcess service)
    {
        var ready = await service.As(token: null).GetJsonAsync("/healthz/ready");
        Assert.Equal(200, ready.Code);
        var backend = Assert.Single(ready.Json.GetProperty("backends").EnumerateArray());
        return Assert.Single(backend.GetProperty("tokens").EnumerateArray()).GetProperty("state").GetString()!;
    }

    /// <summary>
    /// The service has logged in, which it does in the background after its start. SoftHSM2 writes the token anew at a login:
    /// another program that works on it meanwhile may find half of it.
    /// </summary>
    public static async Task UntilTokenIsReadyAsync(this ServiceProcess service)
    {
        using var waited = RunningTime.Start();
        while (await service.TokenStateAsync() is not "ready" and var state)
        {
            Assert.True(waited.Elapsed < Patience, $"The token stays {state}.");
            await Task.Delay(Poll, TimeProvider.System);
        }
    }

    /// <summary>A volume key wrapped by the token, and the profile <c>hsm</c> that issues with it.</summary>
    public static async Task MakeVolumeKeyAsync(this ServiceProcess service)
    {
        var made = await service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"wrapped","purpose":"tokens","tier":"volume","backend":"pkcs11","spec":"ECC_NIST_P256"}""");
        Assert.True(made.Code == 201, made.ToString());
        var profile = await service.Client.CallAsync(HttpMethod.Put, "/v1/profiles/hsm", """{"key":"wrapped","audiences":["*"]}""");
        Assert.True(profile.Code == 200, profile.ToString());
    }

    public static Task<JsonAnswer> IssueAsync(this ServiceProcess service) =>
        service.Client.PostJsonAsync("/v1/tokens", """{"profile":"hsm","subject":"build","audience":"api://deploy"}""");

    /// <summary>A token that the key set verifies.</summary>
    public static async Task AssertIssuesAsync(this ServiceProcess service)
    {
        var issued = await service.IssueAsync();
        Assert.True(issued.Code == 201, issued.ToString());
        var keys = (await service.Client.GetJsonAsync("/.well-known/jwks.json")).Json.GetProperty("keys");
        var jwk = Assert.Single(keys.EnumerateArray(), k => string.Equals(k.GetProperty("kid").GetString(), issued["kid"], StringComparison.Ordinal));
        using var key = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = new ECPoint { X = Decode(jwk.GetProperty("x")), Y = Decode(jwk.GetProperty("y")) },
        });
        var token = issued["token"];
        var dot = token.LastIndexOf('.');
        Assert.True(key.VerifyData(
            System.Text.Encoding.ASCII.GetBytes(token[..dot]), System.Buffers.Text.Base64Url.DecodeFromChars(token.AsSpan(dot + 1)),
            HashAlgorithmName.SHA256));

        static byte[] Decode(JsonElement text) => System.Buffers.Text.Base64Url.DecodeFromChars(text.GetString());
    }
}
