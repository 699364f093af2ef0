using System.Globalization;
using SignSvc.Tests.Compatibility;
using SignSvc.Tests.OAuth;

namespace SignSvc.Tests;

/// <summary>A caller over a limit, as each protocol says it.</summary>
public sealed class LimitTests(RunningService service)
{
    private static readonly string Digest = Expectations.Base64Digest("limit");
    private static readonly string Sign = $$"""{"digest":"{{Digest}}"}""";

    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task HTTP_answers_429_with_the_seconds_to_wait_and_names_the_limit_to_who_may_read_policies()
    {
        var made = await service.NewCredentialAsync("signer");
        var policy = await LimitAsync(made["principal"], "keys:Sign", """ "per":"caller","perSecond":0.01,"burst":2 """);
        var caller = service.Process.As(made["token"]);
        await caller.MustPostAsync(200, "/v1/keys/release/sign", Sign);
        await caller.MustPostAsync(200, "/v1/keys/release/sign", Sign);
        var refused = await caller.PostJsonAsync("/v1/keys/release/sign", Sign);
        refused.MustBeProblem(429, "rate-limited");
        Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 60, 102);
        Assert.InRange(refused.Json.GetProperty("retryAfterSeconds").GetDouble(), 60, 100);
        Assert.DoesNotContain(policy, refused.Text, StringComparison.Ordinal);
        var record = (await _admin.MustGetAsync($"/v1/audit?auditId={refused["auditId"]}")).Json.GetProperty("records")[0];
        Assert.Equal(("denied", "rate-limited"), (record.GetProperty("outcome").GetString(), record.GetProperty("fault").GetString()));
        Assert.Contains($"policy/{policy}#share", record.GetProperty("detail").GetString(), StringComparison.Ordinal);

        // It reads still, and its neighbour signs.
        await caller.MustGetAsync("/v1/keys/release");
        await (await service.AsAsync("signer")).MustPostAsync(200, "/v1/keys/release/sign", Sign);

