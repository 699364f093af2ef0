using SignSvc.Signing.Access;

namespace SignSvc.Signing.Tests.Access.Approvals;

/// <summary>Rules that ask for approval: what they may say, and how they are changed.</summary>
public sealed class ApprovalRuleTests : ApprovalScene
{
    [Fact]
    public async Task A_rule_guards_itself()
    {
        await PutRuleAsync();
        var delete = await PendingAsync(() => One.Rules.DeleteAsync(Asker, "rule", Cancel));
        await PendingAsync(() => PutRuleAsync(required: 3));
        await One.Approvals.ApproveAsync(Alice, delete, reason: null, Cancel);
        await PendingAsync(Sign());
        await One.Rules.DeleteAsync(Asker, "rule", Cancel);
        Assert.NotEmpty((await One.Signer.SignAsync(Asker, Sign(), Cancel)).Signature);
    }

    [Fact]
    public async Task A_rule_that_grew_stricter_meanwhile_counts_as_it_stands()
    {
        await PutRuleAsync();
        await ApprovedAsync(Sign());
        await One.Rules.PutAsync(Asker, Rule("second", 1, "oidc:corp:b2", Actions.KeysSign, "key/release"), force: false, Cancel);
        await PendingAsync(Sign());
    }

    [Theory]
    [InlineData(0, "*", "keys:Sign", "key/*")]
    [InlineData(17, "*", "keys:Sign", "key/*")]
    [InlineData(1, "", "keys:Sign", "key/*")]
    [InlineData(1, "*", "keys:List", "key/*")]
    [InlineData(1, "*", "keys:Sign", "house/*")]
    public async Task A_rule_that_makes_no_sense_is_refused(int required, string approvers, string actions, string resources) =>
        Assert.Equal(SigningFault.InvalidRequest, await FaultOfAsync(() => One.Rules.PutAsync(Asker, Rule("rule", required, approvers, actions, resources), force: true, Cancel)));
}
