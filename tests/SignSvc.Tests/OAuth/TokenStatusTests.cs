using System.Text.Json;

namespace SignSvc.Tests.OAuth;

/// <summary>Introspection (RFC 7662), revocation (RFC 7009) and exchange (RFC 8693) of the service's own tokens.</summary>
public sealed class TokenStatusTests(RunningService service) : IAsyncLifetime
{
    private const string AccessToken = "urn:ietf:params:oauth:token-type:access_token";

    private readonly string _issuer = RunningService.NewName("status");
    private HttpClient _stranger = null!;
    private string _basic = "";
    private string _name = "";

    public async ValueTask InitializeAsync()
    {
        _stranger = service.Process.As(token: null);
        var client = await service.NewCredentialAsync("signer");
        _name = client["name"];
        _basic = $"{_name}:{client["token"]}";
        await PutProfileAsync(_issuer, introspection: true);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_token_is_active_until_it_is_revoked_by_its_own_client()
    {
        var granted = await GrantAsync("grant_type=client_credentials&scope=read");
        var token = granted.GetProperty("access_token").GetString()!;
        var active = await StatusAsync(token);
        Assert.True(active.GetProperty("active").GetBoolean());
        Assert.Equal("read", active.GetProperty("scope").GetString());
        Assert.Equal(_name, active.GetProperty("client_id").GetString());
        Assert.Equal(granted.Claims().GetProperty("jti").GetString(), active.GetProperty("jti").GetString());

        var other = await service.NewCredentialAsync("signer");
        (await PostAsync("revoke", $"token={token}", $"{other["name"]}:{other["token"]}")).MustBeOAuthError(400, "unauthorized_client");
        Assert.True((await StatusAsync(token)).GetProperty("active").GetBoolean());
        Assert.Equal(200, (await PostAsync("revoke", $"token={token}&token_type_hint=access_token")).Code);
        Assert.Equal("""{"active":false}""", (await StatusAsync(token)).GetRawText());
        Assert.Equal(200, (await PostAsync("revoke", $"token={token}")).Code);
        (await PostAsync("token", ExchangeOf(token))).MustBeOAuthError(400, "invalid_request");
    }

    [Fact]
    public async Task A_token_is_asked_of_the_profile_that_issued_it_whichever_others_have_its_key_and_issuer()
    {
        var silent = $"{_issuer}-silent";
        await PutProfileAsync(silent, introspection: false);
        var asking = await TokenOfAsync(_issuer);
        var other = await TokenOfAsync(silent);
        Assert.True((await StatusAsync(asking)).GetProperty("active").GetBoolean());
        Assert.Equal("""{"active":false}""", (await StatusAsync(other)).GetRawText());
        (await PostAsync("revoke", $"token={other}")).MustBeOAuthError(400, "unsupported_token_type");

        await PutProfileAsync(_issuer, introspection: false);
        await PutProfileAsync(silent, introspection: true);
        Assert.Equal("""{"active":false}""", (await StatusAsync(asking)).GetRawText());
        Assert.True((await StatusAsync(other)).GetProperty("active").GetBoolean());
        Assert.Equal(200, (await PostAsync("revoke", $"token={other}")).Code);
        Assert.Equal("""{"active":false}""", (await StatusAsync(other)).GetRawText());
    }

    [Fact]
    public async Task A_profile_whose_tokens_are_introspected_is_not_deleted_before_they_are_inactive()
    {
        var further = $"{_issuer}-further";
        await PutProfileAsync(further, introspection: true);
        var token = await TokenOfAsync(further);
        (await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/profiles/{further}", "")).MustBeProblem(409, "still-in-use");
        Assert.True((await StatusAsync(token)).GetProperty("active").GetBoolean());

        await PutProfileAsync(further, introspection: false);
        Assert.Equal(200, (await PostAsync("token", ExchangeOf(token, $"&profile={_issuer}"))).Code);
        Assert.Equal(204, (await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/profiles/{further}", "")).Code);
        Assert.Equal("""{"active":false}""", (await StatusAsync(token)).GetRawText());
        Assert.Equal(200, (await PostAsync("revoke", $"token={token}")).Code);
        (await PostAsync("token", ExchangeOf(token, $"&profile={_issuer}"))).MustBeOAuthError(400, "invalid_request");
    }

    [Fact]
    public async Task A_token_of_nobody_is_inactive_and_strangers_are_told_nothing()
    {
        var token = (await GrantAsync("grant_type=client_credentials")).GetProperty("access_token").GetString()!;
        var parts = token.Split('.');
        foreach (var none in (string[])["x", $"{parts[0]}.{parts[1]}.{new string('A', 86)}", $"{parts[0]}.{OAuthCalls.Encode("{}")}.{parts[2]}"])
        {
            Assert.Equal("""{"active":false}""", (await StatusAsync(none)).GetRawText());
            Assert.Equal(200, (await PostAsync("revoke", $"token={none}")).Code);
        }

        (await PostAsync("introspect", $"token={token}", "nobody:x")).MustBeOAuthError(401, "invalid_client");
        (await PostAsync("introspect", "x=y")).MustBeOAuthError(400, "invalid_request");
        // Of another issuer, and of a profile that does not ask for it.
        Assert.Equal("""{"active":false}""", (await _stranger.PostFormAsync("/oauth2/introspect", $"token={token}", _basic)).Text);
        var plain = (await _stranger.GrantAsync("/oauth2/token", "grant_type=client_credentials&resource=https://api.example/", _basic)).GetProperty("access_token").GetString();
        Assert.Equal("""{"active":false}""", (await _stranger.PostFormAsync("/oauth2/introspect", $"token={plain}", _basic)).Text);
        (await _stranger.PostFormAsync("/oauth2/revoke", $"token={plain}", _basic)).MustBeOAuthError(400, "unsupported_token_type");
    }

    [Fact]
    public async Task A_revocation_outlives_a_restart()
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__PublicUrl"] = "https://issuer.example" };
        await using var process = await ServiceProcess.StartAsync(new ServiceOptions { Environment = environment });
        Assert.Equal(200, (await process.Client.CallAsync(HttpMethod.Put, "/v1/profiles/default", """{"key":"tokens","audiences":["a"],"introspection":true}""")).Code);
        var basic = $"bootstrap:{process.AdminToken}";
        var revoked = (await process.Client.GrantAsync("/oauth2/token", "grant_type=client_credentials", basic)).GetProperty("access_token").GetString();
        var kept = (await process.Client.GrantAsync("/oauth2/token", "grant_type=client_credentials", basic)).GetProperty("access_token").GetString();
        Assert.Equal(200, (await process.Client.PostFormAsync("/oauth2/revoke", $"token={revoked}", basic)).Code);
        await process.RestartAsync();
        Assert.Equal("False", (await process.Client.PostFormAsync("/oauth2/introspect", $"token={revoked}", basic))["active"]);
        Assert.Equal("True", (await process.Client.PostFormAsync("/oauth2/introspect", $"token={kept}", basic))["active"]);
    }

    [Fact]
    public async Task An_exchanged_token_names_who_acts_and_who_acted_before_and_does_not_outlive_what_it_was_given_for()
    {
        var first = await GrantAsync("grant_type=client_credentials&resource=https://api.example/");
        var second = await GrantAsync(ExchangeOf(first.GetProperty("access_token").GetString()!, "&resource=https://inner.example/"));
        Assert.Equal(AccessToken, second.GetProperty("issued_token_type").GetString());
        var claims = second.Claims();
        Assert.Equal(_name, claims.GetProperty("sub").GetString());
        Assert.Equal("https://inner.example/", claims.GetProperty("aud").GetString());
        Assert.Equal("https://api.example/", claims.GetProperty("was").GetString());
        Assert.Equal($$"""{"sub":"{{_name}}"}""", claims.GetProperty("act").GetRawText());
        Assert.True(claims.GetProperty("exp").GetInt64() <= first.Claims().GetProperty("exp").GetInt64());

        var other = await service.NewCredentialAsync("signer");
        var third = await _stranger.GrantAsync(
            $"/issuers/{_issuer}/oauth2/token", ExchangeOf(second.GetProperty("access_token").GetString()!), $"{other["name"]}:{other["token"]}");
        Assert.Equal($$$"""{"sub":"{{{other["name"]}}}","act":{"sub":"{{{_name}}}"}}""", third.Claims().GetProperty("act").GetRawText());
        Assert.Equal(_name, third.Claims().GetProperty("sub").GetString());
    }

    [Fact]
    public async Task What_a_revoked_client_got_is_exchanged_for_nothing()
    {
        var leaver = await service.NewCredentialAsync("signer");
        var token = (await _stranger.GrantAsync($"/issuers/{_issuer}/oauth2/token", "grant_type=client_credentials", $"{leaver["name"]}:{leaver["token"]}"))
            .GetProperty("access_token").GetString()!;
        Assert.Equal(200, (await PostAsync("token", ExchangeOf(token))).Code);
        await service.Admin.MustPostAsync(200, $"/v1/credentials/{leaver["name"]}/revoke");
        (await PostAsync("token", ExchangeOf(token))).MustBeOAuthError(400, "invalid_request");
    }

    [Theory]
    [InlineData("subject_token=x&subject_token_type=urn:ietf:params:oauth:token-type:access_token")]
    [InlineData("subject_token=TOKEN")]
    [InlineData("subject_token_type=urn:ietf:params:oauth:token-type:access_token")]
    [InlineData("subject_token=TOKEN&subject_token_type=urn:ietf:params:oauth:token-type:saml2")]
    [InlineData("subject_token=TOKEN&subject_token_type=urn:ietf:params:oauth:token-type:jwt&requested_token_type=urn:ietf:params:oauth:token-type:refresh_token")]
    [InlineData("subject_token=TOKEN&subject_token_type=urn:ietf:params:oauth:token-type:jwt&actor_token=x")]
    public async Task An_exchange_that_cannot_be_is_an_invalid_request(string form)
    {
        var token = (await GrantAsync("grant_type=client_credentials")).GetProperty("access_token").GetString()!;
        var body = $"grant_type={OAuthCalls.Escape(OAuthCalls.Exchange)}&{form.Replace("TOKEN", token, StringComparison.Ordinal)}";
        (await PostAsync("token", body)).MustBeOAuthError(400, "invalid_request");
    }

    private async Task PutProfileAsync(string name, bool introspection)
    {
        var body = $$"""
            {"key":"tokens","issuer":"{{_issuer}}","audiences":["https://api.example/","https://inner.example/"],"introspection":{{(introspection ? "true" : "false")}},
             "scopes":["read"],"claims":{"was":"{subject.aud?}"},"grants":["client_credentials","{{OAuthCalls.Exchange}}"]}
            """;
        Assert.Equal(200, (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", body)).Code);
    }

    private async Task<string> TokenOfAsync(string profile) =>
        (await GrantAsync($"grant_type=client_credentials&profile={profile}")).GetProperty("access_token").GetString()!;

    private static string ExchangeOf(string token, string more = "") =>
        $"grant_type={OAuthCalls.Escape(OAuthCalls.Exchange)}&subject_token={token}&subject_token_type={OAuthCalls.Escape(AccessToken)}{more}";

    private Task<JsonElement> GrantAsync(string form) => _stranger.GrantAsync($"/issuers/{_issuer}/oauth2/token", form, _basic);

    private Task<JsonAnswer> PostAsync(string endpoint, string form, string? basic = null) =>
        _stranger.PostFormAsync($"/issuers/{_issuer}/oauth2/{endpoint}", form, basic ?? _basic);

    private async Task<JsonElement> StatusAsync(string token)
    {
        var answer = await PostAsync("introspect", $"token={token}");
        Assert.True(answer.Code == 200, answer.ToString());
        Assert.True(answer.Headers.CacheControl?.NoStore);
        return answer.Json;
    }
}