        await _admin.MustPutAsync(200, $"/v1/policies/{policy}-read", $$"""
            {"statements":[{"effect":"allow","principals":["{{made["principal"]}}"],"actions":["policies:Read"],"resources":["*"]}]}
            """);
        Assert.Contains($"policy/{policy}#share limits it", (await caller.PostJsonAsync("/v1/keys/release/sign", Sign))["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Items_of_a_batch_count_one_by_one_and_a_flood_has_one_record_a_second()
    {
        var made = await service.NewCredentialAsync("signer");
        await LimitAsync(made["principal"], "keys:Sign", """ "per":"callerAndKey","uses":30,"periodSeconds":86400 """);
        var caller = service.Process.As(made["token"]);
        var batch = await caller.MustPostAsync(
            200, "/v1/keys/release/sign-batch", $$"""{"items":[{{string.Join(',', Enumerable.Repeat(Sign, 200))}}]}""");
        var results = batch.Json.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(30, results.Count(r => r.TryGetProperty("signature", out _)));
        var problems = results.Where(r => r.TryGetProperty("problem", out _)).Select(r => r.GetProperty("problem")).ToArray();
        Assert.All(problems, p => p.MustBeProblem(429, "rate-limited"));
        Assert.Equal(1, problems.Count(p => p.TryGetProperty("auditId", out _)));

        var told = 1;
        while (told < 170)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, TestContext.Current.CancellationToken);
            var records = (await _admin.MustGetAsync($"/v1/audit?caller={made["principal"]}&outcome=denied")).Json.GetProperty("records").EnumerateArray().ToArray();
            Assert.InRange(records.Length, 1, 5);
            told = 1 + records.Select(r => r.GetProperty("detail").GetString()!)
                .Where(d => d.Contains(" more requests refused", StringComparison.Ordinal))
                .Sum(d => int.Parse(d.Split(' ')[0], CultureInfo.InvariantCulture));
        }

        Assert.Equal(170, told);
        Assert.Contains("signsvc_limit_refusals_total{", (await _admin.MustGetAsync("/metrics")).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Explain_says_what_is_left()
    {
        var made = await service.NewCredentialAsync("auditor");
        var policy = await LimitAsync(made["principal"], "keys:Verify", """ "per":"caller","perSecond":0.01,"burst":5 """);
        var caller = service.Process.As(made["token"]);
        await caller.MustPostAsync(200, "/v1/keys/release/verify", $$"""{"digest":"{{Digest}}","signature":"AAAA"}""");
        var explained = await caller.MustPostAsync(200, "/v1/policy/explain", """{"action":"keys:Verify","resource":"key/release"}""");
        Assert.Equal("True", explained["allowed"]);
        var limit = Assert.Single(explained.Json.GetProperty("limits").EnumerateArray());
        Assert.Equal(($"policy/{policy}#share", 4), (limit.GetProperty("name").GetString(), limit.GetProperty("available").GetInt32()));
        Assert.Equal(("caller", 5), (limit.GetProperty("limit").GetProperty("per").GetString(), limit.GetProperty("limit").GetProperty("burst").GetInt32()));
        var signer = await service.AsAsync("signer");
        Assert.False((await signer.MustPostAsync(200, "/v1/policy/explain", """{"action":"keys:Verify","resource":"key/release"}""")).Json.TryGetProperty("limits", out _));
    }

    [Fact]
    public async Task AWS_and_Vault_clients_are_throttled_in_their_own_words()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        await LimitAsync($"credential:{aws.Credential}", "keys:Sign", """ "per":"caller","perSecond":0.01,"burst":1 """);
        var body = $$"""{"KeyId":"alias/release","Message":"{{Digest}}","MessageType":"DIGEST","SigningAlgorithm":"ECDSA_SHA_256"}""";
        Assert.Equal(200, (await aws.CallAsync("Sign", body)).Code);
        await aws.MustRefuseAsync("ThrottlingException", "Sign", body);

        var vault = await service.Process.As(aws.Token).PostJsonAsync(
            "/v1/transit/sign/release/sha2-256", $$"""{"input":"{{Digest}}","prehashed":true,"marshaling_algorithm":"asn1"}""");
        Assert.Equal(429, vault.Code);
        Assert.InRange(vault.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 60, 101);
        Assert.Contains("more than your share", vault.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task OAuth_clients_and_token_batches_are_within_the_same_limit()
    {
        var made = await service.NewCredentialAsync("signer");
        await LimitAsync(made["principal"], "tokens:*", """ "per":"caller","perSecond":0.01,"burst":3 """);
        var caller = service.Process.As(made["token"]);
        await caller.MustPostAsync(201, "/v1/tokens", """{"profile":"default","audience":"api://a"}""");
        var batch = await caller.MustPostAsync(200, "/v1/tokens/batch", """{"profile":"default","items":[{"audience":"api://a"},{"audience":"api://a"},{"audience":"api://a"}]}""");
        Assert.Equal(2, batch.Json.GetProperty("results").EnumerateArray().Count(r => r.TryGetProperty("token", out _)));
        var refused = await service.Process.As(null).PostFormAsync(
            "/oauth2/token", "grant_type=client_credentials&resource=api%3A%2F%2Fa", $"{made["name"]}:{made["token"]}");
        refused.MustBeOAuthError(429, "temporarily_unavailable");
        Assert.NotNull(refused.Headers.RetryAfter);
    }

    private async Task<string> LimitAsync(string principal, string action, string limit)
    {
        var policy = RunningService.NewName("limit");
        await _admin.MustPutAsync(200, $"/v1/policies/{policy}", $$$"""
            {"statements":[{"sid":"share","effect":"limit","principals":["{{{principal}}}"],"actions":["{{{action}}}"],"resources":["*"],"limit":{ {{{limit}}} } }]}
            """);
        return policy;
    }
}
