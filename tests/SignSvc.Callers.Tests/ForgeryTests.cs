using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using SignSvc.Grpc.V1;
using SignSvc.GrpcService.Tests;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.Callers.Tests;

/// <summary>What attackers make of tokens, at every door. Each forgery has one fault, so that nothing else refuses it.</summary>
public sealed class ForgeryTests(CallersService callers)
{
    private static readonly Dictionary<string, Func<LocalIssuer, string>> Forgeries = new(StringComparer.Ordinal)
    {
        ["alg none, no signature"] = i => Unsigned(i.Token().WithHeader(("alg", "none"))),
        ["alg None, the old signature"] = i => Transplant(i.Token().WithHeader(("alg", "None")), i.Token()),
        ["HS256 with the public JWK"] = i => Hmac(i.Token(), i.Keys[0].Jwk()),
        ["HS256 with the public PEM"] = i => Hmac(i.Token(), i.Keys[0].Pem),
        ["a stranger's key under the same kid"] = i => i.Token().SignedBy(new TestKey("k1")).ToString(),
        ["a stranger's key in the header"] = i => WithJwk(i.Token()),
        ["a stranger's key at a jku"] = i => i.Token().WithHeader(("jku", $"{i.Url}/keys")).SignedBy(new TestKey("k1")).ToString(),
        ["a kid that the issuer does not show"] = i => i.Token().WithHeader(("kid", "nobody")).ToString(),
        ["a kid of another key"] = i => i.Token().WithHeader(("kid", "rsa")).ToString(),
        ["a kid that is a path"] = i => i.Token().WithHeader(("kid", "../../../../dev/null")).ToString(),
        ["a kid that is no text"] = i => i.Token().WithHeader(("kid", 1)).ToString(),
        ["expired"] = i => i.Token(("exp", Now(-120))).ToString(),
        ["without exp"] = i => i.Token(("exp", null)).ToString(),
        ["exp as text"] = i => i.Token(("exp", Text(Now(60)))).ToString(),
        ["nbf as text"] = i => i.Token(("nbf", Text(Now(-60)))).ToString(),
        ["iat as text"] = i => i.Token(("iat", Text(Now(-60)))).ToString(),
        ["exp as a list"] = i => i.Token(("exp", new[] { Now(60) })).ToString(),
        ["nbf that is null"] = i => Raw(i, i.Token().Header, i.Token(("nbf", null)).Payload.Replace("{", """{"nbf":null,""", StringComparison.Ordinal)),
        ["iat beyond all time"] = i => Raw(i, i.Token().Header, i.Token(("iat", null)).Payload.Replace("{", """{"iat":1e400,""", StringComparison.Ordinal)),
        ["not yet valid"] = i => i.Token(("nbf", Now(600)), ("exp", Now(900))).ToString(),
        ["issued in the future"] = i => i.Token(("iat", Now(600)), ("exp", Now(900))).ToString(),
        ["lives for ten years"] = i => i.Token(("exp", Now(315_360_000))).ToString(),
        ["for another audience"] = i => i.Token(("aud", "other")).ToString(),
        ["for an audience that begins alike"] = i => i.Token(("aud", "signsvc/")).ToString(),
        ["without aud"] = i => i.Token(("aud", null)).ToString(),
        ["of another issuer"] = i => i.Token(("iss", "https://other.example")).ToString(),
        ["of an issuer with a slash more"] = i => i.Token(("iss", $"{i.Url}/")).ToString(),
        ["without iss"] = i => i.Token(("iss", null)).ToString(),
        ["another trusted issuer's name"] = i => i.Token(("iss", CallersService.GitHub)).ToString(),
        ["without sub"] = i => i.Token(("sub", null)).ToString(),
        ["an empty sub"] = i => i.Token(("sub", "")).ToString(),
        ["a sub with a line end"] = i => i.Token(("sub", "a\nb")).ToString(),
        ["a sub with an invisible character"] = i => i.Token(("sub", "ro\u200Bot")).ToString(),
        ["a sub that is a number"] = i => i.Token(("sub", 7)).ToString(),
        ["a sub without end"] = i => i.Token(("sub", new string('x', 1000))).ToString(),
        ["crit"] = i => i.Token().WithHeader(("crit", new[] { "exp" })).ToString(),
        ["b64 false"] = i => i.Token().WithHeader(("b64", false)).ToString(),
        ["zip"] = i => i.Token().WithHeader(("zip", "DEF")).ToString(),
        ["another typ"] = i => i.Token().WithHeader(("typ", "dpop+jwt")).ToString(),
        ["alg twice"] = i => Raw(i, i.Token().Header.Replace("{", """{"alg":"none",""", StringComparison.Ordinal), i.Token().Payload),
        ["sub twice"] = i => Raw(i, i.Token().Header, i.Token().Payload.Replace("{", """{"sub":"root",""", StringComparison.Ordinal)),
        ["claims that are no object"] = i => Raw(i, i.Token().Header, "[]"),
        ["two claims with one flat name"] = i => i.Token(("a.b", "x"), ("a", new { b = "y" })).ToString(),
        ["a claim with the flat name of one in an array"] = i => i.Token(("a.b", "x"), ("a", new[] { new { b = "y" } })).ToString(),
        ["an array with the flat name of a claim behind it"] = i => i.Token(("a", new[] { new { b = "y" } }), ("a.b", "x")).ToString(),
        ["a claim with the flat name of one in an array without a name"] = i => i.Token(("b", "x"), ("", new[] { new { b = "y" } })).ToString(),
        ["two claims with one flat name within an array"] = i => i.Token(("a", new[] { new Dictionary<string, object>(StringComparer.Ordinal) { ["b.c"] = "x", ["b"] = new { c = "y" } } })).ToString(),
        ["nested without end"] = i => Raw(i, i.Token().Header, i.Token().Payload.Replace("{", $$"""{"x":{{new string('[', 500)}}{{new string(']', 500)}},""", StringComparison.Ordinal)),
        ["truncated"] = i => i.Token().ToString()[..^1],
        ["without its signature"] = i => Unsigned(i.Token()),
        ["two parts"] = i => i.Token().ToString()[..i.Token().ToString().LastIndexOf('.')],
        ["four parts"] = i => $"{i.Token()}.AAAA",
        ["padded"] = i => $"{i.Token()}==",
        ["an edited payload"] = i => Transplant(i.Token(("sub", "root")), i.Token()),
        ["a flipped bit in the signature"] = i => Flipped(i.Token().ToString()),
        ["a signature of zeros"] = i => $"{Unsigned(i.Token())}{Base64Url.EncodeToString(new byte[64])}",
        ["a DER signature"] = i => Der(i.Token()),
        ["an algorithm that is not allowed"] = i => i.Token().SignedBy(new TestKey("k1", "ES384")).WithHeader(("alg", "ES384")).ToString(),
    };

