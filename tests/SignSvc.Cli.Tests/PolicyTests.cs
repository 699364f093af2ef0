namespace SignSvc.Cli.Tests;

public sealed class PolicyTests(RunningService service) : IDisposable
{
    private const string Policy = """
        statements:
          - sid: main-only
            effect: allow
            principals: ["oidc:github:repo:acme/*"]
            actions: ["keys:Sign"]
            resources: ["key/release"]
            conditions:
              stringEquals:
                caller.ref: refs/heads/main
              numericLessThanEquals:
                request.bytes: 64
        """;

    private const string Expectations = """
        tests:
          - name: main signs
            expect: allow
            by: policy/cli-main#main-only
            action: keys:Sign
            resource: key/release
            principal: oidc:github:repo:acme/app:ref:refs/heads/main
            claims: {ref: refs/heads/main}
            bytes: 32
          - name: branches do not
            expect: deny
            action: keys:Sign
            resource: key/release
            principal: oidc:github:repo:acme/app:ref:refs/heads/dev
            claims: {ref: refs/heads/dev}
            bytes: 32
        """;

    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task A_limit_is_put_and_explained()
    {
        _signsvc.Folder.Write("limit.yaml", """
            statements:
              - sid: share
                effect: limit
                principals: ["credential:limited"]
                actions: ["keys:Sign"]
                resources: ["key/*"]
                limit: {per: callerAndKey, perSecond: 0.5, burst: 3}
            """);
        (await _signsvc.RunAsync("policy", "put", "cli-limit", "--file", "limit.yaml")).Ended(0);
        var why = (await _signsvc.RunAsync("policy", "explain", "keys:Sign", "key/release", "--principal", "credential:limited")).Ended(1);
        Assert.Contains("policy/cli-limit#share limits each caller and key: 3 may come now", why.Text, StringComparison.Ordinal);
        _signsvc.Folder.Write("shut.yaml", """
            statements:
              - {sid: shut, effect: deny, principals: ["credential:*"], actions: ["policies:*"], resources: ["*"]}
            """);
        Assert.Contains("locksOut", (await _signsvc.RunAsync("policy", "lint", "shut.yaml", "--policy", "cli-limit")).Ended(1).Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("policy", "put", "cli-limit", "--file", "shut.yaml")).Ended(3);
        Assert.Contains("There is no such key", (await _signsvc.RunAsync("policy", "explain", "keys:Sign", "key/nowhere")).Ended(1).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_policy_is_put_shown_tested_and_deleted()
    {
        _signsvc.Folder.Write("policy.yaml", Policy);
        _signsvc.Folder.Write("tests.yaml", Expectations);
        (await _signsvc.RunAsync("policy", "put", "cli-main", "--file", "policy.yaml")).Ended(0);

        var shown = (await _signsvc.RunAsync("policy", "get", "cli-main")).Ended(0);
        Assert.Equal("main-only", shown.Json.GetProperty("statements")[0].GetProperty("sid").GetString());
        Assert.Contains("cli-main", (await _signsvc.RunAsync("policy", "list")).Ended(0).Text, StringComparison.Ordinal);
        Assert.Contains("2 passed, 0 failed", (await _signsvc.RunAsync("policy", "test", "tests.yaml")).Ended(0).Text, StringComparison.Ordinal);

        var why = (await _signsvc.RunAsync(
            "policy", "explain", "keys:Sign", "key/release", "--principal", "oidc:github:repo:acme/app", "--claim", "ref=refs/heads/dev")).Ended(1);
        Assert.Contains("caller.ref", why.Text, StringComparison.Ordinal);
        Assert.Contains("refs/heads/dev", why.Text, StringComparison.Ordinal);

        (await _signsvc.RunAsync("policy", "delete", "cli-main")).Ended(0);
        var failed = (await _signsvc.RunAsync("policy", "test", "tests.yaml")).Ended(1);
        Assert.Contains("FAILED main signs: expected allow by policy/cli-main#main-only, got deny", failed.Text, StringComparison.Ordinal);
        Assert.Contains("1 passed, 1 failed", failed.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_put_takes_get_prints()
    {
        _signsvc.Folder.Write("policy.yaml", Policy);
        (await _signsvc.RunAsync("policy", "put", "cli-round", "--file", "policy.yaml")).Ended(0);
        var shown = (await _signsvc.RunAsync("policy", "get", "cli-round")).Ended(0);
        (await _signsvc.RunAsync(shown.Output, "policy", "put", "cli-round")).Ended(0);
        Assert.Equal(shown.Text, (await _signsvc.RunAsync("policy", "get", "cli-round")).Ended(0).Text);
        (await _signsvc.RunAsync("policy", "delete", "cli-round")).Ended(0);
    }

    [Fact]
    public async Task Lint_ends_with_1_where_it_finds_something()
    {
        _signsvc.Folder.Write("wide.yaml", "statements: [{effect: allow, principals: [\"*\"], actions: [\"keys:*\"]}]");
        var found = (await _signsvc.RunAsync("policy", "lint", "wide.yaml", "--of-key")).Ended(1);
        Assert.Contains("everyPrincipal", found.Text, StringComparison.Ordinal);
        _signsvc.Folder.Write("policy.yaml", Policy);
        (await _signsvc.RunAsync("policy", "lint", "policy.yaml")).Ended(0);
        (await _signsvc.RunAsync("policy", "lint", "wide.yaml")).Ended(3);
    }

    [Theory]
    [InlineData("expct: allow", "There is no expct in a test")]
    [InlineData("resourse: key/release", "There is no resourse in a test")]
    [InlineData("context: {reff: refs/heads/main}", "reff")]
    [InlineData("context: {artifact: {nmae: x}}", "nmae")]
    [InlineData("token: {audiense: a}", "audiense")]
    [InlineData("action: keys:Sgin", "There is no such action")]
    [InlineData("resource: kye/release", "kye/release")]
    [InlineData("resource: key/relase", "There is no such key")]
    public async Task A_test_that_is_misspelt_does_not_pass(string line, string why)
    {
        var member = line.Split(':')[0];
        string[] usual = ["expect: deny", "action: keys:Sign", "resource: key/release", "principal: oidc:github:nobody"];
        var lines = usual.Where(l => !l.StartsWith($"{member}:", StringComparison.Ordinal)).Append(line);
        _signsvc.Folder.Write("misspelt.yaml", $"tests:\n  - name: x\n{string.Concat(lines.Select(l => $"    {l}\n"))}");
        var ended = await _signsvc.RunAsync("policy", "test", "misspelt.yaml");
        Assert.NotEqual(0, ended.ExitCode);
        Assert.Contains(why, ended.Text + ended.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Approval_can_be_expected_and_explain_says_what_stands_before_a_request()
    {
        (await _signsvc.RunAsync("keys", "create", "cli-guarded", "--purpose", "artifacts")).Ended(0);
        var put = (await _signsvc.RunAsync(
            "approvals", "rules", "put", "cli-guarded", "--resource", "key/cli-guarded", "--resource", "key/cli-gaurded", "--action", "keys:Sign", "--required", "1", "--approver", "oidc:corp:*")).Ended(0);
        Assert.Contains("There is no key that key/cli-gaurded matches now.", put.Errors, StringComparison.Ordinal);
        _signsvc.Folder.Write("approval.yaml", "tests: [{name: waits, expect: approval, action: keys:Sign, resource: key/cli-guarded, principal: credential:x, roles: [signer]}]");
        Assert.Contains("1 passed, 0 failed", (await _signsvc.RunAsync("policy", "test", "approval.yaml")).Ended(0).Text, StringComparison.Ordinal);
        Assert.Contains("allowed, but it needs approval", (await _signsvc.RunAsync("policy", "explain", "keys:Sign", "key/cli-guarded")).Ended(0).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_grant_is_made_listed_and_revoked()
    {
        (await _signsvc.RunAsync("keys", "create", "cli-granted", "--purpose", "artifacts")).Ended(0);
        var made = (await _signsvc.RunAsync(
            "grants", "create", "credential:ci", "--key", "cli-granted", "--name", "nightly", "--uses", "5", "--expires", "2h", "--where", "context.ref=refs/heads/main", "-o", "json")).Ended(0);
        var id = made.Json.GetProperty("id").GetString()!;
        Assert.Contains("5 of 5", (await _signsvc.RunAsync("grants", "list", "--key", "cli-granted")).Ended(0).Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("grants", "revoke", id, "--key", "cli-granted")).Ended(0);
        Assert.DoesNotContain(id, (await _signsvc.RunAsync("grants", "list", "--key", "cli-granted")).Ended(0).Text, StringComparison.Ordinal);
    }
}
