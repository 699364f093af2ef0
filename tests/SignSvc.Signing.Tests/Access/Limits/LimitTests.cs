using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Tests.Access.Limits;

/// <summary>Rates and uses that policies leave: who shares them, what counts, and what refusals cost.</summary>
public sealed class LimitTests : LimitScene
{
    [Fact]
    public async Task A_caller_has_its_burst_and_then_its_rate_and_learns_when_to_come_back()
    {
        await LimitAsync(""" "per":"caller","perSecond":10,"burst":5 """);
        Assert.Equal(5, await SignedOfAsync(8, Flooder));
        var refusal = (await SignAsync(Flooder))!;
        Assert.Equal((SigningFault.RateLimited, TimeSpan.FromSeconds(0.1)), (refusal.Fault, refusal.RetryAfter));
        Clock.Advance(refusal.RetryAfter!.Value);
        Assert.Equal(1, await SignedOfAsync(2, Flooder));
        Assert.Equal(5, await SignedOfAsync(8, Neighbour));
    }

    [Fact]
    public async Task A_minute_of_ten_times_the_rate_gets_the_rate()
    {
        await LimitAsync(""" "per":"caller","perSecond":7,"burst":3 """);
        var signed = 0;
        for (var tenth = 0; tenth < 600; tenth++)
        {
            signed += await SignedOfAsync(7, Flooder);
            Clock.Advance(TimeSpan.FromSeconds(0.1));
        }

        Assert.InRange(signed, (7 * 60) + 1, (7 * 60) + 3);
    }

