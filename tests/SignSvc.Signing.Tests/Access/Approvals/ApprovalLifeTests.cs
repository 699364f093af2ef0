using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Access.Approvals;

/// <summary>What becomes of an approval: it expires, outlives restarts, is rejected, done without, and bounded in number.</summary>
public sealed class ApprovalLifeTests : ApprovalScene
{
    [Fact]
    public async Task What_expires_is_approved_by_nobody_and_good_for_nothing()
    {
        await PutRuleAsync();
        var pending = await PendingAsync(Sign());
        Clock.Advance(TimeSpan.FromHours(1) - TimeSpan.FromSeconds(1));
        Assert.Equal(ApprovalState.Approved, (await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel)).State);
        Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(SigningFault.Conflict, await FaultOfAsync(() => One.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel)));
        Assert.NotEqual(pending, await PendingAsync(Sign()), StringComparer.Ordinal);
        Assert.False(One.Live.Current.Approvals.ContainsKey(pending));
    }

    [Fact]
    public async Task A_restart_keeps_what_is_pending_and_what_is_given()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        await using var restarted = await StartAsync("three");
        Assert.Equal(1, (await restarted.Approvals.ReadAsync(Asker, pending, TimeSpan.Zero, Cancel)).Given);
        await restarted.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel);
        Assert.NotEmpty((await restarted.Signer.SignAsync(Asker, Sign(), Cancel)).Signature);
    }

    [Fact]
    public async Task One_rejection_ends_it_even_when_it_was_approved()
    {
        await PutRuleAsync();
        var pending = await ApprovedAsync(Sign());
        await One.Approvals.RejectAsync(Bob, pending, "not this build", Cancel);
        var refusal = await Assert.ThrowsAsync<SigningException>(() => One.Signer.SignAsync(Asker, Sign(), Cancel));
        Assert.Equal(SigningFault.Forbidden, refusal.Fault);
        Assert.Contains("not this build", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(SigningFault.Conflict, await FaultOfAsync(() => One.Approvals.BreakGlassAsync(Alice, pending, "now", Cancel)));
    }

    [Fact]
    public async Task What_was_approved_with_a_credential_that_is_revoked_since_is_approved_no_more()
    {
        await One.Credentials.CreateAsync(Bob, "alice", [Role.Admin], expiresAt: null, [], Cancel);
        await PutRuleAsync();
        var pending = await ApprovedAsync(Sign());
        await One.Credentials.RevokeAsync(Bob, "alice", force: true, Cancel);
        Assert.Equal(pending, await PendingAsync(Sign()));
        await One.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel);
        await One.Signer.SignAsync(Asker, Sign(), Cancel);
    }

    [Fact]
    public async Task Broken_glass_lets_one_request_through()
    {
        await PutRuleAsync(required: 3);
        var pending = await PendingAsync(Sign());
        Assert.Equal(SigningFault.InvalidRequest, await FaultOfAsync(() => One.Approvals.BreakGlassAsync(Alice, pending, " ", Cancel)));
        await One.Approvals.BreakGlassAsync(Alice, pending, "the site is down", Cancel);
        await One.Signer.SignAsync(Asker, Sign(), Cancel);
        await PendingAsync(Sign());
    }

    [Fact]
    public async Task Glass_that_was_broken_with_a_credential_that_is_revoked_since_lets_nothing_through()
    {
        await One.Credentials.CreateAsync(Bob, "alice", [Role.Admin], expiresAt: null, [], Cancel);
        await PutRuleAsync(required: 3);
        var pending = await PendingAsync(Sign());
        await One.Approvals.BreakGlassAsync(Alice, pending, "the site is down", Cancel);
        await One.Credentials.RevokeAsync(Bob, "alice", force: true, Cancel);
        Assert.Equal(pending, await PendingAsync(Sign()));

        // Somebody else can still break it.
        Assert.Equal(ApprovalState.Approved, (await One.Approvals.BreakGlassAsync(Bob, pending, "it still is", Cancel)).State);
        await One.Signer.SignAsync(Asker, Sign(), Cancel);
    }

    [Fact]
    public async Task Glass_is_not_broken_over_what_is_approved()
    {
        await PutRuleAsync();
        var approved = await ApprovedAsync(Sign());
        Assert.Equal(SigningFault.Conflict, await FaultOfAsync(() => One.Approvals.BreakGlassAsync(Alice, approved, "just in case", Cancel)));
        await One.Signer.SignAsync(Asker, Sign(), Cancel);
    }

    [Fact]
    public async Task A_key_is_not_deleted_while_an_approval_about_it_is_open()
    {
        await PutRuleAsync();
        var pending = await PendingAsync(Sign());
        Assert.Equal(SigningFault.StillInUse, await FaultOfAsync(() => One.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel)));
        await One.Approvals.RejectAsync(Asker, pending, "taken back", Cancel);
        Assert.Equal(KeyState.PendingDeletion, (await One.Changes.ScheduleDeletionAsync(Asker, "release", 7, Cancel)).State);
    }

    [Fact]
    public async Task Requests_that_wait_are_bounded_for_each_caller()
    {
        await PutRuleAsync();
        for (var i = 0; i < ApprovalDecisions.MaxPending; i++)
            await PendingAsync(Sign(i));
        Assert.Equal(SigningFault.RateLimited, await FaultOfAsync(() => One.Signer.SignAsync(Asker, Sign(1000), Cancel)));
        await PendingAsync(Sign(), Bob);
    }
}
