namespace SignSvc.Tests.Approvals;

/// <summary>Approvals over HTTP, on a service whose settings know two principals of one person.</summary>
public sealed class ApprovalTests : IAsyncLifetime
{
    private static readonly string Digest = Expectations.Base64Digest("approval");
    private static readonly string Sign = $$$"""{"digest":"{{{Digest}}}","context":{"ref":"refs/tags/v1"} }""";

    private ServiceProcess _service = null!;
    private HttpClient _admin = null!;
    private HttpClient _alice = null!;
    private HttpClient _aliceToo = null!;
    private HttpClient _bob = null!;

    public async ValueTask InitializeAsync()
    {
        _service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Access__People__0__Name"] = "alice@example.com",
                ["SignSvc__Access__People__0__Principals__0"] = "credential:alice",
                ["SignSvc__Access__People__0__Principals__1"] = "credential:alice-*",
            },
        });
        _admin = _service.Client;
        _alice = await CallerAsync("alice");
        _aliceToo = await CallerAsync("alice-laptop");
        _bob = await CallerAsync("bob");
    }

    public ValueTask DisposeAsync() => _service.DisposeAsync();

    [Fact]
    public async Task A_release_signature_waits_for_two_people_and_is_made_once_over_a_restart()
    {
        await PutRuleAsync("release", "key/release", "keys:Sign", required: 2);
        var pending = await _admin.PostJsonAsync("/v1/keys/release/sign", Sign);
        Assert.Equal(202, pending.Code);
        Assert.Equal($"/v1/approvals/{pending["id"]}", pending.Headers.Location?.ToString());
        Assert.Equal("pending", pending["state"]);
        var request = pending.Json.GetProperty("request");
        Assert.Equal(Digest, request.GetProperty("digest").GetString());
        Assert.Equal("refs/tags/v1", request.GetProperty("context").GetProperty("ref").GetString());
        Assert.Equal(2, pending.Json.GetProperty("required").GetInt32());
        var address = pending.Headers.Location!.ToString();

        await _admin.PostJsonAsync($"{address}/approve", "{}").MustBeForbiddenAsync();
        Assert.Equal(1, (await _alice.MustPostAsync(200, $"{address}/approve", """{"reason":"built by us"}""")).Json.GetProperty("given").GetInt32());
        Assert.Equal(1, (await _aliceToo.MustPostAsync(200, $"{address}/approve", "{}")).Json.GetProperty("given").GetInt32());
        Assert.Equal(202, (await _admin.PostJsonAsync("/v1/keys/release/sign", Sign)).Code);

        var waiting = _admin.MustGetAsync($"{address}?wait=60");
        Assert.Equal("approved", (await _bob.MustPostAsync(200, $"{address}/approve", "{}"))["state"]);
        Assert.Equal("approved", (await waiting)["state"]);

        await _service.RestartAsync();
        _admin = _service.Client;
        var codes = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ => (await _admin.PostJsonAsync("/v1/keys/release/sign", Sign)).Code));
        Assert.Equal((1, 19), (codes.Count(c => c == 200), codes.Count(c => c == 202)));
        Assert.Equal("used", (await _admin.MustGetAsync(address))["state"]);
        var signed = Assert.Single(await RecordsAsync("action=keys:Sign&outcome=allowed"));
        Assert.Contains("credential:alice, credential:bob", signed.GetProperty("detail").GetString(), StringComparison.Ordinal);
        foreach (var step in (string[])["approvals:Request", "approvals:Decide", "approvals:Use"])
            Assert.NotEmpty(await RecordsAsync($"action={step}"));
    }

    [Fact(Timeout = 60_000)]
    public async Task Broken_glass_is_heard()
    {
        await PutRuleAsync("deletion", "*", "keys:ScheduleDeletion", required: 3);
        var pending = await _admin.CallAsync(HttpMethod.Delete, "/v1/keys/release", "");
        Assert.Equal(202, pending.Code);
        var address = $"/v1/approvals/{pending["id"]}";
        (await _alice.PostJsonAsync($"{address}/break-glass", """{"reason":""}""")).MustBeProblem(400, "invalid-request");
        Assert.Contains("\nsignsvc_approvals_glass_broken_total 0\n", await MetricsAsync(), StringComparison.Ordinal);
        await _alice.MustPostAsync(200, $"{address}/break-glass", """{"reason":"the key leaked"}""");
        Assert.Contains("\nsignsvc_approvals_glass_broken_total 1\n", await MetricsAsync(), StringComparison.Ordinal);
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Delete, "/v1/keys/release", "")).Code);

        // Nobody approved that it be deleted.
        Assert.True(IsToBeDeleted("release", isApproved: false, await MetricsAsync()));

        var record = Assert.Single(await RecordsAsync("action=approvals:BreakGlass&outcome=allowed"));
        Assert.Equal("credential:alice", record.GetProperty("caller").GetString());
        Assert.Contains("the key leaked", record.GetProperty("detail").GetString(), StringComparison.Ordinal);
        var done = Assert.Single(await RecordsAsync("action=keys:ScheduleDeletion&outcome=allowed"));
        Assert.Contains("glass broken by credential:alice", done.GetProperty("detail").GetString(), StringComparison.Ordinal);
        // The log is written beside the answer and may come after it.
        while (!(_service.Output + _service.Error).Contains("GLASS BROKEN by credential:alice", StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Metrics_tell_a_deletion_that_others_approved_from_one_that_nobody_did()
    {
        await PutRuleAsync("deletion", "key/release", "keys:ScheduleDeletion", required: 1);
        var pending = await _admin.CallAsync(HttpMethod.Delete, "/v1/keys/release", "");
        await _bob.MustPostAsync(200, $"/v1/approvals/{pending["id"]}/approve", "{}");
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Delete, "/v1/keys/release", "")).Code);
        await _admin.MustPostAsync(201, "/v1/keys", """{"name":"free","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Delete, "/v1/keys/free", "")).Code);
        var metrics = await MetricsAsync();
        Assert.True(IsToBeDeleted("release", isApproved: true, metrics));
        Assert.True(IsToBeDeleted("free", isApproved: false, metrics));
    }

    [Fact]
    public async Task Items_of_a_batch_and_other_protocols_are_refused_with_the_approval_to_get()
    {
        await PutRuleAsync("release", "key/release", "keys:Sign", required: 1);
        var batch = await _admin.MustPostAsync(200, "/v1/keys/release/sign-batch", $$"""{"items":[{{Sign}}]}""");
        var problem = batch.Json.GetProperty("results")[0].GetProperty("problem");
        Assert.Equal("urn:signsvc:problem:approval-required", problem.GetProperty("type").GetString());
        var id = problem.GetProperty("approvalId").GetString();
        Assert.Equal(id, (await _admin.PostJsonAsync("/v1/keys/release/sign", Sign))["id"]);

        var vault = await _admin.PostJsonAsync("/v1/transit/sign/release/sha2-256", $$"""{"input":"{{Digest}}","prehashed":true,"marshaling_algorithm":"asn1"}""");
        Assert.Equal(400, vault.Code);
        Assert.Contains("needs the approval", vault.Text, StringComparison.Ordinal);

        await _bob.MustPostAsync(200, $"/v1/approvals/{id}/reject", """{"reason":"not ours"}""");
        (await _admin.PostJsonAsync("/v1/keys/release/sign", Sign)).MustBeProblem(403, "forbidden");
    }

    [Fact]
    public async Task Approvals_are_listed_by_state_and_in_pages_the_newest_first()
    {
        await PutRuleAsync("release", "key/release", "keys:Sign", required: 1);
        var made = new List<string>();
        for (var i = 0; i < 5; i++)
            made.Add((await _admin.PostJsonAsync("/v1/keys/release/sign", Sign.Replace("v1", $"v{i}", StringComparison.Ordinal)))["id"]);
        await _bob.MustPostAsync(200, $"/v1/approvals/{made[1]}/approve", "{}");
        await _bob.MustPostAsync(200, $"/v1/approvals/{made[2]}/reject", """{"reason":"no"}""");

        var seen = new List<string>();
        for (var page = await _admin.MustGetAsync("/v1/approvals?limit=2"); ; page = await _admin.MustGetAsync($"/v1/approvals?limit=2&after={page["next"]}"))
        {
            seen.AddRange(Ids(page));
            if (!page.Json.TryGetProperty("next", out var next) || next.ValueKind == System.Text.Json.JsonValueKind.Null)
                break;
        }

        Assert.Equal(made.AsEnumerable().Reverse(), seen, StringComparer.Ordinal);
        Assert.Equal([made[4], made[3], made[0]], Ids(await _admin.MustGetAsync("/v1/approvals?state=pending")), StringComparer.Ordinal);
        Assert.Equal([made[1]], Ids(await _admin.MustGetAsync("/v1/approvals?state=approved&limit=1")), StringComparer.Ordinal);
        Assert.Equal([made[2]], Ids(await _admin.MustGetAsync("/v1/approvals?state=rejected")), StringComparer.Ordinal);
        foreach (var wrong in (string[])["limit=0", "limit=1001", "state=done"])
            (await _admin.GetJsonAsync($"/v1/approvals?{wrong}")).MustBeProblem(400, "invalid-request");

        static IEnumerable<string> Ids(JsonAnswer list) => list.Json.GetProperty("approvals").EnumerateArray().Select(a => a.GetProperty("id").GetString()!);
    }

    [Fact]
    public async Task Policies_and_rules_change_by_approval_only()
    {
        await PutRuleAsync("policies", "*", "policies:*", required: 1);
        const string Open = """{"statements":[{"effect":"allow","principals":["credential:x"],"actions":["keys:Read"],"resources":["key/release"]}]}""";
        foreach (var path in (string[])["/v1/policies/team", "/v1/keys/release/policy"])
        {
            var pending = await _admin.PutJsonAsync(path, Open);
            Assert.Equal(202, pending.Code);
            Assert.Contains("credential:x", pending.Json.GetProperty("request").GetProperty("parameters").GetProperty("document").GetString(), StringComparison.Ordinal);
            await _bob.MustPostAsync(200, $"/v1/approvals/{pending["id"]}/approve", "{}");
            Assert.Equal(202, (await _admin.PutJsonAsync(path, Open.Replace("keys:Read", "keys:Sign", StringComparison.Ordinal))).Code);
            await _admin.MustPutAsync(200, path, Open);
        }

        var ending = await _admin.CallAsync(HttpMethod.Delete, "/v1/approval-rules/policies", "");
        Assert.Equal(202, ending.Code);
        Assert.Single((await _admin.MustGetAsync("/v1/approval-rules")).Json.GetProperty("rules").EnumerateArray());
        await _alice.MustPostAsync(200, $"/v1/approvals/{ending["id"]}/approve", "{}");
        await _admin.MustDeleteAsync(204, "/v1/approval-rules/policies");
        (await _admin.GetJsonAsync("/v1/approval-rules/policies")).MustBeProblem(404, "not-found");
    }

    [Fact]
    public async Task Secrets_and_keys_of_credentials_are_given_by_approval_only_and_only_as_they_were_asked_for()
    {
        await PutRuleAsync("credentials", "credential/*", "credentials:*", required: 1);
        var create = $$"""{"name":"ci","roles":["signer"],"expiresAt":"{{TimeProvider.System.GetUtcNow().AddDays(30):yyyy-MM-dd}}T00:00:00Z"}""";
        var made = await ApprovedAsync(() => _admin.PostJsonAsync("/v1/credentials", create), 201);
        Assert.StartsWith("ssv1_", made["token"], StringComparison.Ordinal);
        Assert.Equal(202, (await _admin.PostJsonAsync("/v1/credentials", create.Replace("signer", "admin", StringComparison.Ordinal))).Code);

        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        var set = $$$"""{"keys":[{"kty":"EC","crv":"P-256","x":"{{{System.Buffers.Text.Base64Url.EncodeToString(point.X)}}}","y":"{{{System.Buffers.Text.Base64Url.EncodeToString(point.Y)}}}"}]}""";
        await ApprovedAsync(() => _admin.CallAsync(HttpMethod.Put, "/v1/credentials/ci/keys", set), 200);
        await ApprovedAsync(() => _admin.PostJsonAsync($"/v1/credentials/{made["id"]}/rotate", """{"overlapSeconds":0}"""), 200);
        await ApprovedAsync(() => _admin.PostJsonAsync("/v1/credentials/ci/access-keys"), 201);
        await ApprovedAsync(() => _admin.PostJsonAsync("/v1/credentials/ci/revoke"), 200);
    }

    private async Task<JsonAnswer> ApprovedAsync(Func<Task<JsonAnswer>> ask, int status)
    {
        var pending = await ask();
        Assert.True(pending.Code == 202, pending.ToString());
        Assert.StartsWith("credential/ci", pending.Json.GetProperty("request").GetProperty("resource").GetString(), StringComparison.Ordinal);
        await _bob.MustPostAsync(200, $"/v1/approvals/{pending["id"]}/approve", "{}");
        var done = await ask();
        Assert.True(done.Code == status, done.ToString());
        return done;
    }

    private async Task PutRuleAsync(string name, string resource, string action, int required) => await _admin.MustPutAsync(
        200, $"/v1/approval-rules/{name}",
        $$"""{"resources":["{{resource}}"],"actions":["{{action}}"],"required":{{required}},"approvers":["credential:*"]}""");

    private async Task<HttpClient> CallerAsync(string name) => _service.As(
        (await _admin.MustPostAsync(201, "/v1/credentials", $$"""{"name":"{{name}}","roles":["admin"]}"""))["token"]);

    private static bool IsToBeDeleted(string key, bool isApproved, string metrics) => metrics.Split('\n').Any(l =>
        l.StartsWith("signsvc_key_deletion_remaining_seconds{", StringComparison.Ordinal)
        && l.Contains($"signsvc_key_name=\"{key}\"", StringComparison.Ordinal)
        && l.Contains($"signsvc_approved=\"{(isApproved ? "true" : "false")}\"", StringComparison.Ordinal));

    private async Task<string> MetricsAsync() => (await _admin.GetJsonAsync("/metrics")).Text;

    private async Task<System.Text.Json.JsonElement[]> RecordsAsync(string query) =>
        [.. (await _admin.MustGetAsync($"/v1/audit?{query}")).Json.GetProperty("records").EnumerateArray()];
}
