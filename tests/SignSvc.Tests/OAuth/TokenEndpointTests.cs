using System.Net.Http.Headers;
using System.Text;

namespace SignSvc.Tests.OAuth;

/// <summary><c>/oauth2/token</c> with a client's secret: RFC 6749, RFC 8707.</summary>
public sealed class TokenEndpointTests(RunningService service) : IAsyncLifetime
{
    private const string Path = "/oauth2/token";
    private const string Form = "grant_type=client_credentials&resource=https%3A%2F%2Fapi.example%2F";

    private HttpClient _stranger = null!;
    private string _name = "";
    private string _id = "";
    private string _token = "";

    private string Basic => $"{_name}:{_token}";

    public async ValueTask InitializeAsync()
    {
        _stranger = service.Process.As(token: null);
        var client = await service.NewCredentialAsync("signer");
        (_name, _id, _token) = (client["name"], client["id"], client["token"]);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_client_gets_an_access_token_by_its_secret_in_the_header_or_in_the_body()
    {
        var byHeader = await _stranger.GrantAsync(Path, Form, Basic);
        Assert.Equal("Bearer", byHeader.GetProperty("token_type").GetString());
        var claims = byHeader.Claims();
        Assert.Equal(300, byHeader.GetProperty("expires_in").GetInt32());
        Assert.Equal(300, claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64());
        Assert.Equal("https://api.example/", claims.GetProperty("aud").GetString());
        Assert.Equal(_name, claims.GetProperty("sub").GetString());
        Assert.Equal(_name, claims.GetProperty("client_id").GetString());
        Assert.Equal(service.Process.Url.ToString().TrimEnd('/'), claims.GetProperty("iss").GetString());

        // By id, by the secret behind it alone, form-encoded as RFC 6749 section 2.3.1 has it.
        var secret = _token.Split('_', 3)[2];
        foreach (var basic in (string[])[$"{_id}:{_token}", $"{_name}:{secret}", $"{_name.Replace("-", "%2D", StringComparison.Ordinal)}:{OAuthCalls.Escape(_token)}"])
            await _stranger.GrantAsync(Path, Form, basic);
        foreach (var body in (string[])[$"&client_id={_name}&client_secret={_token}", $"&client_id={_id}&client_secret={secret}&unknown=x&scope="])
            Assert.Equal(200, (await _stranger.PostFormAsync(Path, Form + body)).Code);
    }

    [Fact]
    public async Task What_was_granted_is_on_record_with_client_grant_and_jti()
    {
        var granted = await _stranger.GrantAsync(Path, Form, Basic);
        var records = (await service.Admin.MustGetAsync($"/v1/audit?caller=credential:{_name}")).Json.GetProperty("records");
        var record = records.EnumerateArray().First();
        Assert.Equal("tokens:Issue", record.GetProperty("action").GetString());
        Assert.Equal("client_credentials", record.GetProperty("grant").GetString());
        Assert.Equal(granted.Claims().GetProperty("jti").GetString(), record.GetProperty("tokenId").GetString());
    }

    [Fact]
    public async Task A_client_that_gets_tokens_has_used_its_credential()
    {
        Assert.False((await service.Admin.MustGetAsync($"/v1/credentials/{_name}")).Json.TryGetProperty("lastUsedAt", out _));
        await _stranger.PostFormAsync(Path, Form, $"{_name}:wrong");
        Assert.False((await service.Admin.MustGetAsync($"/v1/credentials/{_name}")).Json.TryGetProperty("lastUsedAt", out _));
        await _stranger.GrantAsync(Path, Form, Basic);
        Assert.True((await service.Admin.MustGetAsync($"/v1/credentials/{_name}")).Json.TryGetProperty("lastUsedAt", out _));
    }

    [Theory]
    [InlineData("", "invalid_request")]
    [InlineData("grant_type=", "invalid_request")]
    [InlineData("grant_type=password&username=a&password=b", "unsupported_grant_type")]
    [InlineData("grant_type=client_credentials&grant_type=client_credentials&resource=https://x/", "invalid_request")]
    [InlineData("grant_type=client_credentials&scope=a&scope=b&resource=https://x/", "invalid_request")]
    [InlineData("grant_type=client_credentials&resource=https://x/&scope=nobody", "invalid_scope")]
    [InlineData("grant_type=client_credentials&resource=https://x/&scope=a++b", "invalid_scope")]
    [InlineData("grant_type=client_credentials&resource=https://x/&scope=%22", "invalid_scope")]
    [InlineData("grant_type=client_credentials&resource=relative", "invalid_target")]
    [InlineData("grant_type=client_credentials&resource=https://x/%23fragment", "invalid_target")]
    [InlineData("grant_type=client_credentials&resource=/foo", "invalid_target")]
    [InlineData("grant_type=client_credentials&resource=//evil/x", "invalid_target")]
    [InlineData("grant_type=client_credentials&resource=//evil:80/x", "invalid_target")]
    [InlineData("grant_type=client_credentials&resource=:x", "invalid_target")]
    [InlineData("grant_type=client_credentials", "invalid_target")]
    [InlineData("grant_type=client_credentials&resource=https://x/&profile=nobody", "invalid_request")]
    [InlineData("grant_type=client_credentials&resource=https://x/%00", "invalid_request")]
    [InlineData("grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=a", "unauthorized_client")]
    public async Task A_refusal_has_the_shape_of_RFC_6749(string form, string error) =>
        (await _stranger.PostFormAsync(Path, form, Basic)).MustBeOAuthError(400, error);

    [Fact]
    public async Task A_client_that_does_not_prove_itself_is_refused_alike_whatever_is_wrong()
    {
        var other = await service.NewCredentialAsync("signer");
        var revoked = await service.NewCredentialAsync("signer");
        await service.Admin.MustPostAsync(200, $"/v1/credentials/{revoked["name"]}/revoke");
        var descriptions = new HashSet<string>(StringComparer.Ordinal);
        foreach (var basic in (string[])
            [
                $"{_name}:wrong", $"{_name}:{other["token"]}", $"nobody:{_token}", $"{revoked["name"]}:{revoked["token"]}", $"{_name}:", $":{_token}", _name, "",
                $"{other["id"]}:{_token}",
            ])
        {
            var answer = await _stranger.PostFormAsync(Path, Form, basic);
            answer.MustBeOAuthError(401, "invalid_client");
            descriptions.Add(answer["error_description"]);
        }

        Assert.Single(descriptions);
        (await _stranger.PostFormAsync(Path, Form)).MustBeOAuthError(401, "invalid_client");
        (await _stranger.PostFormAsync(Path, $"{Form}&client_id={_name}")).MustBeOAuthError(401, "invalid_client");
        using var bearer = service.Process.As(_token);
        (await bearer.PostFormAsync(Path, Form)).MustBeOAuthError(401, "invalid_client");
    }

    [Fact]
    public async Task Two_methods_at_once_two_clients_at_once_and_other_bodies_are_refused()
    {
        (await _stranger.PostFormAsync(Path, $"{Form}&client_id={_name}&client_secret={_token}", Basic)).MustBeOAuthError(400, "invalid_request");
        (await _stranger.PostFormAsync(Path, $"{Form}&client_id=other", Basic)).MustBeOAuthError(400, "invalid_request");
        (await _stranger.PostFormAsync($"{Path}?{Form}", Form, Basic)).MustBeOAuthError(400, "invalid_request");
        var json = new HttpRequestMessage(HttpMethod.Post, Path) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        json.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(Basic)));
        (await _stranger.CallAsync(json)).MustBeOAuthError(400, "invalid_request");
        (await _stranger.PostFormAsync(Path, $"{Form}&x={new string('x', 100_000)}", Basic)).MustBeOAuthError(413, "invalid_request");
        (await _stranger.PostFormAsync(Path, $"{Form}&x={new string('x', 17_000)}", Basic)).MustBeOAuthError(400, "invalid_request");
        (await _stranger.PostFormAsync(Path, string.Join('&', Enumerable.Range(0, 100).Select(i => $"p{i}=1")), Basic)).MustBeOAuthError(400, "invalid_request");
        Assert.Equal(405, (await _stranger.GetJsonAsync(Path)).Code);
    }

    /// <summary>Nobody has to be known for this: what is not had must not fall over.</summary>
    [Theory]
    [InlineData("utf-7")]
    [InlineData("utf-16")]
    [InlineData("nothing-that-is")]
    [InlineData("\"")]
    public async Task A_form_in_another_charset_is_refused(string charset)
    {
        foreach (var path in (string[])[Path, "/oauth2/introspect", "/oauth2/revoke"])
        {
            using var content = new StringContent(Form);
            content.Headers.Remove("Content-Type");
            Assert.True(content.Headers.TryAddWithoutValidation("Content-Type", $"application/x-www-form-urlencoded; charset={charset}"));
            (await _stranger.CallAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = content })).MustBeOAuthError(400, "invalid_request");
        }
    }

    [Fact]
    public async Task A_key_that_is_disabled_is_unavailable_and_nobody_says_for_how_long()
    {
        var name = RunningService.NewName("disabled");
        await service.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"ECC_NIST_P256"}""");
        await PutAsync(name, $$"""{"key":"{{name}}","issuer":"{{name}}","audiences":["a"]}""");
        await service.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
        var answer = await _stranger.PostFormAsync($"/issuers/{name}/oauth2/token", "grant_type=client_credentials", Basic);
        answer.MustBeOAuthError(503, "temporarily_unavailable");
        Assert.Null(answer.Headers.RetryAfter);
    }

    [Fact]
    public async Task A_client_without_the_right_to_tokens_is_no_authorized_client()
    {
        var auditor = await service.NewCredentialAsync("auditor");
        var answer = await _stranger.PostFormAsync(Path, Form, $"{auditor["name"]}:{auditor["token"]}");
        answer.MustBeOAuthError(400, "unauthorized_client");
        Assert.NotEmpty(answer["audit_id"]);
    }

    [Fact]
    public async Task Scopes_and_audiences_lead_to_the_profile_that_names_them()
    {
        var issuer = RunningService.NewName("issuer");
        await PutAsync($"{issuer}-read", $$"""{"key":"tokens","issuer":"{{issuer}}","audiences":["https://a.example/"],"scopes":["read"],"claims":{"p":"read"} }""");
        await PutAsync($"{issuer}-write", $$"""{"key":"tokens","issuer":"{{issuer}}","audiences":["https://a.example/","https://b.example/*"],"scopes":["read","write"],"claims":{"p":"write"} }""");
        var path = $"/issuers/{issuer}/oauth2/token";

        var write = await _stranger.GrantAsync(path, "grant_type=client_credentials&scope=write", Basic);
        Assert.Equal("write", write.GetProperty("scope").GetString());
        Assert.Equal("write", write.Claims().GetProperty("scope").GetString());
        Assert.Equal("https://a.example/", write.Claims().GetProperty("aud").GetString());
        Assert.Equal($"{service.Process.Url}issuers/{issuer}", write.Claims().GetProperty("iss").GetString());
        var second = await _stranger.GrantAsync(path, "grant_type=client_credentials&resource=https://b.example/x&audience=https://a.example/", Basic);
        Assert.Equal("""["https://b.example/x","https://a.example/"]""", second.Claims().GetProperty("aud").GetRawText());
        Assert.Equal("write", second.Claims().GetProperty("p").GetString());
        // Both fit: the client says which.
        (await _stranger.PostFormAsync(path, "grant_type=client_credentials&scope=read", Basic)).MustBeOAuthError(400, "invalid_request");
        var named = await _stranger.GrantAsync(path, $"grant_type=client_credentials&scope=read&profile={issuer}-read", Basic);
        Assert.Equal("read", named.Claims().GetProperty("p").GetString());
        (await _stranger.PostFormAsync(path, "grant_type=client_credentials&resource=https://c.example/", Basic)).MustBeOAuthError(400, "invalid_target");
        Assert.Equal(404, (await _stranger.PostFormAsync("/issuers/nobody/oauth2/token", Form, Basic)).Code);
    }

    private async Task PutAsync(string profile, string body) =>
        Assert.Equal(200, (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{profile}", body)).Code);
}
