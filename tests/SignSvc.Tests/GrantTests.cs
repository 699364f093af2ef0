namespace SignSvc.Tests;

/// <summary>Grants over HTTP: a key lent within bounds, and taken back.</summary>
public sealed class GrantTests(RunningService service)
{
    private static readonly string Digest = Expectations.Base64Digest("grant");
    private static readonly string Sign = $$"""{"digest":"{{Digest}}"}""";

    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task A_grant_lets_its_grantee_do_what_it_names_until_it_is_revoked()
    {
        var (key, other) = (await NewKeyAsync(), await NewKeyAsync());
        var (name, grantee) = await NewCallerAsync();
        var (_, stranger) = await NewCallerAsync();
        await grantee.PostJsonAsync($"/v1/keys/{key}/sign", Sign).MustBeForbiddenAsync();

        var grant = await GrantAsync(_admin, key, $$$"""{"grantee":"credential:{{{name}}}","operations":["keys:Sign"],"constraints":{"stringEqualsIfExists":{"context.ref":"refs/heads/main"} } }""");
        Assert.StartsWith("sgt1_", grant["token"], StringComparison.Ordinal);
        await grantee.MustPostAsync(200, $"/v1/keys/{key}/sign", Sign);
        await grantee.PostJsonAsync($"/v1/keys/{key}/sign", $$$"""{"digest":"{{{Digest}}}","context":{"ref":"refs/heads/dev"} }""").MustBeForbiddenAsync();
        await grantee.PostJsonAsync($"/v1/keys/{other}/sign", Sign).MustBeForbiddenAsync();
        await grantee.PostJsonAsync($"/v1/keys/{key}/disable").MustBeForbiddenAsync();
        await stranger.PostJsonAsync($"/v1/keys/{key}/sign", Sign).MustBeForbiddenAsync();

        var list = await _admin.MustGetAsync($"/v1/keys/{key}/grants");
        Assert.Equal(grant["id"], Assert.Single(list.Json.GetProperty("grants").EnumerateArray()).GetProperty("id").GetString());
        await stranger.CallAsync(HttpMethod.Delete, $"/v1/keys/{key}/grants/{grant["id"]}", "").MustBeForbiddenAsync();
        await _admin.CallAsync(HttpMethod.Delete, $"/v1/keys/{other}/grants/{grant["id"]}", "").MustBeProblemAsync(404, "not-found");
        await _admin.MustDeleteAsync(204, $"/v1/keys/{key}/grants/{grant["id"]}");
        await grantee.PostJsonAsync($"/v1/keys/{key}/sign", Sign).MustBeForbiddenAsync();
    }

    [Fact]
    public async Task A_grantee_gives_a_grant_back_and_nobody_elses()
    {
        var key = await NewKeyAsync();
        var (name, grantee) = await NewCallerAsync();
        var (_, stranger) = await NewCallerAsync();
        var grant = await GrantAsync(_admin, key, $$"""{"grantee":"credential:{{name}}","operations":["keys:Sign"]}""");
        await stranger.PostJsonAsync($"/v1/keys/{key}/grants/{grant["id"]}/retire").MustBeForbiddenAsync();
        await grantee.CallAsync(HttpMethod.Delete, $"/v1/keys/{key}/grants/{grant["id"]}", "").MustBeForbiddenAsync();
        await grantee.MustPostAsync(204, $"/v1/keys/{key}/grants/{grant["id"]}/retire");
        await grantee.PostJsonAsync($"/v1/keys/{key}/sign", Sign).MustBeForbiddenAsync();
    }

