
namespace SignSvc.Tests;

/// <summary><c>GET /v1/audit</c>: each filter, and reading it all.</summary>
public sealed class AuditSearchTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task Each_filter_finds_its_records_and_no_others()
    {
        var name = RunningService.NewName("audited");
        var credential = await service.NewCredentialAsync("signer");
        var principal = $"credential:{credential["name"]}";
        using var caller = service.Process.As(credential["token"]);
        var key = await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        var start = TimeProvider.System.GetUtcNow();
        var digest = Expectations.Base64Digest(name);
        var signed = await caller.MustPostAsync(200, $"/v1/keys/{name}/sign", $$"""{"digest":"{{digest}}"}""");
        (await caller.PostJsonAsync($"/v1/keys/{name}/sign", """{"digest":"AAAA"}""")).MustBeProblem(400, "invalid-digest");
        (await caller.GetJsonAsync("/v1/audit")).MustBeProblem(403, "forbidden");
        var end = TimeProvider.System.GetUtcNow();

        Assert.Equal(3, await CountAsync($"caller={Uri.EscapeDataString(principal)}"));
        Assert.Equal(1, await CountAsync($"digest={Uri.EscapeDataString(digest)}"));
        Assert.Equal(3, await CountAsync($"key={name}"));
        Assert.Equal(3, await CountAsync($"key={key["id"]}"));
        Assert.Equal(2, await CountAsync($"key={name}&action=keys:Sign"));
        Assert.Equal(1, await CountAsync($"key={name}&action=keys:Sign&outcome=allowed"));
        Assert.Equal(1, await CountAsync($"key={name}&outcome=failed"));
        Assert.Equal(1, await CountAsync($"caller={Uri.EscapeDataString(principal)}&outcome=denied"));
        Assert.Equal(2, await CountAsync($"key={name}&from={Time(start)}&to={Time(end)}"));
        Assert.Equal(1, await CountAsync($"key={name}&to={Time(start)}"));
        Assert.Equal(0, await CountAsync($"key={name}&from={Time(end.AddSeconds(1))}"));
        Assert.Equal(1, await CountAsync($"auditId={signed["auditId"]}"));
        Assert.Equal(0, await CountAsync($"auditId={signed["auditId"]}&caller=nobody"));
        Assert.Equal(0, await CountAsync("digest=nothing"));
    }

    [Theory]
    [InlineData("local-0")]
    [InlineData("local-999999999")]
    [InlineData("local-9223372036854775807")]
    [InlineData("local-99999999999999999999999")]
    [InlineData("local--1")]
    [InlineData("nowhere-1")]
    [InlineData("x")]
    [InlineData("")]
    public async Task An_audit_id_that_was_never_given_finds_nothing(string auditId)
    {
        var answer = await _admin.MustGetAsync($"/v1/audit?auditId={auditId}");
        Assert.Empty(answer.Json.GetProperty("records").EnumerateArray());
    }

    [Theory]
    [InlineData("after=x")]
    [InlineData("after=1.2")]
    [InlineData("after=1.2.3.4")]
    [InlineData("after=-1.2.3")]
    [InlineData("after=9999999999999999999.1.1")]
    [InlineData("after=1.9223372036854775807.1")]
    [InlineData("after=1.1.99999999999")]
    [InlineData("after=")]
    [InlineData("limit=0")]
    [InlineData("limit=1001")]
    [InlineData("limit=-1")]
    [InlineData("limit=x")]
    [InlineData("outcome=maybe")]
    [InlineData("outcome=1")]
    [InlineData("from=yesterday")]
    [InlineData("to=2026-13-01T00:00:00Z")]
    public async Task A_question_that_cannot_be_meant_is_refused(string query) =>
        (await _admin.GetJsonAsync($"/v1/audit?{query}")).MustBeProblem(400, "invalid-request");

    [Theory]
    [InlineData("after=1.1.1")]
    [InlineData("after=3155378975999999999.9223372036854775806.2147483647")]
    [InlineData("from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z")]
    [InlineData("from=9999-12-31T23:59:59Z")]
    [InlineData("to=0001-01-01T00:00:00Z")]
    public async Task The_ends_of_the_ranges_are_no_faults(string query) => await _admin.MustGetAsync($"/v1/audit?limit=2&{query}");

    [Fact]
    public async Task Reading_page_by_page_loses_and_repeats_no_record_while_others_write()
    {
        var name = RunningService.NewName("paged");
        await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        var item = $$"""{"digest":"{{Expectations.Base64Digest(name)}}"}""";
        var expected = new HashSet<string>(StringComparer.Ordinal);
        foreach (var size in (int[])[1, 100, 7, 1, 30])
        {
            var batch = await _admin.MustPostAsync(
                200, $"/v1/keys/{name}/sign-batch", $$"""{"items":[{{string.Join(',', Enumerable.Repeat(item, size))}}]}""");
            expected.UnionWith(batch.Json.GetProperty("results").EnumerateArray().Select(r => r.GetProperty("auditId").GetString()!));
        }

        Assert.Equal(139, expected.Count);
        foreach (var limit in (int[])[1, 6, 33, 1000])
            Assert.Equal(expected, (await ReadAllAsync($"key={name}&action=keys:Sign", limit, whileReading: item)).ToHashSet(StringComparer.Ordinal));

        // Without a filter the walk itself adds records, at the newer end. All that were durable before it are in it.
        var last = Number((await _admin.MustPostAsync(200, "/v1/keys/release/sign", item))["auditId"]);
        var all = await ReadAllAsync("", 500, whileReading: item);
        Assert.Equal(all.Count, all.Distinct(StringComparer.Ordinal).Count());
        Assert.Subset(all.ToHashSet(StringComparer.Ordinal), expected);
        Assert.Equal(Enumerable.Range(1, (int)last).Select(n => (long)n), all.Select(Number).Where(n => n <= last).Order());

        static long Number(string auditId) => long.Parse(auditId["local-".Length..]);
    }

    private async Task<List<string>> ReadAllAsync(string query, int limit, string whileReading)
    {
        var ids = new List<string>();
        for (string? after = null; ;)
        {
            var page = await _admin.MustGetAsync($"/v1/audit?limit={limit}&{query}{(after is null ? "" : $"&after={after}")}");
            var records = page.Json.GetProperty("records").EnumerateArray().ToArray();
            Assert.InRange(records.Length, 0, limit);
            ids.AddRange(records.Select(r => r.GetProperty("auditId").GetString()!));
            if (!page.Json.TryGetProperty("next", out var next))
                break;
            after = next.GetString();
            await _admin.MustPostAsync(200, "/v1/keys/release/sign", whileReading);
        }

        Assert.Equal(ids.Count, ids.Distinct(StringComparer.Ordinal).Count());
        return ids;
    }

    private async Task<int> CountAsync(string query) =>
        (await _admin.MustGetAsync($"/v1/audit?{query}")).Json.GetProperty("records").GetArrayLength();

    private static string Time(DateTimeOffset time) => Uri.EscapeDataString(time.ToString("O"));
}
