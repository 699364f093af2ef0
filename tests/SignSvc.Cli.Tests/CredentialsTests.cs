namespace SignSvc.Cli.Tests;

public sealed class CredentialsTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task A_new_token_is_printed_alone_and_works()
    {
        var made = (await _signsvc.RunAsync("credentials", "create", "printed-1", "--role", "signer", "--role", "auditor", "--expires", "2h")).Ended(0);

        Assert.DoesNotContain(made.Text.Trim(), made.Errors, StringComparison.Ordinal);
        using var other = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", made.Text.Trim());
        (await other.RunAsync("audit", "search", "--limit", "1")).Ended(0);
    }

    [Theory]
    [InlineData("table")]
    [InlineData("json")]
    public async Task A_new_token_in_a_file_is_its_owner_s_alone_and_not_printed(string output)
    {
        var made = (await _signsvc.RunAsync("credentials", "create", $"filed-{output}", "--role", "signer", "--output-token", "token", "-o", output)).Ended(0);

        var file = _signsvc.Folder.At("token");
        var token = (await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).Trim();
        Assert.StartsWith("ssv1_", token, StringComparison.Ordinal);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Assert.DoesNotContain("ssv1_", made.Text + made.Errors, StringComparison.Ordinal);
        Assert.Contains($"filed-{output}", made.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rotated_credential_has_two_tokens_for_a_while_and_each_is_told_who_it_is()
    {
        var first = (await _signsvc.RunAsync("credentials", "create", "rotated-1", "--role", "signer", "--address", "127.0.0.0/8")).Ended(0).Text.Trim();
        var second = (await _signsvc.RunAsync("credentials", "rotate", "rotated-1", "--overlap", "10m")).Ended(0).Text.Trim();
        Assert.NotEqual(first, second, StringComparer.Ordinal);
        foreach (var token in (string[])[first, second])
        {
            using var other = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", token);
            Assert.Contains("credential:rotated-1", (await other.RunAsync("whoami")).Ended(0).Text, StringComparison.Ordinal);
        }

        var shown = (await _signsvc.RunAsync("credentials", "show", "rotated-1")).Ended(0).Text;
        Assert.Contains("127.0.0.0/8", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("ssv1_", shown, StringComparison.Ordinal);
        var third = (await _signsvc.RunAsync("credentials", "rotate", "rotated-1", "--overlap", "0", "--output-token", "token")).Ended(0);
        Assert.DoesNotContain("ssv1_", third.Text + third.Errors, StringComparison.Ordinal);
        using var late = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", second);
        (await late.RunAsync("whoami")).Ended(3);
    }

    [Fact]
    public async Task A_file_that_exists_is_not_overwritten_and_costs_no_credential()
    {
        _signsvc.Folder.Write("token", "mine");

        (await _signsvc.RunAsync("credentials", "create", "unmade-1", "--role", "signer", "--output-token", "token")).Ended(2);

        Assert.Equal("mine", await File.ReadAllTextAsync(_signsvc.Folder.At("token"), TestContext.Current.CancellationToken));
        Assert.DoesNotContain("unmade-1", (await _signsvc.RunAsync("credentials", "list")).Ended(0).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_role_that_does_not_allow_it_is_refused_with_its_audit_id()
    {
        var token = (await _signsvc.RunAsync("credentials", "create", "narrow-1", "--role", "signer")).Ended(0).Text.Trim();
        using var narrow = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", token);

        var run = (await narrow.RunAsync("keys", "list")).Ended(3);

        Assert.Matches(@"^signsvc: .*\(forbidden, audit local-[0-9]+\)\n", run.Errors);
        Assert.Contains("Ask an administrator", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_revoked_credential_is_listed_so_and_opens_nothing()
    {
        var token = (await _signsvc.RunAsync("credentials", "create", "gone-1", "--role", "admin")).Ended(0).Text.Trim();

        var revoked = (await _signsvc.RunAsync("credentials", "revoke", "gone-1")).Ended(0);
        Assert.Contains("revoked", revoked.Text, StringComparison.Ordinal);

        using var gone = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", token);
        var run = (await gone.RunAsync("keys", "list")).Ended(3);
        Assert.Contains("(unauthenticated", run.Errors, StringComparison.Ordinal);
        Assert.Contains("signsvc login", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain(token, run.Errors, StringComparison.Ordinal);
    }
}