    [Fact]
    public async Task Uses_are_counted_by_period_and_a_refused_request_uses_nothing()
    {
        await LimitAsync(""" "per":"caller","uses":3,"periodSeconds":60,"perSecond":1000,"burst":2 """);
        Assert.Equal(2, await SignedOfAsync(5, Flooder));
        Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, await SignedOfAsync(5, Flooder));
        Clock.Advance(TimeSpan.FromSeconds(1));
        var refusal = (await SignAsync(Flooder))!;
        // The clock began 5 seconds after a full minute.
        Assert.Equal(TimeSpan.FromSeconds(60 - 5 - 2), refusal.RetryAfter);
        Clock.Advance(refusal.RetryAfter!.Value);
        Assert.Equal(2, await SignedOfAsync(2, Flooder));
    }

    [Fact]
    public async Task Each_caller_each_key_of_a_caller_or_each_key_of_all_has_a_budget_of_its_own()
    {
        await LimitAsync(""" "per":"caller","perSecond":1,"burst":4 """);
        Assert.Equal((3, 1), (await SignedOfAsync(3, Flooder, "release"), await SignedOfAsync(3, Flooder, "nightly")));
        await LimitAsync(""" "per":"callerAndKey","perSecond":1,"burst":4 """);
        Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal((4, 4), (await SignedOfAsync(6, Flooder, "release"), await SignedOfAsync(6, Flooder, "nightly")));
        Assert.Equal(4, await SignedOfAsync(6, Neighbour, "release"));
        await LimitAsync(""" "per":"key","perSecond":1,"burst":4 """);
        Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal((3, 1), (await SignedOfAsync(3, Flooder, "release"), await SignedOfAsync(3, Neighbour, "release")));
        Assert.Equal(4, await SignedOfAsync(6, Neighbour, "nightly"));
    }

    [Fact]
    public async Task What_one_limit_refuses_is_not_taken_from_another()
    {
        await LimitAsync(""" "per":"key","perSecond":1,"burst":10 """, """ "per":"callerAndKey","perSecond":1,"burst":2 """);
        Assert.Equal(2, await SignedOfAsync(100, Flooder));
        Assert.Equal(2, await SignedOfAsync(2, Neighbour));
        // Of the key's ten, four are spent.
        foreach (var i in Enumerable.Range(0, 3))
            Assert.Equal(2, await SignedOfAsync(2, new Caller($"credential:c{i}", [Role.Signer])));
        Assert.Equal(0, await SignedOfAsync(1, new Caller("credential:late", [Role.Signer])));
    }

    [Theory]
    [InlineData(""" "uses":3,"periodSeconds":86400 """)]
    [InlineData(""" "perSecond":0.01,"burst":3 """)]
    public async Task What_a_key_s_limit_refuses_is_not_taken_from_the_caller_s_own(string own)
    {
        await PutAsync(
            "limits",
            $$$"""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"caller",{{{own}}}} }""",
            """{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"resources":["key/release"],"limit":{"per":"caller","uses":1,"periodSeconds":86400} }""");
        Assert.Equal(1, await SignedOfAsync(10, Flooder, "release"));
        Assert.Equal(2, await SignedOfAsync(10, Flooder, "nightly"));
    }

    [Fact]
    public async Task Of_many_that_the_rate_refuses_at_once_none_keeps_a_use()
    {
        const string Uses = """ "uses":1000000,"periodSeconds":86400 """;
        await LimitAsync($""" "per":"caller","perSecond":0.01,"burst":1,{Uses} """);
        Assert.Null(await SignAsync(Flooder));
        var signed = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => SignedOfAsync(50_000, Flooder), Cancel)));
        Assert.Equal(0, signed.Sum());

        // Without its rate the limit shows what is left of the uses.
        await LimitAsync($""" "per":"caller",{Uses} """);
        var explanation = await Node.Questions.ExplainAsync(
            Admin, new PolicyQuestion { Action = Actions.KeysSign, Resource = "key/release", Caller = Flooder }, Cancel);
        Assert.Equal(999_999, Assert.Single(explanation.Limits).Available);
    }

    [Fact]
    public async Task A_batch_counts_its_items_and_what_is_over_asks_no_backend()
    {
        await LimitAsync(""" "per":"caller","perSecond":10,"burst":40 """);
        var before = Backend.Asked;
        var items = Enumerable.Repeat(new SignRequest { Key = "release", Payload = Payload.Digest(new byte[32]) }, 100).ToArray();
        var outcomes = await Node.Signer.SignBatchAsync(Flooder, items, Cancel);
        Assert.Equal(40, outcomes.Count(o => o.IsAnswer));
        Assert.All(outcomes.Where(o => !o.IsAnswer), o => Assert.Equal(SigningFault.RateLimited, o.Refusal!.Fault));
        Assert.Equal(40, Backend.Asked - before);

        // The interactive lane has the same budget.
        Assert.Equal(SigningFault.RateLimited, (await SignAsync(Flooder))!.Fault);
        Assert.Equal(40, Backend.Asked - before);
    }

    [Fact]
    public async Task A_limit_of_the_caller_counts_also_what_is_not_allowed_and_no_limit_tells_which_keys_exist()
    {
        await LimitAsync(""" "per":"caller","perSecond":1,"burst":10 """);
        await Node.Policies.PutOfKeyAsync(Admin, "release", Document("""{"effect":"limit","principals":["*"],"actions":["keys:Sign"],"limit":{"per":"caller","perSecond":1,"burst":2}}"""), force: false, Cancel);
        var stranger = new Caller("oidc:corp:eve", []);
        var faults = new List<SigningFault?>();
        for (var i = 0; i < 11; i++)
            faults.Add((await SignAsync(stranger, i % 2 == 0 ? "release" : "unknown"))?.Fault);
        Assert.Equal([.. Enumerable.Repeat<SigningFault?>(SigningFault.Forbidden, 10), SigningFault.RateLimited], faults);
    }

    [Fact]
    public async Task A_limit_under_conditions_is_for_whom_they_hold()
    {
        await PutAsync("limits", """
            {"effect":"limit","principals":["credential:*"],"actions":["keys:Sign"],"resources":["key/release"],
             "conditions":{"stringLike":{"context.ref":"refs/pull/*"}},"limit":{"per":"caller","perSecond":1,"burst":1} }
            """);
        Assert.Equal(5, await SignedOfAsync(5, Flooder));
        SignRequest Of(string key) => new() { Key = key, Payload = Payload.Digest(new byte[32]), Context = new() { Ref = "refs/pull/7/merge" } };
        Assert.Null(await RefusalOfAsync(() => Node.Signer.SignAsync(Flooder, Of("release"), Cancel)));
        Assert.NotNull(await RefusalOfAsync(() => Node.Signer.SignAsync(Flooder, Of("release"), Cancel)));
        Assert.Null(await RefusalOfAsync(() => Node.Signer.SignAsync(Flooder, Of("nightly"), Cancel)));
    }

    [Fact]
    public async Task A_flood_is_put_on_record_by_its_number()
    {
        await LimitAsync(""" "per":"caller","perSecond":1,"burst":1 """);
        await SignAsync(Flooder);
        var before = Store.Records;
        var first = (await SignAsync(Flooder))!;
        Assert.NotNull(first.AuditId);
        for (var i = 0; i < 500; i++)
            Assert.Null((await SignAsync(Flooder))!.AuditId);
        Assert.Equal(1, Store.Records - before);

        var timers = Clock.Timers;
        Clock.Advance(TimeSpan.FromSeconds(1));
        // It is over when the timer is set anew, a moment after the record.
        await UntilAsync(() => Store.Records - before == 2 && Clock.Timers == timers);
        // Quiet for a second: what comes then has a record of its own again. The rate gave one signature meanwhile.
        Clock.Advance(TimeSpan.FromSeconds(1));
        await SignAsync(Flooder);
        Assert.NotNull((await SignAsync(Flooder))!.AuditId);
        Assert.Equal(4, Store.Records - before);
    }

    [Fact]
    public async Task A_million_callers_do_not_grow_the_table_and_do_not_free_who_is_over_its_limit()
    {
        await LimitAsync(""" "per":"caller","perSecond":0.01,"burst":100 """);
        await SignedOfAsync(100, Flooder);
        for (var i = 0; i < 1_000_000; i++)
        {
            var caller = new Caller($"oidc:corp:{i}", [Role.Signer]);
            Node.Decisions.Authorise(caller, Node.Decisions.Draft(caller, Actions.KeysSign, "key/release"));
            if (i % 10_000 == 0)
                Assert.Equal(SigningFault.RateLimited, (await SignAsync(Flooder))!.Fault);
        }

        Assert.InRange(Node.Decisions.CallerBudgetsKept, 1, 65_536);
    }

    [Fact]
    public async Task A_limit_can_always_be_taken_back()
    {
        await PutAsync("limits", """{"effect":"limit","principals":["*"],"actions":["*"],"resources":["*"],"limit":{"per":"caller","perSecond":0.01,"burst":1} }""");
        await SignAsync(Admin);
        Assert.Equal(SigningFault.RateLimited, (await SignAsync(Admin))!.Fault);
        await Node.Policies.DeleteAsync(Admin, "limits", force: false, Cancel);
        Assert.Null(await SignAsync(Admin));
    }

    [Fact]
    public async Task A_policy_that_is_written_anew_goes_on_counting()
    {
        await LimitAsync(""" "per":"caller","uses":5,"periodSeconds":86400 """);
        Assert.Equal(4, await SignedOfAsync(4, Flooder));
        await LimitAsync(""" "per":"caller","uses":6,"periodSeconds":86400 """);
        Assert.Equal(2, await SignedOfAsync(4, Flooder));
    }

    private static async Task UntilAsync(Func<bool> holds)
    {
        // The timer's work goes on beside the test.
        while (!holds())
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancel);
    }
}
