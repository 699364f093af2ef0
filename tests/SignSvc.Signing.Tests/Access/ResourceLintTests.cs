using System.Collections.Immutable;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access;

/// <summary>Policies and rules whose resources name nothing that there is: somebody believes that they hold.</summary>
public sealed class ResourceLintTests : AccessScene
{
    [Theory]
    [InlineData("key/relase", "There is no key that key/relase matches now.")]
    [InlineData("key/team-a-*", "There is no key that key/team-a-* matches now.")]
    [InlineData("key/prod", "prod is an alias, and resources are names or ids: it stands for key/release now.")]
    [InlineData("profile/defualt", "There is no profile that profile/defualt matches now.")]
    [InlineData("alias/prdo", "There is no alias that alias/prdo matches now.")]
    public async Task A_resource_that_matches_nothing_is_told(string resource, string why)
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        var document = Document(Statement("""["keys:Sign","tokens:Issue","aliases:Delete"]""", resource));
        var finding = Assert.Single(await Node.Questions.LintAsync(Admin, document, PolicyScope.Service, name: null, Cancel));
        Assert.Equal((PolicyFindingKind.NamesNothing, "s", why), (finding.Kind, finding.Statement, finding.Message));
        var put = await Node.Policies.PutAsync(Admin, "p", document, force: false, Cancel);
        Assert.Equal(finding, Assert.Single(put.Findings));
    }

    [Theory]
    [InlineData("""["keys:Sign"]""", "key/release")]
    [InlineData("""["keys:Sign"]""", "key/rel*")]
    [InlineData("""["keys:Sign"]""", "*")]
    [InlineData("""["keys:Create"]""", "key/team-a-*")]
    [InlineData("""["profiles:Put"]""", "profile/new")]
    [InlineData("""["audit:Read"]""", "audit/*")]
    public async Task What_matches_or_is_yet_to_be_made_is_not(string actions, string resource) =>
        Assert.Empty(await Node.Questions.LintAsync(Admin, Document(Statement(actions, resource)), PolicyScope.Service, name: null, Cancel));

    [Fact]
    public async Task Who_may_not_list_learns_nothing_of_what_there_is()
    {
        foreach (var resource in (string[])["key/release", "key/relase"])
        {
            var findings = await Node.Questions.LintAsync(Flooder, Document(Statement("""["keys:Sign"]""", resource)), PolicyScope.Service, name: null, Cancel);
            Assert.DoesNotContain(findings, f => f.Kind == PolicyFindingKind.NamesNothing);
        }
    }

    [Fact]
    public async Task A_key_s_policy_speaks_of_that_key_alone()
    {
        var findings = await Node.Questions.LintAsync(Admin, Document(Statement("""["keys:Sign"]""", "key/nightly")), PolicyScope.Key, "release", Cancel);
        Assert.Equal(PolicyFindingKind.NeverApplies, Assert.Single(findings).Kind);
        Assert.Empty(await Node.Questions.LintAsync(Admin, Document(Statement("""["keys:Sign"]""", "key/release")), PolicyScope.Key, "release", Cancel));
    }

    [Fact]
    public async Task A_rule_that_guards_nothing_says_so_when_it_is_put()
    {
        Assert.Equal([PolicyFindingKind.NamesNothing], await FindingsAsync([Actions.KeysSign], "key/relase"));
        Assert.Equal([PolicyFindingKind.NeverApplies], await FindingsAsync([Actions.KeysSign, Actions.ProfilesPut], "key/release"));
        Assert.Equal([PolicyFindingKind.NeverApplies], await FindingsAsync(["credentials:*"], "key/*"));
        Assert.Empty(await FindingsAsync([Actions.KeysSign, Actions.GrantsCreate, Actions.PoliciesPut], "key/release"));
        Assert.Empty(await FindingsAsync(["*"], "*"));
    }

    private async Task<IEnumerable<PolicyFindingKind>> FindingsAsync(ImmutableArray<string> actions, string resource)
    {
        var put = await Node.Rules.PutAsync(Admin, new ApprovalRule
        {
            Name = $"rule-{Node.Live.Current.ApprovalRules.Count}",
            Resources = [resource],
            Actions = actions,
            Required = 1,
            Approvers = ["oidc:corp:*"],
            ChangedAt = default,
            ChangedBy = "",
        }, force: false, Cancel);
        return put.Findings.Select(f => f.Kind);
    }

    private static string Statement(string actions, string resource) =>
        $$"""{"sid":"s","effect":"allow","principals":["credential:ci"],"actions":{{actions}},"resources":["{{resource}}"]}""";
}
