using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access;

/// <summary>What would shut administrators out is seen before it is done, and done only by force.</summary>
public sealed class LockoutTests : AccessScene
{
    [Fact]
    public async Task The_last_administrator_is_not_rotated_to_an_early_end()
    {
        var (credential, _) = await Node.Credentials.CreateAsync(Admin, "only", [Role.Admin], expiresAt: null, [], Cancel);
        await Node.Credentials.CreateAsync(Admin, "signer", [Role.Signer], expiresAt: null, [], Cancel);
        Task RotateAsync(TimeSpan left, bool force = false) =>
            Node.Credentials.RotateAsync(Admin, credential.Id, TimeSpan.Zero, Clock.GetUtcNow() + left, force, Cancel);

        var refusal = await RefusalOfAsync(() => RotateAsync(TimeSpan.FromHours(1)));
        Assert.Equal(SigningFault.LocksOut, refusal!.Fault);
        Assert.Null(await RefusalOfAsync(() => RotateAsync(TimeSpan.FromDays(30))));
        Assert.Null(await RefusalOfAsync(() => RotateAsync(TimeSpan.FromHours(1), force: true)));
        // It may get longer again, though still short.
        Assert.Null(await RefusalOfAsync(() => RotateAsync(TimeSpan.FromHours(2))));
    }

    [Fact]
    public async Task An_administrator_that_ends_soon_does_not_stand_in_for_one_that_is_revoked()
    {
        await Node.Credentials.CreateAsync(Admin, "main", [Role.Admin], expiresAt: null, [], Cancel);
        await Node.Credentials.CreateAsync(Admin, "short", [Role.Admin], Clock.GetUtcNow().AddHours(1), [], Cancel);
        Assert.Equal(SigningFault.LocksOut, (await RefusalOfAsync(() => Node.Credentials.RevokeAsync(Admin, "main", force: false, Cancel)))!.Fault);
        await Node.Credentials.CreateAsync(Admin, "long", [Role.Admin], Clock.GetUtcNow().AddDays(60), [], Cancel);
        Assert.Null(await RefusalOfAsync(() => Node.Credentials.RevokeAsync(Admin, "main", force: false, Cancel)));
    }

    [Fact]
    public async Task A_denial_of_a_credential_by_name_holds_also_where_it_is_called_by_its_id()
    {
        var (credential, _) = await Node.Credentials.CreateAsync(Admin, "prod", [Role.Signer], expiresAt: null, [], Cancel);
        var other = new Caller("credential:other", [Role.Admin]);
        await PutAsync("prod", """{"effect":"deny","principals":["credential:other"],"actions":["credentials:*"],"resources":["credential/prod"]}""");
        foreach (var reference in (string[])["prod", credential.Id])
        {
            Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Credentials.RotateAsync(other, reference, TimeSpan.Zero, expiresAt: null, force: false, Cancel)))!.Fault);
            Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Credentials.RevokeAsync(other, reference, force: false, Cancel)))!.Fault);
            Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Credentials.ReadAsync(other, reference, Cancel)))!.Fault);
        }
    }

    [Fact]
    public async Task Lint_says_that_a_policy_would_lock_its_administrators_out()
    {
        var lockout = Document("""{"sid":"shut","effect":"deny","principals":["credential:*"],"actions":["policies:*"],"resources":["*"]}""");
        Assert.Contains(await LintAsync(lockout, PolicyScope.Service, name: null), f => f.Kind == PolicyFindingKind.LocksOut);
        Assert.Contains(await LintAsync(lockout, PolicyScope.Service, "other"), f => f.Kind == PolicyFindingKind.LocksOut);
        var ofKey = Document("""{"sid":"shut","effect":"deny","principals":["*"],"actions":["policies:*"]}""");
        Assert.Contains(await LintAsync(ofKey, PolicyScope.Key, "release"), f => f.Kind == PolicyFindingKind.LocksOut);
        Assert.DoesNotContain(await LintAsync(ofKey, PolicyScope.Key, name: null), f => f.Kind == PolicyFindingKind.LocksOut);
    }

    [Fact]
    public async Task A_rule_that_too_few_can_meet_is_refused_unless_forced()
    {
        await Node.Credentials.CreateAsync(Admin, "admin", [Role.Admin], expiresAt: null, [], Cancel);
        await Node.Credentials.CreateAsync(Admin, "alice", [Role.Admin], expiresAt: null, [], Cancel);
        await Node.Credentials.CreateAsync(Admin, "mallory", [Role.Signer], expiresAt: null, [], Cancel);
        Task PutAsync(int required, string approvers, bool force = false) =>
            Node.Rules.PutAsync(Admin, Rule(required, approvers), force, Cancel);

        // Nobody approves their own, and a signer may not decide.
        Assert.Equal(SigningFault.LocksOut, (await RefusalOfAsync(() => PutAsync(2, "credential:*")))!.Fault);
        Assert.Null(await RefusalOfAsync(() => PutAsync(1, "credential:*")));
        Assert.Null(await RefusalOfAsync(() => Node.Rules.PutAsync(Admin, Rule(5, "oidc:corp:*") with { Name = "outside" }, force: false, Cancel)));

        // With a rule in force, a policy may not take its approvers away.
        var refusal = await RefusalOfAsync(() => Node.Policies.PutAsync(
            Admin, "silence", Document("""{"effect":"deny","principals":["credential:alice"],"actions":["approvals:Decide"],"resources":["*"]}"""), force: false, Cancel));
        Assert.Equal(SigningFault.LocksOut, refusal!.Fault);
        Assert.Contains("rule guarded", refusal.Message, StringComparison.Ordinal);
    }

    private static ApprovalRule Rule(int required, string approvers) => new()
    {
        Name = "guarded",
        Resources = ["key/release"],
        Actions = [Actions.KeysSign],
        Required = required,
        Approvers = [approvers],
        ChangedAt = default,
        ChangedBy = "",
    };

    private async Task<IReadOnlyList<PolicyFinding>> LintAsync(PolicyDocument document, PolicyScope scope, string? name) =>
        await Node.Questions.LintAsync(Admin, document, scope, name, Cancel);
}
