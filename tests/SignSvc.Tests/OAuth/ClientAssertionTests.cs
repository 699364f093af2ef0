using System.Security.Cryptography;

namespace SignSvc.Tests.OAuth;

/// <summary><c>private_key_jwt</c> (RFC 7523): forgeries, and the jti that is used once (promise 12).</summary>
public sealed class ClientAssertionTests(RunningService service) : IAsyncLifetime
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private HttpClient _stranger = null!;
    private string _client = "";
    private string _secret = "";

    public async ValueTask InitializeAsync()
    {
        _stranger = service.Process.As(token: null);
        var credential = await service.NewCredentialAsync("signer");
        (_client, _secret) = (credential["name"], credential["token"]);
        await PutKeysAsync(service.Admin, _client, _key.Jwk(",\"kid\":\"k1\",\"alg\":\"ES256\""));
    }

    public ValueTask DisposeAsync()
    {
        _key.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_signed_assertion_is_taken_and_replays_are_not()
    {
        var assertion = Assertion();
        Assert.Equal(200, (await SendAsync(assertion)).Code);
        (await SendAsync(assertion)).MustBeOAuthError(401, "invalid_client");
        // Another jti is another assertion; a client may say who it is beside it.
        Assert.Equal(200, (await SendAsync(Assertion(), $"&client_id={_client}")).Code);
        (await SendAsync(Assertion(), "&client_id=bootstrap")).MustBeOAuthError(401, "invalid_client");
        (await SendAsync(Assertion(), "&client_secret=x")).MustBeOAuthError(400, "invalid_request");
    }

    [Fact]
    public async Task A_client_that_signs_assertions_has_used_its_credential()
    {
        Assert.False((await service.Admin.MustGetAsync($"/v1/credentials/{_client}")).Json.TryGetProperty("lastUsedAt", out _));
        Assert.Equal(200, (await SendAsync(Assertion())).Code);
        Assert.True((await service.Admin.MustGetAsync($"/v1/credentials/{_client}")).Json.TryGetProperty("lastUsedAt", out _));
    }

    [Fact]
    public async Task Of_many_that_replay_one_assertion_at_once_exactly_one_gets_a_token()
    {
        for (var round = 0; round < 5; round++)
        {
            var assertion = Assertion();
            var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => SendAsync(assertion)));
            Assert.Single(answers, a => a.Code == 200);
            Assert.All(answers.Where(a => a.Code != 200), a => a.MustBeOAuthError(401, "invalid_client"));
        }
    }

    [Fact]
    public async Task A_replay_is_refused_after_a_restart_too()
    {
        // One address for both processes, because an assertion names it.
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__PublicUrl"] = "https://issuer.example" };
        await using var process = await ServiceProcess.StartAsync(new ServiceOptions { Environment = environment });
        await PutKeysAsync(process.Client, "bootstrap", _key.Jwk());
        var assertion = Sign(ClaimsOf("bootstrap", "https://issuer.example"));
        Assert.Equal(200, (await PostAsync(process.As(token: null), assertion)).Code);
        await process.RestartAsync();
        (await PostAsync(process.As(token: null), assertion)).MustBeOAuthError(401, "invalid_client");
        Assert.Equal(200, (await PostAsync(process.As(token: null), Sign(ClaimsOf("bootstrap", "https://issuer.example")))).Code);
    }

    [Fact]
    public async Task Forged_assertions_are_refused()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var good = Assertion();
        var parts = good.Split('.');
        var now = OAuthCalls.Now;
        var header = """{"alg":"ES256","kid":"k1","typ":"JWT"}""";
        string Claims(string iss, string sub, string aud, long exp, string more = "") =>
            $$"""{"iss":"{{iss}}","sub":"{{sub}}","aud":{{aud}},"exp":{{exp}},"jti":"{{OAuthCalls.NewId()}}"{{more}}}""";
        var issuer = $"\"{Issuer}\"";
        foreach (var forged in (string[])
            [
                other.Sign(header, ClaimsOf(_client, Issuer)),
                $"{parts[0]}.{OAuthCalls.Encode(ClaimsOf(_client, Issuer))}.{parts[2]}",
                $"{OAuthCalls.Encode("""{"alg":"none"}""")}.{parts[1]}.",
                $"{parts[0]}.{parts[1]}.{new string('A', 86)}",
                $"{parts[0]}.{parts[1]}",
                $"{good}=",
                _key.Sign("""{"alg":"HS256","kid":"k1"}""", ClaimsOf(_client, Issuer)),
                _key.Sign("""{"alg":"ES256","kid":"k2"}""", ClaimsOf(_client, Issuer)),
                _key.Sign("""{"alg":"ES256","typ":"at+jwt"}""", ClaimsOf(_client, Issuer)),
                _key.Sign("""{"alg":"ES256","crit":["x"],"x":1}""", ClaimsOf(_client, Issuer)),
                _key.Sign("""{"alg":"ES256","alg":"ES256"}""", ClaimsOf(_client, Issuer)),
                other.Sign($$"""{"alg":"ES256","jwk":{{other.Jwk()}}}""", ClaimsOf(_client, Issuer)),
                _key.Sign(header, Claims("bootstrap", "bootstrap", issuer, now + 60)),
                _key.Sign(header, Claims("bootstrap", _client, issuer, now + 60)),
                _key.Sign(header, Claims(_client, _client, "\"https://other.example\"", now + 60)),
                _key.Sign(header, Claims(_client, _client, $"[{issuer}]", now + 60)),
                _key.Sign(header, Claims(_client, _client, $"\"{Issuer}/oauth2/token\"", now + 60)),
                _key.Sign(header, Claims(_client, _client, issuer, now - 60)),
                _key.Sign(header, Claims(_client, _client, issuer, now + 86_400)),
                _key.Sign(header, Claims(_client, _client, issuer, now + 60, $",\"nbf\":{now + 600}")),
                _key.Sign(header, Claims(_client, _client, issuer, now + 60, $",\"iat\":{now + 600}")),
                _key.Sign(header, Claims(_client, _client, issuer, now + 60, $",\"iat\":\"{now}\"")),
                _key.Sign(header, Claims(_client, _client, issuer, now + 60, $",\"nbf\":\"{now}\"")),
                _key.Sign(header, $$"""{"iss":"{{_client}}","sub":"{{_client}}","aud":{{issuer}},"exp":"{{now + 60}}","jti":"{{OAuthCalls.NewId()}}"}"""),
                _key.Sign(header, $$"""{"iss":"{{_client}}","sub":"{{_client}}","aud":{{issuer}},"exp":{{now + 60}}}"""),
                _key.Sign(header, $$"""{"iss":"{{_client}}","sub":"{{_client}}","aud":{{issuer}},"jti":"{{OAuthCalls.NewId()}}"}"""),
                "x", "..", "a.b.c",
            ])
        {
            (await SendAsync(forged)).MustBeOAuthError(401, "invalid_client");
        }

        Assert.Equal(200, (await SendAsync(good)).Code);
        var type = await _stranger.PostFormAsync(
            "/oauth2/token", $"grant_type=client_credentials&resource=https://x/&client_assertion_type=x&client_assertion={Assertion()}");
        type.MustBeOAuthError(400, "invalid_request");
    }

    [Fact]
    public async Task A_client_that_is_given_no_methods_is_taken_by_all_that_it_has_something_for()
    {
        await MustTakeAsync("client_secret_basic", "client_secret_post", "private_key_jwt");
        await PutAsync("""{"keys":[]}""");
        await MustTakeAsync("client_secret_basic", "client_secret_post");
    }

    [Theory]
    [InlineData("client_secret_basic")]
    [InlineData("client_secret_post")]
    [InlineData("private_key_jwt")]
    [InlineData("client_secret_basic", "private_key_jwt")]
    [InlineData("client_secret_basic", "client_secret_post", "private_key_jwt")]
    public async Task A_client_is_taken_by_the_methods_that_it_is_given_and_by_no_other(params string[] methods)
    {
        await PutAsync($$"""{"keys":[{{_key.Jwk()}}],"tokenEndpointAuthMethods":["{{string.Join("\",\"", methods)}}"]}""");
        await MustTakeAsync(methods);
        var shown = (await service.Admin.MustGetAsync($"/v1/credentials/{_client}")).Json.GetProperty("tokenEndpointAuthMethods");
        Assert.Equal(methods, shown.EnumerateArray().Select(m => m.GetString()!), StringComparer.Ordinal);
    }

    [Theory]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":[]}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":"client_secret_basic"}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":["client_secret_jwt"]}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":["tls_client_auth"]}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":["none"]}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":[1]}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":["\ud800"]}""")]
    [InlineData("""{"keys":[],"tokenEndpointAuthMethods":["private_key_jwt"]}""")]
    [InlineData("""{"keys":[{"kty":"oct","k":"AAAA"}]}""")]
    [InlineData("""{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}""")]
    [InlineData("""{"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]}""")]
    [InlineData("""{"keys":[{"kty":"EC","crv":"secp256k1","x":"AAAA","y":"AAAA"}]}""")]
    [InlineData("""{"keys":[{"kty":"\ud800"}]}""")]
    [InlineData("""{"keys":[{"kty":"EC","crv":"P-256","x":"\ud800","y":"AAAA"}]}""")]
    [InlineData("""{"keys":[{"kty":"EC","\ud800":"P-256"}]}""")]
    [InlineData("""{"keys":"x"}""")]
    [InlineData("""[]""")]
    [InlineData("""{"keys":[1,2,3,4,5,6,7,8,9,10,11]}""")]
    public async Task Keys_that_are_none_are_refused(string set) =>
        (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/credentials/{_client}/keys", set)).MustBeProblem(400, "invalid-request");

    [Fact]
    public async Task A_private_key_is_refused_and_a_removed_key_opens_nothing()
    {
        (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/credentials/{_client}/keys", $$"""{"keys":[{{_key.Jwk(",\"d\":\"AAAA\"")}}]}""")).MustBeProblem(400, "invalid-request");
        Assert.Equal(200, (await SendAsync(Assertion())).Code);
        Assert.Equal(200, (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/credentials/{_client}/keys", """{"keys":[]}""")).Code);
        (await SendAsync(Assertion())).MustBeOAuthError(401, "invalid_client");
        using var signer = await service.AsAsync("signer");
        (await signer.CallAsync(HttpMethod.Put, $"/v1/credentials/{_client}/keys", """{"keys":[]}""")).MustBeProblem(403, "forbidden");
    }

    /// <summary>At every endpoint that clients authenticate at; what the methods leave out is refused like a wrong secret.</summary>
    private async Task MustTakeAsync(params string[] methods)
    {
        foreach (var path in (string[])["token", "introspect", "revoke"])
        {
            const string form = "grant_type=client_credentials&resource=https://x/&token=x";
            var answers = new Dictionary<string, JsonAnswer>(StringComparer.Ordinal)
            {
                ["client_secret_basic"] = await _stranger.PostFormAsync($"/oauth2/{path}", form, $"{_client}:{_secret}"),
                ["client_secret_post"] = await _stranger.PostFormAsync($"/oauth2/{path}", $"{form}&client_id={_client}&client_secret={_secret}"),
                ["private_key_jwt"] = await _stranger.PostFormAsync(
                    $"/oauth2/{path}",
                    $"{form}&client_assertion_type={OAuthCalls.Escape(OAuthCalls.AssertionType)}&client_assertion={OAuthCalls.Escape(Assertion())}"),
            };
            foreach (var (method, answer) in answers)
            {
                if (methods.Contains(method, StringComparer.Ordinal))
                    Assert.True(answer.Code == 200, $"{method} at {path}: {answer}");
                else
                    answer.MustBeOAuthError(401, "invalid_client");
            }
        }
    }

    private async Task PutAsync(string set) => Assert.Equal(200, (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/credentials/{_client}/keys", set)).Code);

    private string Issuer => service.Process.Url.ToString().TrimEnd('/');

    private string Assertion() => Sign(ClaimsOf(_client, Issuer));

    private string Sign(string claims) => _key.Sign("""{"alg":"ES256","typ":"JWT"}""", claims);

    private static string ClaimsOf(string client, string issuer) =>
        $$"""{"iss":"{{client}}","sub":"{{client}}","aud":"{{issuer}}","exp":{{OAuthCalls.Now + 60}},"iat":{{OAuthCalls.Now}},"jti":"{{OAuthCalls.NewId()}}"}""";

    private Task<JsonAnswer> SendAsync(string assertion, string more = "") => PostAsync(_stranger, assertion, more);

    private static Task<JsonAnswer> PostAsync(HttpClient client, string assertion, string more = "") => client.PostFormAsync(
        "/oauth2/token",
        $"grant_type=client_credentials&resource=https://x/&client_assertion_type={OAuthCalls.Escape(OAuthCalls.AssertionType)}&client_assertion={OAuthCalls.Escape(assertion)}{more}");

    private static async Task PutKeysAsync(HttpClient admin, string client, string jwk) =>
        Assert.Equal(200, (await admin.CallAsync(HttpMethod.Put, $"/v1/credentials/{client}/keys", $$"""{"keys":[{{jwk}}]}""")).Code);
}
