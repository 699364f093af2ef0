using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;

namespace SignSvc.Backends.AwsKms.Tests.Budgets;

/// <summary>Who waits for a turn, how long, and who is refused instead.</summary>
public sealed class QueueTests : BudgetTests
{
    [Fact]
    public async Task Calls_beyond_the_rate_wait_and_leave_at_the_rate()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 10, Burst = TimeSpan.FromMilliseconds(200) });
        var calls = Enumerable.Range(0, 12).Select(_ => SignAsync(backend)).ToArray();
        Assert.Equal(2, Inner.Calls.Count);
        Assert.Equal(10, State(backend).WaitingInteractive);

        await AdvanceUntilAsync(() => Inner.Calls.Count == 7, TimeSpan.FromMilliseconds(500));
        await AdvanceUntilAsync(() => Inner.Calls.Count == 12, TimeSpan.FromMilliseconds(500));
        await Task.WhenAll(calls).WaitAsync(TimeSpan.FromSeconds(10), Cancel);
        Assert.Equal(0, State(backend).WaitingInteractive);
    }

    [Fact]
    public async Task Who_cannot_get_a_turn_before_the_deadline_is_refused_at_once()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 0.9 });
        var waiting = Enumerable.Range(0, 5).Select(_ => SignAsync(backend)).ToArray();
        var refused = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Assert.Equal(SigningFault.Overloaded, refused.Fault);
        Assert.True(refused.RetryAfter >= TimeSpan.FromSeconds(5), $"{refused.RetryAfter}");
        Assert.Equal(1, State(backend).Refused);
        await AdvanceUntilAsync(() => Inner.Calls.Count == 5, TimeSpan.FromSeconds(4.6));
        await Task.WhenAll(waiting);
    }

    [Fact]
    public async Task A_turn_that_would_leave_no_time_for_the_answer_is_not_waited_for()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 1 });
        Inner.Answer = (_, _, cancel) => Task.Delay(TimeSpan.FromSeconds(1.5), Clock, cancel);
        var known = SignAsync(backend);
        await AdvanceUntilAsync(() => known.IsCompleted, TimeSpan.FromSeconds(2.5));
        await known;

        // Five seconds of patience, one and a half of which the answer takes.
        var calls = Enumerable.Range(0, 8).Select(_ => SignAsync(backend)).ToArray();
        var refused = calls.Where(c => c.IsFaulted).ToArray();
        Assert.InRange(refused.Length, 4, 4);
        Assert.All(refused, c => Assert.Equal(SigningFault.Overloaded, Assert.IsType<SigningException>(c.Exception!.InnerException).Fault));
        await AdvanceUntilAsync(() => calls.All(c => c.IsCompleted), TimeSpan.FromSeconds(6));
        Assert.All(calls.Except(refused), c => Assert.True(c.IsCompletedSuccessfully, $"{c.Exception}"));
    }

    [Fact]
    public async Task A_full_queue_refuses()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 1, QueueLimit = 2 });
        var taken = Enumerable.Range(0, 3).Select(_ => SignAsync(backend)).ToArray();
        var refused = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Assert.Equal(SigningFault.Overloaded, refused.Fault);
        Assert.NotNull(refused.RetryAfter);
        await AdvanceUntilAsync(() => taken.All(t => t.IsCompleted), TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task A_caller_that_waits_longer_than_its_deadline_is_told_so_though_the_rate_fell_meanwhile()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 10, Burst = TimeSpan.FromMilliseconds(100), LeastShare = 0.01, DecreaseFactor = 0.01 });
        Inner.Answer = (_, _, _) => throw Throttled();
        var first = SignAsync(backend);
        Task<BackendSignature> late;
        using (CallTerms.Begin(Lane.Interactive, TimeSpan.FromSeconds(20), Clock))
            late = SignAsync(backend);
        Assert.False(late.IsCompleted);

        Clock.Advance(TimeSpan.FromSeconds(20));
        var refused = await Assert.ThrowsAsync<SigningException>(() => late.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
        Assert.Equal(SigningFault.Overloaded, refused.Fault);
        await Assert.ThrowsAsync<SigningException>(() => first.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
    }

    [Fact]
    public async Task A_cancelled_caller_leaves_the_queue_and_the_others_move_up()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 1 });
        await SignAsync(backend);
        using var cancel = new CancellationTokenSource();
        var leaving = SignAsync(backend, cancel.Token);
        var staying = SignAsync(backend);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => leaving);
        Assert.Equal(1, State(backend).WaitingInteractive);
        await AdvanceUntilAsync(() => staying.IsCompleted, TimeSpan.FromSeconds(1));
        await staying;
        Assert.Equal(2, Inner.Calls.Count);
    }

    [Fact]
    public async Task Interactive_calls_go_first_and_bulk_calls_are_not_starved()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 100, Burst = TimeSpan.FromMilliseconds(10), BulkTurn = 8, InFlightLimit = 1 });
        var hold = new TaskCompletionSource();
        var order = new List<Lane>();
        // One at a time, so that they are asked in order.
        Inner.Answer = (_, _, _) =>
        {
            lock (order)
                order.Add(CallTerms.Current.Lane);
            return hold.Task;
        };
        var first = SignAsync(backend);
        var calls = new List<Task>();
        foreach (var lane in Enumerable.Repeat(Lane.Bulk, 8).Concat(Enumerable.Repeat(Lane.Interactive, 24)))
        {
            using (CallTerms.Begin(lane, TimeSpan.FromMinutes(1), Clock))
                calls.Add(SignAsync(backend));
        }

        hold.SetResult();
        await first;
        await AdvanceUntilAsync(() => calls.TrueForAll(c => c.IsCompleted), TimeSpan.FromSeconds(2));
        await Task.WhenAll(calls);
        // 24 interactive calls end with three bulk calls among them; the five others follow.
        Assert.Equal(3, order.Skip(1).Take(27).Count(l => l == Lane.Bulk));
        Assert.All(order.Skip(28), l => Assert.Equal(Lane.Bulk, l));
    }

    [Fact]
    public async Task A_queue_that_stays_is_let_shrink_and_still_as_many_get_through()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 10, Burst = TimeSpan.FromMilliseconds(100) });
        var calls = new List<Task>();
        await OverloadAsync(backend, calls, TimeSpan.FromSeconds(20));
        Assert.True(State(backend).Refused > 0);

        var passed = State(backend).Passed;
        var longest = await OverloadAsync(backend, calls, TimeSpan.FromSeconds(20));
        // A fifth of five seconds at ten a second.
        Assert.InRange(longest, 9, 11);
        Assert.InRange(State(backend).Passed - passed, 198, 202);

        // As soon as it is gone, everybody is as patient as before.
        await AdvanceUntilAsync(() => State(backend).WaitingInteractive == 0, TimeSpan.FromSeconds(2));
        var refused = State(backend).Refused;
        calls.AddRange(Enumerable.Range(0, 30).Select(_ => SignAsync(backend)));
        Assert.Equal(refused, State(backend).Refused);
        await AdvanceUntilAsync(() => calls.TrueForAll(c => c.IsCompleted), TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Who_has_little_patience_shortens_it_for_nobody_else()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 10, Burst = TimeSpan.FromMilliseconds(100) });
        var calls = Enumerable.Range(0, 15).Select(_ => SignAsync(backend)).ToList();
        using (CallTerms.Begin(Lane.Interactive, TimeSpan.FromMilliseconds(100), Clock))
            await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));

        calls.AddRange(Enumerable.Range(0, 25).Select(_ => SignAsync(backend)));
        Assert.Equal(1, State(backend).Refused);
        await AdvanceUntilAsync(() => calls.TrueForAll(c => c.IsCompleted), TimeSpan.FromSeconds(5));
        await Task.WhenAll(calls);
    }

    /// <summary>Three times the rate of ten a second.</summary>
    /// <returns>The most that waited at once.</returns>
    private async Task<int> OverloadAsync(BudgetedBackend backend, List<Task> calls, TimeSpan length)
    {
        var most = 0;
        for (var passed = TimeSpan.Zero; passed < length; passed += TimeSpan.FromMilliseconds(100))
        {
            calls.AddRange(Enumerable.Range(0, 3).Select(_ => SignAsync(backend)));
            most = Math.Max(most, State(backend).WaitingInteractive);
            for (var i = 0; i < 5; i++)
            {
                Clock.Advance(TimeSpan.FromMilliseconds(20));
                await SettleAsync();
            }
        }

        return most;
    }
}
