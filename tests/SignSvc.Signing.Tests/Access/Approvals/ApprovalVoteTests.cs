using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;

namespace SignSvc.Signing.Tests.Access.Approvals;

/// <summary>Whose approval counts, and how often.</summary>
public sealed class ApprovalVoteTests : ApprovalScene
{
    [Fact]
    public async Task Nobody_approves_their_own_request_however_they_come()
    {
        await PutRuleAsync();
        var pending = await PendingAsync(Sign(), Alice);
        await MustBeForbiddenAsync(() => One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel));
        await MustBeForbiddenAsync(() => One.Approvals.ApproveAsync(AliceByToken, pending, reason: null, Cancel));
        await PendingAsync(Sign(), Alice);
        Assert.Equal(ApprovalState.Approved, (await One.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel)).State);
    }

    [Fact]
    public async Task One_person_counts_once_by_credential_and_by_token()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        var twice = await One.Approvals.ApproveAsync(AliceByToken, pending, reason: null, Cancel);
        Assert.Equal((ApprovalState.Pending, 1), (twice.State, twice.Given));
    }

    [Fact]
    public async Task Who_no_rule_names_or_has_no_right_to_decide_decides_nothing()
    {
        await PutRuleAsync(approvers: "credential:alice");
        var pending = await PendingAsync(Sign());
        await MustBeForbiddenAsync(() => One.Approvals.ApproveAsync(Bob, pending, reason: null, Cancel));
        await MustBeForbiddenAsync(() => One.Approvals.RejectAsync(Bob, pending, "no", Cancel));
        await MustBeForbiddenAsync(() => One.Approvals.ApproveAsync(Alice with { Roles = [Role.Operator] }, pending, reason: null, Cancel));
        await MustBeForbiddenAsync(() => One.Approvals.BreakGlassAsync(Alice with { Roles = [Role.Operator] }, pending, "now", Cancel));
    }
}
