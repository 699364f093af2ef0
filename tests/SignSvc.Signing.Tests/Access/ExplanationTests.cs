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

    [Theory]
    [InlineData("release", "key/release")]
    [InlineData("prod", "key/release")]
    [InlineData("ID", "key/release")]
    [InlineData("release", "key/ID")]
    [InlineData("prod", "key/ID")]
    [InlineData("prod", "own policy")]
    public async Task Of_a_key_whose_policies_one_may_not_read_nobody_else_s_rights_are_told_however_it_is_named(string named, string denied)
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        Assert.True(Node.Live.Current.Keys.TryGet("release", out var key));
        const string Denial = """ "effect":"deny","principals":["credential:reader"],"actions":["policies:Read"] """;
        if (denied is "own policy")
            await Node.Policies.PutOfKeyAsync(Admin, "release", Document($"{{{Denial}}}"), force: false, Cancel);
        else
            await PutAsync("secret", $$"""{{{Denial}},"resources":["{{denied.Replace("ID", key!.Id, StringComparison.Ordinal)}}"]}""");

        var reader = new Caller("credential:reader", [Role.Auditor]);
        Task AskAsync(string name) => Node.Questions.ExplainAsync(
            reader, new PolicyQuestion { Action = Actions.KeysSign, Resource = $"key/{name}", Caller = Flooder }, Cancel);
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => AskAsync(named.Replace("ID", key!.Id, StringComparison.Ordinal))))?.Fault);
        Assert.Null(await RefusalOfAsync(() => AskAsync("nightly")));
    }

    [Fact]
    public async Task A_right_to_read_policies_of_what_an_alias_looks_like_tells_nothing_of_the_key_behind_it()
    {
        await Node.Aliases.PutAsync(Admin, "team-app", "release", Cancel);
        await PutAsync("team", """{"effect":"allow","principals":["credential:lead"],"actions":["policies:Read"],"resources":["key/team-*"]}""");
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Questions.ExplainAsync(
            new Caller("credential:lead", []), new PolicyQuestion { Action = Actions.KeysSign, Resource = "key/team-app", Caller = Flooder }, Cancel)))?.Fault);
    }

    private Task<AccessExplanation> ExplainAsync(string action, string resource, Caller? caller = null) =>
        Node.Questions.ExplainAsync(Admin, new PolicyQuestion { Action = action, Resource = resource, Caller = caller }, Cancel);
}
