using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Access;

/// <summary>Who may give, move and take names: the alias is asked about, and each key that it stands for, before and after.</summary>
public sealed class AliasAccessTests : AccessScene
{
    private static readonly Caller Operator = new("credential:operator", [Role.Operator]);
    private static readonly Caller Namer = new("credential:namer", []);

    [Theory]
    [InlineData("aliases:Delete", "alias/prod", false, true)]
    [InlineData("aliases:Delete", "alias/pr*", false, true)]
    [InlineData("aliases:*", "alias/prod", true, true)]
    [InlineData("aliases:*", "key/release", true, true)]
    [InlineData("aliases:Put", "alias/prod", true, false)]
    [InlineData("aliases:Put", "key/release", true, false)]
    [InlineData("aliases:Put", "key/nightly", true, false)]
    [InlineData("aliases:*", "alias/other", false, false)]
    public async Task A_denial_on_the_alias_or_on_a_key_of_it_binds_who_moves_or_deletes_it(string action, string resource, bool bindsMove, bool bindsDeletion)
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        await PutAsync("guard", Statement("deny", Operator, action, resource));

        Assert.Equal(bindsMove ? SigningFault.Forbidden : null, (await RefusalOfAsync(() => Node.Aliases.PutAsync(Operator, "prod", "nightly", Cancel)))?.Fault);
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        Assert.Equal(bindsDeletion ? SigningFault.Forbidden : null, (await RefusalOfAsync(() => Node.Aliases.DeleteAsync(Operator, "prod", Cancel)))?.Fault);
    }

    [Theory]
    [InlineData("release")]
    [InlineData("nightly")]
    public async Task A_key_s_own_denial_keeps_names_from_leaving_and_from_coming(string guarded)
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        await Node.Policies.PutOfKeyAsync(
            Admin, guarded, Document("""{"effect":"deny","principals":["credential:operator"],"actions":["aliases:Put"]}"""), force: false, Cancel);
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Aliases.PutAsync(Operator, "prod", "nightly", Cancel)))?.Fault);
    }

    [Fact]
    public async Task A_denial_on_a_key_that_is_yet_to_be_made_keeps_names_from_it()
    {
        await PutAsync("guard", Statement("deny", Operator, "aliases:Put", "key/guarded"));
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Keys.CreateAsync(Operator, Named("guarded"), Cancel)))?.Fault);
        Assert.Equal("free", (await Node.Keys.CreateAsync(Operator, Named("free"), Cancel)).Name);

        static NewKey Named(string name) => NewKey.Parse(
            name, KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null, aliases: [$"named/{name}"]);
    }

    [Fact]
    public async Task A_right_on_the_alias_is_enough_and_one_on_the_key_alone_gives_it_no_names()
    {
        await PutAsync("names", Statement("allow", Namer, "aliases:*", "alias/team/*"), Statement("allow", Namer, "aliases:*", "key/release"));
        await Node.Aliases.PutAsync(Namer, "team/app", "nightly", Cancel);
        await Node.Aliases.PutAsync(Namer, "team/app", "release", Cancel);
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Aliases.PutAsync(Namer, "prod", "release", Cancel)))?.Fault);
        await Node.Aliases.DeleteAsync(Namer, "team/app", Cancel);

        // Whether a name is an alias is not told to who may not list keys.
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Aliases.DeleteAsync(Namer, "release", Cancel)))?.Fault);
    }

    [Fact]
    public async Task A_move_counts_once_and_what_is_denied_is_not_asked_to_be_approved()
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        await PutAsync("limits", """{"effect":"limit","principals":["*"],"actions":["aliases:Put"],"resources":["*"],"limit":{"per":"caller","uses":2,"periodSeconds":86400} }""");
        await Node.Aliases.PutAsync(Operator, "prod", "nightly", Cancel);
        await Node.Aliases.PutAsync(Operator, "prod", "release", Cancel);
        Assert.Equal(SigningFault.RateLimited, (await RefusalOfAsync(() => Node.Aliases.PutAsync(Operator, "prod", "nightly", Cancel)))?.Fault);

        await PutAsync("limits", Statement("deny", Operator, "aliases:Put", "key/release"));
        await Node.Rules.PutAsync(Admin, new()
        {
            Name = "names",
            Resources = ["alias/*"],
            Actions = ["aliases:*"],
            Required = 1,
            Approvers = ["*"],
            ChangedAt = default,
            ChangedBy = "",
        }, force: true, Cancel);
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => Node.Aliases.PutAsync(Operator, "prod", "nightly", Cancel)))?.Fault);
    }

    [Fact]
    public async Task An_explanation_about_an_alias_knows_the_key_that_it_stands_for()
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        await PutAsync("guard", Statement("deny", Operator, "aliases:Delete", "key/release"));
        var explanation = await Node.Questions.ExplainAsync(
            Admin, new PolicyQuestion { Action = Actions.AliasesDelete, Resource = "alias/prod", Caller = Operator }, Cancel);
        Assert.Equal((PolicyVerdict.Denied, "policy/guard#1"), (explanation.Verdict, explanation.By));
    }

    [Fact]
    public async Task Aliases_of_keys_that_one_may_not_read_are_not_listed()
    {
        await Node.Aliases.PutAsync(Admin, "prod", "release", Cancel);
        await Node.Aliases.PutAsync(Admin, "test", "nightly", Cancel);
        await PutAsync("guard", Statement("deny", Operator, "keys:Read", "key/release"));
        Assert.Equal(["test"], (await Node.Aliases.ListAsync(Operator, Cancel)).Select(a => a.Alias), StringComparer.Ordinal);
        Assert.Equal(["prod", "test"], (await Node.Aliases.ListAsync(Admin, Cancel)).Select(a => a.Alias).Order(StringComparer.Ordinal), StringComparer.Ordinal);
    }

    private static string Statement(string effect, Caller caller, string action, string resource) =>
        $$"""{"effect":"{{effect}}","principals":["{{caller.Principal}}"],"actions":["{{action}}"],"resources":["{{resource}}"]}""";
}
