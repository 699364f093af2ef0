using System.Net.Http.Headers;
using System.Text;
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
        await PutRuleAsync("guarded-1");
        var approver = (await _signsvc.RunAsync("credentials", "create", "approver-1", "--role", "admin")).Ended(0).Text.Trim();
        using var other = new CommandLine().Set("SIGNSVC_URL", service.Url).Set("SIGNSVC_TOKEN", approver);

        var refused = (await _signsvc.RunAsync("keys", "disable", "guarded-1")).Ended(3);
        Assert.Contains("needs the approval of 1", refused.Errors, StringComparison.Ordinal);
        var id = IdIn(refused.Errors);
        Assert.Contains(id, (await _signsvc.RunAsync("approvals", "list")).Ended(0).Text, StringComparison.Ordinal);

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
    }

    private static string IdIn(string errors) => UuidIn().Match(errors).Value;

    [GeneratedRegex("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex UuidIn();

    private async Task PutRuleAsync(string key)
    {
        using var client = new HttpClient { BaseAddress = new Uri(service.Url) };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", service.Token);
        using var rule = new StringContent(
            $$"""{"resources":["key/{{key}}"],"actions":["keys:Disable"],"required":1,"approvers":["credential:*"]}""", Encoding.UTF8, "application/json");
        using var answer = await client.PutAsync(new Uri($"/v1/approval-rules/{key}", UriKind.Relative), rule, TestContext.Current.CancellationToken);
        answer.EnsureSuccessStatusCode();
    }
}
