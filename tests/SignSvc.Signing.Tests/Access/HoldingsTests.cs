using SignSvc.Signing.Access;

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

    private Task DelegateAsync() => PutAsync("delegated", """
        {"effect":"allow","principals":["credential:delegate"],"actions":["policies:Put"],"resources":["policy/team"]},
        {"effect":"allow","principals":["credential:delegate"],"actions":["credentials:Create"],"resources":["*"]}
        """);

    private Task PutAsDelegateAsync(string statement) => Node.Policies.PutAsync(Delegate, "team", Document(statement), force: false, Cancel);
}
