using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access;

/// <summary>Nobody gives more than they hold, however it is written and whatever else is said of it elsewhere.</summary>
public sealed class HoldingsTests : AccessScene
{
    private static readonly Caller Delegate = new("credential:delegate", [Role.Signer]);

    [Fact]
    public async Task A_statement_that_reads_like_one_that_stood_there_before_and_says_more_is_given_anew()
    {
        await DelegateAsync();
        Assert.Null(await RefusalOfAsync(() => PutAsDelegateAsync("""
            {"effect":"allow","principals":["credential:friend\n\n*\n\n*\nkey/none"],"actions":["keys:Sign"],"resources":["key/release"]}
            """)));

        // The same lines in the same order, and other members that they stand in.
        var refusal = await RefusalOfAsync(() => PutAsDelegateAsync("""
            {"effect":"allow","principals":["credential:friend"],"actions":["*"],"resources":["*","key/none\n\nkeys:Sign\n\nkey/release"]}
            """));
        Assert.Equal(SigningFault.Forbidden, refusal!.Fault);
        Assert.False(Node.Decisions.Allows(new Caller("credential:friend", []), Actions.KeysDisable, "key/release"));
    }

    [Fact]
    public async Task A_statement_that_stays_as_it_was_is_nobody_s_to_give_again_under_whatever_name()
    {
        const string Rotates = """ "effect":"allow","principals":["oidc:*"],"actions":["keys:Rotate"],"resources":["*"],"conditions":{"stringEquals":{"caller.ref":"main"}} """;
        await PutAsync("team", $$"""{"sid":"a",{{Rotates}} }""");
        await DelegateAsync();
        Assert.Null(await RefusalOfAsync(() => PutAsDelegateAsync($$"""{"sid":"b",{{Rotates}} }""")));
    }

    [Fact]
    public async Task What_a_key_s_own_policy_denies_somebody_is_not_had_by_a_credential_or_policy_of_theirs()
    {
        await DelegateAsync();
        await DenyAsync("release", """ "principals":["credential:delegate"],"actions":["keys:Sign"] """);
        Assert.Equal(SigningFault.Forbidden, (await SignAsync(Delegate))!.Fault);

        var refusal = await RefusalOfAsync(() => CreateAsync("other"));
        Assert.Equal(SigningFault.Forbidden, refusal!.Fault);
        Assert.Contains("keys:Sign", refusal.Message, StringComparison.Ordinal);
        foreach (var resource in (string[])["*", "key/*", "key/release", $"key/{KeyId("release")}"])
            Assert.Equal(SigningFault.Forbidden, (await RefusalOfAsync(() => PutAsDelegateAsync(Allow(resource))))!.Fault);
        Assert.Null(await RefusalOfAsync(() => PutAsDelegateAsync(Allow("key/nightly"))));
    }

    [Fact]
    public async Task A_key_s_denial_that_binds_everybody_or_somebody_else_stands_in_nobody_s_way()
    {
        await DelegateAsync();
        await DenyAsync("release", """ "principals":["*"],"actions":["keys:Sign"],"conditions":{"stringNotEquals":{"context.ref":"refs/heads/main"}} """);
        await DenyAsync("nightly", """ "principals":["credential:flooder"],"actions":["keys:Sign"] """);
        Assert.Null(await RefusalOfAsync(() => CreateAsync("other")));
        Assert.Null(await RefusalOfAsync(() => PutAsDelegateAsync(Allow("key/*"))));
    }

    [Fact]
    public async Task What_a_statement_for_both_gives_to_some_names_alone_is_not_had_by_making_one_of_them()
    {
        await PutAsync("operators", """
            {"sid":"ops","effect":"allow","principals":["credential:*"],"actions":["keys:Disable"],"resources":["*"],"conditions":{"stringLike":{"caller.principal":"credential:ops-*"} } },
            {"sid":"of-tokens","effect":"allow","principals":["*"],"actions":["keys:Disable"],"resources":["*"],"conditions":{"stringEquals":{"caller.repository":"acme/app"} } }
            """);
        await DelegateAsync();
        var refusal = await RefusalOfAsync(() => CreateAsync("ops-1"));
        Assert.Equal(SigningFault.Forbidden, refusal!.Fault);
        Assert.Contains("policy/operators#ops", refusal.Message, StringComparison.Ordinal);
        Assert.Null(await RefusalOfAsync(() => CreateAsync("other-1")));
    }

    private Task DelegateAsync() => PutAsync("delegated", """
        {"effect":"allow","principals":["credential:delegate"],"actions":["policies:Put"],"resources":["policy/team"]},
        {"effect":"allow","principals":["credential:delegate"],"actions":["credentials:Create"],"resources":["*"]}
        """);

    private Task<PolicyPut> PutAsDelegateAsync(string statement) => Node.Policies.PutAsync(Delegate, "team", Document(statement), force: false, Cancel);

    private Task<(Credential Credential, string Token)> CreateAsync(string name) => Node.Credentials.CreateAsync(Delegate, name, [Role.Signer], expiresAt: null, [], Cancel);

    private Task<PolicyPut> DenyAsync(string key, string members) =>
        Node.Policies.PutOfKeyAsync(Admin, key, Document($$"""{"effect":"deny",{{members}} }"""), force: false, Cancel);

    private static string Allow(string resource) =>
        $$"""{"effect":"allow","principals":["credential:friend"],"actions":["keys:Sign"],"resources":["{{resource}}"]}""";

    private string KeyId(string name) => Node.Live.Current.Keys.TryGet(name, out var key) ? key.Id : "";
}
