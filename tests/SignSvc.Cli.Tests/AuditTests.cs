namespace SignSvc.Cli.Tests;

public sealed class AuditTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task Every_filter_narrows_the_search()
    {
        var file = _signsvc.Folder.Write("audited", "audited once");
        var auditId = (await _signsvc.RunAsync("sign", file, "-o", "json")).Ended(0).Json.GetProperty("auditId").GetString()!;
        var digest = Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData("audited once"u8));
        string[] matching = ["audit", "search", "--digest", digest, "--caller", "credential:bootstrap", "--key", "release", "--action", "keys:Sign", "--outcome", "allowed", "--from", "1h", "-o", "json"];

        var found = (await _signsvc.RunAsync(matching)).Ended(0).Json.GetProperty("records");
        Assert.Equal(auditId, Assert.Single(found.EnumerateArray()).GetProperty("auditId").GetString());

        foreach (var (option, other) in ((string, string)[])
            [("--caller", "credential:other"), ("--key", "tokens"), ("--action", "keys:Read"), ("--outcome", "denied"), ("--from", "2100-01-01T00:00:00Z")])
        {
            var changed = (string[])matching.Clone();
            changed[Array.IndexOf(changed, option) + 1] = other;
            Assert.Empty((await _signsvc.RunAsync(changed)).Ended(0).Json.GetProperty("records").EnumerateArray());
        }

        Assert.Empty((await _signsvc.RunAsync([.. matching, "--to", "1d"])).Ended(0).Json.GetProperty("records").EnumerateArray());
    }

    [Fact]
    public async Task A_table_shows_who_did_what_and_how_to_go_on()
    {
        (await _signsvc.RunAsync("keys", "show", "release")).Ended(0);
        (await _signsvc.RunAsync("keys", "show", "release")).Ended(0);

        var page = (await _signsvc.RunAsync("audit", "search", "--caller", "credential:bootstrap", "--action", "keys:Read", "--key", "release", "--limit", "1")).Ended(0);

        Assert.Matches(@"credential:bootstrap +keys:Read +allowed +release", page.Text);
        var cursor = page.Errors.Split("--after ")[1].Trim();
        (await _signsvc.RunAsync("audit", "search", "--after", cursor, "--limit", "1")).Ended(0);
    }

    [Fact]
    public async Task All_goes_over_every_page_and_is_one_page_in_shape()
    {
        var file = _signsvc.Folder.Write("every", "in every page");
        for (var i = 0; i < 5; i++)
            (await _signsvc.RunAsync("sign", file)).Ended(0);
        string[] search = ["audit", "search", "--action", "keys:Sign", "--digest", $"sha256:{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData("in every page"u8))}"];

        var atOnce = (await _signsvc.RunAsync([.. search, "-o", "json"])).Ended(0).Json.GetProperty("records");
        var inPages = (await _signsvc.RunAsync([.. search, "--all", "--limit", "2", "-o", "json"])).Ended(0).Json;

        Assert.Equal(5, atOnce.GetArrayLength());
        Assert.Equal(atOnce.EnumerateArray().Select(r => r.GetRawText()), inPages.GetProperty("records").EnumerateArray().Select(r => r.GetRawText()), StringComparer.Ordinal);
        Assert.Equal(System.Text.Json.JsonValueKind.Null, inPages.GetProperty("next").ValueKind);
        var table = (await _signsvc.RunAsync([.. search, "--all", "--limit", "2"])).Ended(0);
        Assert.Equal(5, table.Text.Split("keys:Sign").Length - 1);
        Assert.Empty(table.Errors);
        Assert.Equal(0, (await _signsvc.RunAsync("audit", "search", "--all", "--key", "nobody", "-o", "json")).Ended(0).Json.GetProperty("records").GetArrayLength());
    }

    [Fact]
    public async Task A_whole_that_does_not_end_is_no_JSON_and_a_fault()
    {
        await using var broken = StrangeServer.Answering("200 OK", "application/json", """{"records":[],"next":"same"}""");
        _signsvc.Set("SIGNSVC_URL", broken.Url);

        var search = (await _signsvc.RunAsync("audit", "search", "--all", "-o", "json")).Ended(4);

        Assert.Contains("the same page", search.Errors, StringComparison.Ordinal);
        Assert.ThrowsAny<System.Text.Json.JsonException>(() => search.Json);
    }

    [Fact]
    public async Task A_whole_audit_is_intact()
    {
        var check = (await _signsvc.RunAsync("audit", "check")).Ended(0);

        Assert.Contains("intact", check.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_audit_that_is_not_whole_ends_with_1()
    {
        await using var broken = StrangeServer.Answering(
            "200 OK", "application/json", """{"intact":false,"chains":[{"node":"local","records":3,"seal":"00","fault":"records 4 to 5 are missing"}]}""");
        _signsvc.Set("SIGNSVC_URL", broken.Url);

        var check = (await _signsvc.RunAsync("audit", "check")).Ended(1);

        Assert.Contains("records 4 to 5 are missing", check.Text, StringComparison.Ordinal);
        Assert.Contains("not as it was written", check.Errors, StringComparison.Ordinal);
    }
}
