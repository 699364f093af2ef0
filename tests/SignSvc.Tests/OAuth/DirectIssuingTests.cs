using System.Text.Json;

namespace SignSvc.Tests.OAuth;

/// <summary>What a profile demands of the token endpoint's clients, it demands of who asks <c>/v1/tokens</c>.</summary>
public sealed class DirectIssuingTests(RunningService service) : IAsyncLifetime
{
    private readonly HttpClient _admin = service.Admin;
    private HttpClient _signer = null!;

    public async ValueTask InitializeAsync() => _signer = await service.AsAsync("signer");

    public ValueTask DisposeAsync()
    {
        _signer.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_profile_whose_grants_do_not_name_direct_gives_no_token_to_who_shows_none()
    {
        var name = await PutAsync($$""","issuer":"ISSUER","grants":["{{OAuthCalls.Exchange}}"]""");
        await MustRefuseAsync(
            name, $"ask at {service.Process.Url}issuers/{name}/oauth2/token, by {OAuthCalls.Exchange}", ""","subject":"ceo@example","claims":{"scope":"admin write"}""");

        await PutAsync(""","issuer":"ISSUER","grants":["client_credentials"]""", name);
        await MustRefuseAsync(name, "by client_credentials.");
        foreach (var grants in (string[])["", ""","grants":["direct"]""", ""","grants":["client_credentials","direct"]"""])
        {
            await PutAsync($""","issuer":"ISSUER"{grants}""", name);
            Assert.Empty(await AskAsync(name));
        }
    }

    [Fact]
    public async Task A_profile_that_demands_binding_gives_nothing_to_who_proves_no_key()
    {
        var name = await PutAsync(""","requireBinding":true""");
        await MustRefuseAsync(name, "bound to a key");
        var profile = await _admin.MustGetAsync($"/v1/profiles/{name}");
        Assert.Equal("""["client_credentials"]""", profile.Json.GetProperty("grants").GetRawText());
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", """{"key":"tokens","audiences":["a"],"grants":["direct"],"requireBinding":true}""")).MustBeProblem(400, "invalid-request");
    }

    [Fact]
    public async Task A_scope_that_is_asked_for_directly_is_one_of_the_profile_s()
    {
        var name = await PutAsync(""","scopes":["read","list"]""");
        foreach (var scope in (string[])["\"admin\"", "\"read admin\"", "\"read  list\"", "\"\"", "[\"read\"]", "1", "null"])
            await MustRefuseAsync(name, "scopes of the profile", $$""","claims":{"scope":{{scope}}}""");
        Assert.Empty(await AskAsync(name, ""","claims":{"scope":"list read"}"""));
        // Without scopes of its own, a profile leaves them to its rules for callers' claims, as before.
        Assert.Empty(await AskAsync(await PutAsync(""), ""","claims":{"scope":"anything"}"""));
    }

    [Fact]
    public async Task What_a_profile_says_of_its_grants_puts_the_same_profile_again()
    {
        var name = await PutAsync("");
        var shown = await _admin.MustGetAsync($"/v1/profiles/{name}");
        Assert.Equal("""["client_credentials","direct"]""", shown.Json.GetProperty("grants").GetRawText());
        await PutAsync($$""","grants":{{shown.Json.GetProperty("grants").GetRawText()}}""", name);
        Assert.Equal(shown.Text, (await _admin.MustGetAsync($"/v1/profiles/{name}")).Text);
    }

    [Fact]
    public async Task No_token_is_issued_that_is_too_long_to_be_read_here()
    {
        var name = await PutAsync(""","issuer":"ISSUER","introspection":true""");
        string Wish(int length) => $$"""{"profile":"{{name}}","claims":{"x":"{{new string('x', length)}}"} }""";
        (await _signer.PostJsonAsync("/v1/tokens", Wish(12_000))).MustBeProblem(400, "invalid-request");
        (await _signer.PostJsonAsync("/v1/tokens/explain", Wish(12_000))).MustBeProblem(400, "invalid-request");

        // The longest that is issued is introspected and revoked.
        var (shortest, longest, token) = (10_000, 12_000, "");
        while (longest - shortest > 1)
        {
            var length = (shortest + longest) / 2;
            var answer = await _signer.PostJsonAsync("/v1/tokens", Wish(length));
            (shortest, longest) = answer.Code == 201 ? (length, longest) : (shortest, length);
            token = answer.Code == 201 ? answer["token"] : token;
        }

        Assert.InRange(token.Length, 15_000, 16 * 1024);
        using var stranger = service.Process.As(token: null);
        var basic = $"bootstrap:{service.Process.AdminToken}";
        Assert.Equal("True", (await stranger.PostFormAsync($"/issuers/{name}/oauth2/introspect", $"token={token}", basic))["active"]);
        Assert.Equal(200, (await stranger.PostFormAsync($"/issuers/{name}/oauth2/revoke", $"token={token}", basic)).Code);
        Assert.Equal("False", (await stranger.PostFormAsync($"/issuers/{name}/oauth2/introspect", $"token={token}", basic))["active"]);

        // A grant is bound by the same measure.
        await PutAsync($$""","issuer":"{{name}}","claims":{"a":"{{new string('x', 4000)}}","b":"{{new string('x', 4000)}}","c":"{{new string('x', 4000)}}"}""", name);
        (await stranger.PostFormAsync($"/issuers/{name}/oauth2/token", "grant_type=client_credentials", basic)).MustBeOAuthError(400, "invalid_request");
    }

    /// <summary>As docs/api.md has it.</summary>
    [Fact]
    public async Task An_issuer_moves_to_another_key_and_no_client_is_refused()
    {
        var name = RunningService.NewName("move");
        foreach (var key in (string[])["old", "new"])
            await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}-{{key}}","purpose":"tokens","spec":"ECC_NIST_P256","rotation":{"leadSeconds":1} }""");
        string Body(string key, string more = "") => $$"""{"key":"{{name}}-{{key}}","issuer":"{{name}}","audiences":["a"]{{more}}}""";
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", Body("old"))).Code);
        using var stranger = service.Process.As(token: null);
        var path = $"/issuers/{name}/oauth2/token";
        var before = KidOf((await GrantAsync()).GetProperty("access_token").GetString()!);

        // Announced: the key set shows both, and clients that name no profile go on with the first.
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}-next", Body("new", ""","grants":["direct"]"""))).Code);
        Assert.Equal(before, KidOf((await GrantAsync()).GetProperty("access_token").GetString()!));
        (await stranger.PostFormAsync(path, $"grant_type=client_credentials&profile={name}-next", Basic)).MustBeOAuthError(400, "unauthorized_client");
        var announced = (await _admin.MustGetAsync($"/issuers/{name}/jwks.json")).Text;

        // The lead of a second, and the minute that nodes have to follow.
        var patience = TimeProvider.System.GetTimestamp();
        while ((await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", Body("new"))) is { Code: not 200 } early)
        {
            early.MustBeProblem(409, "key-not-usable");
            Assert.True(TimeProvider.System.GetElapsedTime(patience) < TimeSpan.FromMinutes(2), early.ToString());
            await GrantAsync();
            await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, TestContext.Current.CancellationToken);
        }

        var after = KidOf((await GrantAsync()).GetProperty("access_token").GetString()!);
        Assert.NotEqual(before, after, StringComparer.Ordinal);
        Assert.Contains(after, announced, StringComparison.Ordinal);
        Assert.Equal(204, (await _admin.CallAsync(HttpMethod.Delete, $"/v1/profiles/{name}-next", "")).Code);
        Assert.Equal(after, KidOf((await GrantAsync()).GetProperty("access_token").GetString()!));

        Task<JsonElement> GrantAsync() => stranger.GrantAsync(path, "grant_type=client_credentials", Basic);
    }

    private string Basic => $"bootstrap:{service.Process.AdminToken}";

    private static string KidOf(string token) => OAuthCalls.Decode(token, 0).GetProperty("kid").GetString()!;

    private async Task MustRefuseAsync(string profile, string why, string wish = "")
    {
        var refusals = await AskAsync(profile, wish);
        Assert.Equal(3, refusals.Count);
        Assert.All(refusals, r => Assert.Contains(why, r, StringComparison.Ordinal));
    }

    /// <returns>The refusals' reasons, of a single token, of one in a batch, and of an explanation: all of them or none.</returns>
    private async Task<List<string>> AskAsync(string profile, string wish = "")
    {
        var single = await _signer.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{profile}}"{{wish}}}""");
        var explained = await _signer.PostJsonAsync("/v1/tokens/explain", $$"""{"profile":"{{profile}}"{{wish}}}""");
        var item = wish.Length == 0 ? "{}" : $"{{{wish[1..]}}}";
        var batch = (await _signer.PostJsonAsync("/v1/tokens/batch", $$"""{"profile":"{{profile}}","items":[{{item}}]}""")).Json.GetProperty("results")[0];
        if (single.Code == 201)
        {
            Assert.Equal(200, explained.Code);
            Assert.True(batch.TryGetProperty("token", out _), batch.GetRawText());
            return [];
        }

        single.MustBeProblem(400, "invalid-request");
        explained.MustBeProblem(400, "invalid-request");
        return [single["detail"], explained["detail"], batch.GetProperty("problem").GetProperty("detail").GetString()!];
    }

    private async Task<string> PutAsync(string members, string? profile = null)
    {
        var name = profile ?? RunningService.NewName("direct");
        var put = await _admin.CallAsync(
            HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"tokens","audiences":["a"]{{members.Replace("ISSUER", name, StringComparison.Ordinal)}}}""");
        Assert.True(put.Code == 200, put.ToString());
        return name;
    }
}