    public static TheoryData<string> Names => [.. Forgeries.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_forgery_is_refused_by_HTTP_and_by_gRPC(string name)
    {
        var forgery = Forgeries[name](callers.Issuer);
        var http = await callers.Process.As(token: null).CallAsync(Request(forgery));
        Assert.True(http.Code == 401, $"{name}: {http}");
        Assert.Equal("urn:signsvc:problem:unauthenticated", http["type"]);
        using var grpc = new GrpcClient(await CallersService.GrpcAddressAsync(callers.Process), forgery);
        Assert.Equal(StatusCode.Unauthenticated, (await grpc.FailAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Status);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_forgery_is_refused_by_foreign_APIs_and_is_exchanged_for_nothing(string name)
    {
        var forgery = Forgeries[name](callers.Issuer);
        var (header, login, kms, exchange) = await ElsewhereAsync(forgery);
        Assert.True(header.Code == 403 && header.Text.Contains("permission denied", StringComparison.Ordinal), $"{name}, X-Vault-Token: {header}");
        Assert.True(login.Code is 400 or 403, $"{name}, auth/jwt/login: {login}");
        Assert.True(kms.Code is 400 or 403 && !kms.Text.Contains("KeyMetadata", StringComparison.Ordinal), $"{name}, AWS KMS's API: {kms}");
        Assert.True(exchange.Code == 400 && exchange["error"] is "invalid_request", $"{name}, token exchange: {exchange}");
    }

    [Fact]
    public async Task The_token_that_they_are_made_of_is_good_by_foreign_APIs_and_is_exchanged()
    {
        var (header, login, _, exchange) = await ElsewhereAsync(callers.Issuer.Token(("nothing", "wrong")).ToString());
        Assert.Equal("oidc:local:build", header.Json.GetProperty("data").GetProperty("display_name").GetString());
        Assert.Equal((200, 200), (login.Code, exchange.Code));
    }

    [Fact]
    public async Task The_token_that_they_are_made_of_is_good_by_HTTP_and_by_gRPC()
    {
        var good = callers.Issuer.Token(("nothing", "wrong")).ToString();
        var http = await callers.Process.As(good).GetJsonAsync("/v1/whoami");
        Assert.Equal("oidc:local:build", http["principal"]);

        // It is known, and may do nothing: no policy says otherwise.
        using var grpc = new GrpcClient(await CallersService.GrpcAddressAsync(callers.Process), good);
        Assert.Equal(StatusCode.PermissionDenied, (await grpc.FailAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Status);
    }

    [Fact]
    public async Task Headers_that_point_elsewhere_are_never_followed()
    {
        await using var trap = await LocalIssuer.StartAsync();
        foreach (var (header, value) in new (string, object)[]
        {
            ("jku", $"{trap.Url}/keys"), ("x5u", $"{trap.Url}/keys"), ("kid", $"{trap.Url}/keys"), ("iss", trap.Url), ("x5c", new[] { "AAAA" }),
        })
            Assert.Equal(401, (await callers.Process.As(token: null).CallAsync(Request(trap.Token(("iss", callers.Issuer.Url)).WithHeader((header, value)).ToString()))).Code);
        Assert.Equal(401, (await callers.Process.As(token: null).CallAsync(Request(trap.Token().ToString()))).Code);
        Assert.Equal((0, 0), (trap.Discoveries, trap.Fetches));
    }

    /// <summary>The same token at every other place that takes one; AWS's API takes none.</summary>
    private async Task<(JsonAnswer Header, JsonAnswer Login, JsonAnswer Kms, JsonAnswer Exchange)> ElsewhereAsync(string token)
    {
        using var stranger = callers.Process.As(token: null);
        using var self = new HttpRequestMessage(HttpMethod.Get, "/v1/auth/token/lookup-self");
        Assert.True(self.Headers.TryAddWithoutValidation("X-Vault-Token", token));
        using var kms = new HttpRequestMessage(HttpMethod.Post, "/") { Content = new StringContent("""{"KeyId":"release"}""", Encoding.UTF8, "application/x-amz-json-1.1") };
        kms.Headers.Add("X-Amz-Target", "TrentService.DescribeKey");
        Assert.True(kms.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}"));
        const string grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        var put = await callers.Process.Client.CallAsync(
            HttpMethod.Put, "/v1/profiles/exchanged", $$"""{"key":"tokens","audiences":["https://deploy.example/"],"grants":["{{grant}}"]}""");
        Assert.True(put.Code == 200, put.ToString());
        using var exchange = new HttpRequestMessage(HttpMethod.Post, "/oauth2/token")
        {
            Content = new FormUrlEncodedContent(new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["grant_type"] = grant,
                ["subject_token"] = token,
                ["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token",
                ["resource"] = "https://deploy.example/",
                ["client_id"] = "bootstrap",
                ["client_secret"] = callers.Process.AdminToken,
            }),
        };
        return (
            await stranger.CallAsync(self), await stranger.PostJsonAsync("/v1/auth/jwt/login", $$"""{"role":"any","jwt":{{JsonSerializer.Serialize(token)}}}"""),
            await stranger.CallAsync(kms), await stranger.CallAsync(exchange));
    }

    private static HttpRequestMessage Request(string token)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, "/v1/whoami");
        Assert.True(request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {token}"));
        return request;
    }

    private static long Now(int seconds) => TimeProvider.System.GetUtcNow().AddSeconds(seconds).ToUnixTimeSeconds();

    private static string Text(long number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static string Raw(LocalIssuer issuer, string header, string payload) => TestToken.Join(header, payload, issuer.Keys[0].Sign);

    private static string Unsigned(TestToken token) => TestToken.Join(token.Header, token.Payload, _ => []);

    private static string Transplant(TestToken token, TestToken from) => Unsigned(token) + from.ToString().Split('.')[2];

    private static string Hmac(TestToken token, string key)
    {
        var forged = token.WithHeader(("alg", "HS256"));
        return TestToken.Join(forged.Header, forged.Payload, data => HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), data));
    }

    private static string WithJwk(TestToken token)
    {
        var key = new TestKey("k1");
        return token.WithHeader(("jwk", JsonNode.Parse(key.Jwk()))).SignedBy(key).ToString();
    }

    private static string Flipped(string token)
    {
        var parts = token.Split('.');
        var signature = Base64Url.DecodeFromChars(parts[2]);
        signature[5] ^= 1;
        return $"{parts[0]}.{parts[1]}.{Base64Url.EncodeToString(signature)}";
    }

    /// <summary>Right, but not in the form that JWS has (RFC 7518 section 3.4).</summary>
    private static string Der(TestToken token)
    {
        var parts = token.ToString().Split('.');
        var raw = Base64Url.DecodeFromChars(parts[2]);
        var writer = new System.Formats.Asn1.AsnWriter(System.Formats.Asn1.AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteIntegerUnsigned(raw.AsSpan(0, 32).TrimStart((byte)0));
            writer.WriteIntegerUnsigned(raw.AsSpan(32).TrimStart((byte)0));
        }

        return $"{parts[0]}.{parts[1]}.{Base64Url.EncodeToString(writer.Encode())}";
    }
}
