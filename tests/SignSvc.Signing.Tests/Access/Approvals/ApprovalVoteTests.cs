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

    [Theory]
    [InlineData("alice@example.com ")]
    [InlineData("\talice@example.com\r\n")]
    [InlineData("ALICE@EXAMPLE.COM")]
    [InlineData("alice@example.com.")]
    [InlineData("ali\u200Bce@exa\u00ADmple.com")]
    [InlineData("\u00A0alice@example.com\u3000")]
    public async Task However_an_address_is_written_it_is_one_person(string email)
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        await One.Approvals.ApproveAsync(Alice, pending, reason: null, Cancel);
        var twice = await One.Approvals.ApproveAsync(Token("oidc:corp:a7", email), pending, reason: null, Cancel);
        Assert.Equal((ApprovalState.Pending, 1), (twice.State, twice.Given));

        // Nor does it approve what the same person asked for.
        var own = await PendingAsync(Sign(1), Token("oidc:corp:a8", email));
        await MustBeForbiddenAsync(() => One.Approvals.ApproveAsync(Alice, own, reason: null, Cancel));
    }

    [Fact]
    public async Task A_domain_s_two_writings_are_one_and_an_address_of_nothing_is_none()
    {
        await PutRuleAsync(required: 2);
        var pending = await PendingAsync(Sign());
        await One.Approvals.ApproveAsync(Token("oidc:corp:u1", "uwe@müller.example"), pending, reason: null, Cancel);
        Assert.Equal(1, (await One.Approvals.ApproveAsync(Token("oidc:corp:u2", "uwe@xn--mller-kva.example"), pending, reason: null, Cancel)).Given);
        Assert.Equal("oidc:corp:u3", Token("oidc:corp:u3", " \t").Person);
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