    [Fact]
    public async Task Uses_are_counted_exactly_under_concurrency()
    {
        var key = await NewKeyAsync();
        var (name, grantee) = await NewCallerAsync();
        await GrantAsync(_admin, key, $$"""{"grantee":"credential:{{name}}","operations":["keys:Sign","keys:Verify"],"maxUses":25}""");
        var items = string.Join(',', Enumerable.Repeat(Sign, 40));
        var batch = grantee.MustPostAsync(200, $"/v1/keys/{key}/sign-batch", $$"""{"items":[{{items}}]}""");
        var singles = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => grantee.PostJsonAsync($"/v1/keys/{key}/sign", Sign)));
        var signed = singles.Count(s => s.Code == 200)
            + (await batch).Json.GetProperty("results").EnumerateArray().Count(r => r.TryGetProperty("signature", out _));
        Assert.Equal(25, signed);
        var left = (await _admin.MustGetAsync($"/v1/keys/{key}/grants")).Json.GetProperty("grants")[0].GetProperty("usesLeft").GetInt32();
        Assert.Equal(0, left);
        await grantee.PostJsonAsync($"/v1/keys/{key}/sign", Sign).MustBeForbiddenAsync();
        // What is spent are signatures.
        await grantee.MustPostAsync(200, $"/v1/keys/{key}/verify", $$"""{"digest":"{{Digest}}","signature":"AAAA"}""");
    }

    [Fact]
    public async Task A_policy_or_another_grant_spares_the_counted_one()
    {
        var key = await NewKeyAsync();
        var (name, grantee) = await NewCallerAsync();
        await GrantAsync(_admin, key, $$"""{"grantee":"credential:{{name}}","operations":["keys:Sign"],"maxUses":1}""");
        await GrantAsync(_admin, key, $$"""{"grantee":"credential:{{name}}","operations":["keys:Sign"]}""");
        await grantee.MustPostAsync(200, $"/v1/keys/{key}/sign", Sign);
        var counted = (await _admin.MustGetAsync($"/v1/keys/{key}/grants")).Json.GetProperty("grants").EnumerateArray().First(g => g.TryGetProperty("maxUses", out _));
        Assert.Equal(1, counted.GetProperty("usesLeft").GetInt32());
    }

    [Fact]
    public async Task Asked_twice_under_one_name_it_is_one_grant()
    {
        var key = await NewKeyAsync();
        var body = """{"name":"nightly","grantee":"credential:ci","operations":["keys:Sign"],"maxUses":3}""";
        var all = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => GrantAsync(_admin, key, body)));
        Assert.All(all, g => Assert.Equal(all[0]["id"], g["id"]));
        var other = await _admin.PostJsonAsync($"/v1/keys/{key}/grants", body.Replace("3", "4", StringComparison.Ordinal));
        other.MustBeProblem(409, "name-taken");
        await _admin.MustDeleteAsync(204, $"/v1/keys/{key}/grants/{all[0]["id"]}");
        Assert.NotEqual(all[0]["id"], (await GrantAsync(_admin, key, body))["id"], StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_grant_ends_at_its_expiry()
    {
        var key = await NewKeyAsync();
        var (name, grantee) = await NewCallerAsync();
        var (_, expiry) = await Expiring.MakeAsync(at => _admin.PostJsonAsync(
            $"/v1/keys/{key}/grants", $$"""{"grantee":"credential:{{name}}","operations":["keys:Sign"],"expiresAt":"{{at:O}}"}"""));
        JsonAnswer answer;
        DateTimeOffset before;
        do
        {
            before = TimeProvider.System.GetUtcNow();
            answer = await grantee.PostJsonAsync($"/v1/keys/{key}/sign", Sign);
            Assert.True(answer.Code == 200 || TimeProvider.System.GetUtcNow() >= expiry, $"refused before its expiry: {answer}");
        }
        while (before < expiry);

        answer.MustBeProblem(403, "forbidden");
        Assert.Empty((await _admin.MustGetAsync($"/v1/keys/{key}/grants")).Json.GetProperty("grants").EnumerateArray());
    }

    [Fact]
    public async Task Nobody_grants_more_than_they_hold()
    {
        var key = await NewKeyAsync();
        var (name, owner) = await NewCallerAsync();
        await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$$"""
            {"statements":[
              {"effect":"allow","principals":["credential:{{{name}}}"],"actions":["grants:*"]},
              {"effect":"allow","principals":["credential:{{{name}}}"],"actions":["keys:Sign"],"conditions":{"stringEquals":{"context.ref":"refs/heads/main"} } }]}
            """);
        const string Operations = "\"grantee\":\"credential:ci\",\"operations\"";
        foreach (var beyond in (string[])["[\"keys:Verify\"]", "[\"keys:Sign\"]"])
            await owner.PostJsonAsync($"/v1/keys/{key}/grants", $"{{{Operations}:{beyond}}}").MustBeForbiddenAsync();
        await GrantAsync(owner, key, $$$"""{ {{{Operations}}}:["keys:Sign"],"constraints":{"stringEquals":{"context.ref":"refs/heads/main"} } }""");

        // What was lent cannot be lent on.
        var (borrower, borrowing) = await NewCallerAsync();
        await GrantAsync(_admin, key, $$"""{"grantee":"credential:{{borrower}}","operations":["keys:Sign"]}""");
        await _admin.MustPutAsync(200, $"/v1/policies/{RunningService.NewName("lend")}", $$"""
            {"statements":[{"effect":"allow","principals":["credential:{{borrower}}"],"actions":["grants:Create"],"resources":["key/{{key}}"]}]}
            """);
        await borrowing.PostJsonAsync($"/v1/keys/{key}/grants", $"{{{Operations}:[\"keys:Sign\"]}}").MustBeForbiddenAsync();
    }

    [Theory]
    [InlineData("""{"grantee":"*","operations":["keys:Sign"]}""")]
    [InlineData("""{"grantee":"credential:ci","operations":[]}""")]
    [InlineData("""{"grantee":"credential:ci","operations":["keys:Disable"]}""")]
    [InlineData("""{"grantee":"credential:ci","operations":["keys:Sign"],"maxUses":0}""")]
    [InlineData("""{"grantee":"credential:ci","operations":["keys:Sign"],"expiresAt":"2020-01-01T00:00:00Z"}""")]
    [InlineData("""{"grantee":"credential:ci","operations":["keys:Sign"],"constraints":{"stringIs":{"context.ref":"a"}}}""")]
    public async Task A_grant_that_makes_no_sense_is_refused(string body) =>
        (await _admin.PostJsonAsync("/v1/keys/release/grants", body)).MustBeProblem(400, "invalid-request");

    [Fact]
    public async Task A_grant_token_of_ours_or_of_nobody_changes_no_decision()
    {
        var key = await NewKeyAsync();
        var (name, grantee) = await NewCallerAsync();
        var grant = await GrantAsync(_admin, key, $$"""{"grantee":"credential:{{name}}","operations":["keys:Sign"]}""");
        await _admin.MustDeleteAsync(204, $"/v1/keys/{key}/grants/{grant["id"]}");
        foreach (var token in (string[])[grant["token"], "sgt1_AAAA", "x"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/keys/{key}/sign") { Content = new StringContent(Sign, System.Text.Encoding.UTF8, "application/json") };
            request.Headers.Add("SignSvc-Grant-Token", token);
            (await grantee.CallAsync(request)).MustBeProblem(403, "forbidden");
        }
    }

    private static async Task<JsonAnswer> GrantAsync(HttpClient client, string key, string body) =>
        await client.MustPostAsync(201, $"/v1/keys/{key}/grants", body);

    private async Task<string> NewKeyAsync()
    {
        var key = RunningService.NewName("granted");
        await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{key}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        return key;
    }

    private async Task<(string Name, HttpClient Client)> NewCallerAsync()
    {
        var made = await service.NewCredentialAsync("serviceAccountSigner");
        return (made["name"], service.Process.As(made["token"]));
    }
}
