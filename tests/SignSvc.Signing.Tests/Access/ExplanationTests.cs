using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access;

/// <summary>What would happen, beside the statements that decide.</summary>
public sealed class ExplanationTests : AccessScene
{
    [Fact]
    public async Task The_limits_and_approvals_that_stand_before_an_allowed_request_are_named()
    {
        await PutAsync("limits", """{"sid":"l","effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["key/release"],"limit":{"per":"caller","perSecond":1,"burst":3} }""");
        await Node.Rules.PutAsync(Admin, new ApprovalRule
        {
            Name = "releases",
            Resources = ["key/release"],
            Actions = [Actions.KeysSign],
            Required = 2,
            Approvers = ["oidc:corp:*"],
            ChangedAt = default,
            ChangedBy = "",
        }, force: false, Cancel);
        var release = await ExplainAsync(Actions.KeysSign, "key/release");
        Assert.True(release.Allowed);
        Assert.Equal(("policy/limits#l", 3), (Assert.Single(release.Limits).Name, release.Limits[0].Available));
        Assert.Equal(new ApprovalNeed("releases", 2), Assert.Single(release.Approvals));

        Assert.Equal(PolicyVerdict.NeedsApproval, release.Verdict);
        for (var i = 0; i < 3; i++)
            Assert.Equal(SigningFault.ApprovalRequired, (await SignAsync(Admin))!.Fault);
        Assert.Equal((true, PolicyVerdict.OverLimit), ((await ExplainAsync(Actions.KeysSign, "key/release")).Allowed, (await ExplainAsync(Actions.KeysSign, "key/release")).Verdict));
        Assert.Equal(SigningFault.RateLimited, (await SignAsync(Admin))!.Fault);
        // Whoever may not read policies learns what asking in earnest would tell, and no more.
        var own = await Node.Questions.ExplainAsync(Neighbour, new PolicyQuestion { Action = Actions.KeysSign, Resource = "key/release" }, Cancel);
        Assert.Equal((true, PolicyVerdict.NeedsApproval, true), (own.IsOpaque, own.Verdict, own.Approvals.IsEmpty));
        Assert.Equal(PolicyVerdict.Denied, (await ExplainAsync(Actions.KeysSign, "key/release", new Caller("credential:x", []))).Verdict);

        var nightly = await ExplainAsync(Actions.KeysSign, "key/nightly");
        Assert.Equal(PolicyVerdict.Allowed, nightly.Verdict);
        Assert.True(nightly.Allowed && nightly.Limits.IsEmpty && nightly.Approvals.IsEmpty);
    }

    [Theory]
    [InlineData("keys:Sign", "key/unknown", "There is no such key.")]
    [InlineData("tokens:Issue", "profile/unknown", "There is no such profile.")]
    public async Task What_does_not_exist_allows_nothing_but_that_it_be_made(string action, string resource, string reason)
    {
        var explanation = await ExplainAsync(action, resource);
        Assert.Equal((false, PolicyVerdict.NotFound, reason), (explanation.Allowed, explanation.Verdict, explanation.Reason));
        Assert.True((await ExplainAsync(action is "keys:Sign" ? Actions.KeysCreate : Actions.ProfilesPut, resource)).Allowed);
        Assert.True((await ExplainAsync(action, $"{resource.Split('/')[0]}/*")).Allowed);

        // Who may not list keys cannot tell it from what is forbidden.
        var own = await Node.Questions.ExplainAsync(Flooder, new PolicyQuestion { Action = action, Resource = resource }, Cancel);
        Assert.Equal((false, PolicyVerdict.Denied, true, null), (own.Allowed, own.Verdict, own.IsOpaque, own.Reason));
    }

    private Task<AccessExplanation> ExplainAsync(string action, string resource, Caller? caller = null) =>
        Node.Questions.ExplainAsync(Admin, new PolicyQuestion { Action = action, Resource = resource, Caller = caller }, Cancel);
}
