using System.Text.RegularExpressions;

namespace SignSvc.Cli.Tests;

public sealed partial class ApprovalTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task What_needs_approval_says_so_and_is_done_when_the_same_command_comes_again()
    {
        (await _signsvc.RunAsync("keys", "create", "guarded-1", "--spec", "ECC_NIST_P256")).Ended(0);
        var approver = (await _signsvc.RunAsync("credentials", "create", "approver-1", "--role", "admin")).Ended(0).Text.Trim();
        (await _signsvc.RunAsync("approvals", "rules", "put", "guarded-1", "--resource", "key/guarded-1", "--action", "keys:Disable", "--required", "1", "--approver", "credential:*")).Ended(0);
        using var other = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", approver);

        var refused = (await _signsvc.RunAsync("keys", "disable", "guarded-1")).Ended(3);
        Assert.Contains("needs the approval of 1", refused.Errors, StringComparison.Ordinal);
        var id = IdIn(refused.Errors);
        Assert.Contains(id, (await _signsvc.RunAsync("approvals", "list", "--state", "pending")).Ended(0).Text, StringComparison.Ordinal);
        Assert.DoesNotContain(id, (await _signsvc.RunAsync("approvals", "list", "--state", "used")).Ended(0).Text, StringComparison.Ordinal);

        (await _signsvc.RunAsync("approvals", "approve", id)).Ended(3);
        (await other.RunAsync("approvals", "approve", id, "--reason", "agreed")).Ended(0);
        var shown = (await other.RunAsync("approvals", "show", id, "--wait", "5")).Ended(0).Text;
        foreach (var word in (string[])["approved", "keys:Disable", "1 of 1", "credential:approver-1: agreed"])
            Assert.Contains(word, shown, StringComparison.Ordinal);
        (await _signsvc.RunAsync("keys", "disable", "guarded-1")).Ended(0);

        (await _signsvc.RunAsync("keys", "enable", "guarded-1")).Ended(0);
        var second = IdIn((await _signsvc.RunAsync("keys", "disable", "guarded-1")).Ended(3).Errors);
        Assert.NotEqual(id, second, StringComparer.Ordinal);
        (await other.RunAsync("approvals", "reject", second)).Ended(2);
        Assert.Contains("rejected", (await other.RunAsync("approvals", "reject", second, "--reason", "no")).Ended(0).Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("keys", "disable", "guarded-1")).Ended(3);

        // The newest first, in pages.
        var first = (await _signsvc.RunAsync("approvals", "list", "--limit", "1")).Ended(0);
        Assert.DoesNotContain(id, first.Text, StringComparison.Ordinal);
        Assert.Contains("There are more: --after ", first.Errors, StringComparison.Ordinal);
        Assert.Contains(id, (await _signsvc.RunAsync("approvals", "list", "--after", IdIn(first.Errors))).Ended(0).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_are_put_listed_and_ended_by_what_they_ask_for_and_glass_is_broken_with_a_reason()
    {
        (await _signsvc.RunAsync("keys", "create", "guarded-2", "--spec", "ECC_NIST_P256")).Ended(0);
        var approver = (await _signsvc.RunAsync("credentials", "create", "approver-2", "--role", "admin")).Ended(0).Text.Trim();
        using var other = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", approver);
        string[] rule = ["approvals", "rules", "put", "guarded-2", "--resource", "key/guarded-2", "--action", "keys:Rotate", "--approver", "credential:approver-2", "--expires-after", "10m"];

        Assert.Contains("locks-out", (await _signsvc.RunAsync([.. rule, "--required", "2"])).Ended(3).Errors, StringComparison.Ordinal);
        (await _signsvc.RunAsync([.. rule, "--required", "1"])).Ended(0);
        foreach (var command in (string[][])[["approvals", "rules", "list"], ["approvals", "rules", "show", "guarded-2"]])
            Assert.Contains("keys:Rotate", (await _signsvc.RunAsync(command)).Ended(0).Text, StringComparison.Ordinal);

        Assert.Contains("the rule guarded-2 needs the approval of 1", (await _signsvc.RunAsync("policy", "explain", "keys:Rotate", "key/guarded-2")).Ended(0).Text, StringComparison.Ordinal);
        var id = IdIn((await _signsvc.RunAsync("keys", "rotate", "guarded-2")).Ended(3).Errors);
        (await other.RunAsync("approvals", "break-glass", id)).Ended(2);
        (await other.RunAsync("approvals", "break-glass", id, "--reason", "the key leaked")).Ended(0);
        Assert.Contains("credential:approver-2: the key leaked", (await _signsvc.RunAsync("approvals", "show", id)).Ended(0).Text, StringComparison.Ordinal);
        (await _signsvc.RunAsync("keys", "rotate", "guarded-2")).Ended(0);

        var ending = IdIn((await _signsvc.RunAsync("approvals", "rules", "delete", "guarded-2")).Ended(3).Errors);
        (await other.RunAsync("approvals", "approve", ending)).Ended(0);
        (await _signsvc.RunAsync("approvals", "rules", "delete", "guarded-2")).Ended(0);
    }

    [Fact]
    public async Task A_wait_for_the_approval_of_others_is_no_time_out()
    {
        (await _signsvc.RunAsync("keys", "create", "guarded-3", "--spec", "ECC_NIST_P256")).Ended(0);
        (await _signsvc.RunAsync(
            "approvals", "rules", "put", "guarded-3", "--resource", "key/guarded-3", "--action", "keys:Disable", "--required", "1", "--approver", "credential:*", "--force")).Ended(0);
        var id = IdIn((await _signsvc.RunAsync("keys", "disable", "guarded-3")).Ended(3).Errors);

        Assert.Contains("pending", (await _signsvc.RunAsync("approvals", "show", id, "--wait", "11", "--timeout", "10")).Ended(0).Text, StringComparison.Ordinal);
    }

    private static string IdIn(string errors) => UuidIn().Match(errors).Value;

    [GeneratedRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UuidIn();
}
