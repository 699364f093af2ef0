using System.Collections.Immutable;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Access;

/// <summary>Tags and owners decide which statements speak of a key: who may change them gains nothing by it, and gives nothing that they do not hold.</summary>
public sealed class RetaggingTests : AccessScene
{
    private static readonly Caller Operator = new("credential:operator", [Role.Operator]);

    [Fact]
    public async Task Who_may_tag_but_not_sign_does_not_come_to_sign_by_it()
    {
        await PutAsync("teams", """
            {"sid":"a","effect":"allow","principals":["credential:operator"],"actions":["keys:Sign"],"resources":["key/*"],"conditions":{"stringEquals":{"key.tags.team":"a"}} }
            """);
        var refusal = await RefusalOfAsync(() => TagAsync(Operator, "a"));
        Assert.Equal(SigningFault.Forbidden, refusal!.Fault);
        Assert.Contains("policy/teams#a gives keys:Sign on release", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(SigningFault.Forbidden, (await SignAsync(Operator))!.Fault);

        // What is no condition of anything may be changed, and an administrator holds what is given.
        Assert.Null(await RefusalOfAsync(() => TagAsync(Operator, "b")));
        Assert.Null(await RefusalOfAsync(() => TagAsync(Admin, "a")));
        Assert.Null(await SignAsync(Operator));
        Assert.Null(await RefusalOfAsync(() => TagAsync(Operator, "b")));
    }

    [Fact]
    public async Task Nobody_opens_a_key_to_others_by_its_owner_or_by_the_keys_own_policy()
    {
        await PutAsync("owners", """
            {"sid":"b","effect":"allow","principals":["oidc:*"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"stringEquals":{"key.owner":"team-b"}} }
            """);
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => UpdateAsync(Operator, new KeyUpdate(Owner: "team-b"))))!.Fault);
        Assert.Null(await RefusalOfAsync(() => UpdateAsync(Operator, new KeyUpdate(Owner: "team-c"))));

        await Node.Policies.PutOfKeyAsync(Admin, "release", Document("""
            {"sid":"own","effect":"allow","principals":["oidc:*"],"actions":["keys:Sign"],"conditions":{"exists":{"key.tags.team":"true"}} }
            """), force: false, Cancel);
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => TagAsync(Operator, "any")))!.Fault);
    }

    [Theory]
    [InlineData(""" "effect":"deny","principals":["credential:operator"] """)]
    [InlineData(""" "effect":"deny","principals":["*"] """)]
    [InlineData(""" "effect":"limit","principals":["*"],"limit":{"per":"caller","perSecond":1} """)]
    public async Task A_denial_or_limit_is_not_shaken_off_by_a_tag_but_by_who_may_change_the_policy(string statement)
    {
        await TagAsync(Admin, "frozen");
        await PutAsync("frozen", $$$"""{ {{{statement}}},"sid":"f","actions":["keys:Rotate"],"resources":["*"],"conditions":{"stringEquals":{"key.tags.team":"frozen"} } }""");
        Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => TagAsync(Operator, "thawed")))!.Fault);
        Assert.Null(await RefusalOfAsync(() => TagAsync(Admin, "thawed")));
    }

    [Fact]
    public async Task What_is_held_by_the_tags_as_they_stand_may_be_given()
    {
        await PutAsync("teams", """
            {"sid":"a","effect":"allow","principals":["credential:operator"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"stringEquals":{"key.tags.team":"a"}} },
            {"sid":"nightly","effect":"allow","principals":["oidc:ci:*"],"actions":["keys:Sign"],"resources":["*"],"conditions":{"stringEquals":{"key.tags.stage":"nightly"}} }
            """);
        await TagAsync(Admin, "a");
        var tags = ImmutableSortedDictionary<string, string>.Empty.Add("team", "a").Add("stage", "nightly");
        Assert.Null(await RefusalOfAsync(() => UpdateAsync(Operator, new KeyUpdate(Tags: tags))));
    }

    private Task<Key> TagAsync(Caller caller, string team) =>
        UpdateAsync(caller, new KeyUpdate(Tags: ImmutableSortedDictionary<string, string>.Empty.Add("team", team)));

    private Task<Key> UpdateAsync(Caller caller, KeyUpdate update) => Node.Changes.UpdateAsync(caller, "release", _ => update, Cancel);
}
