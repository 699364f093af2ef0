using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Tests.Shared;

namespace SignSvc.Backends.AwsKms.Tests.Budgets;

public sealed class BudgetedBackendTests : BudgetTests
{
    [Fact]
    public async Task A_throttle_lowers_the_rate_once_and_time_raises_it_again()
    {
        using var backend = Budgeted(new BudgetLimits { PerSecond = 100 }, o => o with { MostTries = 1 });
        Inner.Answer = (_, _, _) => throw Throttled();
        for (var i = 0; i < 3; i++)
            await Assert.ThrowsAsync<SigningException>(() => ThenAdvanceAsync(SignAsync(backend)));
        Assert.InRange(State(backend).Rate!.Value, 75, 76);
        Assert.Equal(3, State(backend).Throttled);

        Clock.Advance(TimeSpan.FromSeconds(5));
        Assert.InRange(State(backend).Rate!.Value, 89.9, 91);
        Clock.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(100, State(backend).Rate);
    }

    [Fact]
    public async Task Only_the_retryable_is_tried_again_and_at_most_three_times()
    {
        using var backend = Budgeted(new BudgetLimits { BreakerFailures = 100 });
        foreach (var (fault, tries) in new[]
        {
            (SigningFault.BackendUnavailable, 3), (SigningFault.Overloaded, 3), (SigningFault.KeyNotUsable, 1), (SigningFault.BackendFailed, 1),
        })
        {
            Inner.Calls.Clear();
            Inner.Answer = (_, _, _) => throw new SigningException(fault, "scripted");
            var failed = await Assert.ThrowsAsync<SigningException>(() => ThenAdvanceAsync(SignAsync(backend)));
            Assert.Equal(fault, failed.Fault);
            Assert.Equal(tries, Inner.Calls.Count);
        }

        Inner.Calls.Clear();
        Inner.Answer = (_, n, _) => n < 3 ? throw Down() : Task.CompletedTask;
        await ThenAdvanceAsync(SignAsync(backend));
        Assert.Equal(3, Inner.Calls.Count);
    }

    [Fact]
    public async Task A_backend_that_is_down_is_left_alone_and_found_again_by_one_probe()
    {
        using var backend = Budgeted(new BudgetLimits { BreakerFailures = 3, BreakerOpen = TimeSpan.FromSeconds(1) }, o => o with { MostTries = 1 });
        Inner.Answer = (_, _, _) => throw Down();
        for (var i = 0; i < 3; i++)
            await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Assert.Equal(BreakerState.Open, State(backend).Breaker);
        var refused = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Assert.Equal(SigningFault.BackendUnavailable, refused.Fault);
        Assert.InRange(refused.RetryAfter!.Value, TimeSpan.FromMilliseconds(900), TimeSpan.FromSeconds(1));
        Assert.Equal(3, Inner.Calls.Count);

        var answer = new TaskCompletionSource();
        Inner.Answer = (_, _, _) => answer.Task;
        Clock.Advance(TimeSpan.FromSeconds(1));
        var probe = SignAsync(backend);
        Assert.Equal(BreakerState.HalfOpen, State(backend).Breaker);
        await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Assert.Equal(4, Inner.Calls.Count);

        answer.SetResult();
        await probe;
        Assert.Equal(BreakerState.Closed, State(backend).Breaker);
        await SignAsync(backend);
    }

    [Fact]
    public async Task A_probe_whose_caller_left_decides_nothing_and_the_next_call_is_the_probe()
    {
        using var backend = Budgeted(new BudgetLimits { BreakerFailures = 1 }, o => o with { MostTries = 1 });
        Inner.Answer = (_, _, _) => throw Down();
        await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Clock.Advance(TimeSpan.FromSeconds(1));
        Inner.Answer = (_, _, cancel) => Task.Delay(Timeout.InfiniteTimeSpan, Clock, cancel);
        using var cancel = new CancellationTokenSource();
        var probe = SignAsync(backend, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => probe);

        Inner.Answer = (_, _, _) => Task.CompletedTask;
        await SignAsync(backend);
        Assert.Equal(BreakerState.Closed, State(backend).Breaker);
    }

    [Fact]
    public async Task A_hanging_backend_costs_no_more_than_the_deadline()
    {
        using var backend = Budgeted(new BudgetLimits());
        Inner.Answer = (_, _, cancel) => Task.Delay(Timeout.InfiniteTimeSpan, Clock, cancel);
        var from = Clock.GetUtcNow();
        var hanging = SignAsync(backend);
        await AdvanceUntilAsync(() => hanging.IsCompleted, TimeSpan.FromSeconds(5));
        var failed = await Assert.ThrowsAsync<SigningException>(() => hanging);
        // Where the deadline passes while the next try waits for its turn, that is what the caller is told.
        Assert.True(
            failed.Fault is SigningFault.BackendUnavailable or SigningFault.DeadlineExceeded or SigningFault.Overloaded, $"{failed.Fault}");
        Assert.True(Clock.GetUtcNow() - from <= TimeSpan.FromSeconds(5));
        Assert.True(Inner.Calls.Count <= 3);
    }

    /// <summary>The system's timers count whole milliseconds, and the clock does not.</summary>
    [Fact]
    public async Task A_call_that_its_deadline_ended_is_late_also_where_the_timer_was_early()
    {
        var inner = new ScriptedBackend("here", "there") { Answer = (_, _, cancel) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel) };
        var time = new EarlyTimers();
        using var backend = new BudgetedBackend(inner, new BudgetOptions { Others = new BudgetLimits() }, time);
        using var terms = CallTerms.Begin(Lane.Interactive, TimeSpan.FromSeconds(1), time);
        var failed = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend));
        Assert.Equal(SigningFault.DeadlineExceeded, failed.Fault);
        Assert.Equal("here", Assert.Single(inner.Calls));
    }

    [Fact]
    public async Task A_call_whose_deadline_has_passed_is_late_also_where_the_timer_of_its_try_fires_first()
    {
        var inner = new ScriptedBackend("here", "there") { Answer = (_, _, cancel) => Task.Delay(Timeout.InfiniteTimeSpan, Clock, cancel) };
        var patience = TimeSpan.FromSeconds(2);
        var options = new BudgetOptions { Others = new BudgetLimits(), UsualPatience = patience, TryTimeout = patience };
        using var backend = new BudgetedBackend(inner, options, new FirstTimerLate(Clock));
        var signing = SignAsync(backend);
        Clock.Advance(patience);
        var failed = await Assert.ThrowsAsync<SigningException>(() => signing.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
        Assert.Equal(SigningFault.DeadlineExceeded, failed.Fault);
        Assert.Equal("here", Assert.Single(inner.Calls));
    }

    [Fact]
    public async Task Callers_without_patience_do_not_make_a_backend_look_down()
    {
        using var backend = Budgeted(new BudgetLimits { BreakerFailures = 2 });
        Inner.Answer = (_, _, cancel) => Task.Delay(TimeSpan.FromMilliseconds(100), Clock, cancel);
        for (var i = 0; i < 5; i++)
        {
            Task<BackendSignature> call;
            using (CallTerms.Begin(Lane.Interactive, TimeSpan.FromMilliseconds(50), Clock))
                call = SignAsync(backend);
            Clock.Advance(TimeSpan.FromMilliseconds(50));
            var late = await Assert.ThrowsAsync<SigningException>(() => call.WaitAsync(TimeSpan.FromSeconds(10), Cancel));
            Assert.Equal(SigningFault.DeadlineExceeded, late.Fault);
        }

        Assert.Equal(BreakerState.Closed, State(backend).Breaker);
    }

    [Fact]
    public async Task While_one_place_is_down_the_other_signs_and_the_first_is_used_again_when_it_is_back()
    {
        var inner = new ScriptedBackend("here", "there");
        using var backend = new BudgetedBackend(inner, new BudgetOptions { Others = new BudgetLimits { BreakerFailures = 2 } }, Clock);
        var isDown = true;
        inner.Answer = (place, _, _) => isDown && string.Equals(place, "here", StringComparison.Ordinal) ? throw Down() : Task.CompletedTask;
        for (var i = 0; i < 10; i++)
            await SignAsync(backend);
        Assert.Equal(2, inner.Calls.Count(p => string.Equals(p, "here", StringComparison.Ordinal)));
        Assert.Equal(10, inner.Calls.Count(p => string.Equals(p, "there", StringComparison.Ordinal)));

        isDown = false;
        Clock.Advance(TimeSpan.FromSeconds(2));
        inner.Calls.Clear();
        await SignAsync(backend);
        Assert.Equal("here", Assert.Single(inner.Calls));
    }

    [Fact]
    public void Limits_that_cannot_hold_are_all_named_at_once()
    {
        var options = new BudgetOptions
        {
            Families = new Dictionary<string, BudgetLimits>(StringComparer.Ordinal) { ["RSA"] = new() { PerSecond = 0, BulkTurn = 1 } },
            MostTries = 4,
        };
        var refused = Assert.Throws<ArgumentException>(() => new BudgetedBackend(Inner, options, Clock));
        Assert.Contains("RSA: PerSecond", refused.Message, StringComparison.Ordinal);
        Assert.Contains("RSA: BulkTurn", refused.Message, StringComparison.Ordinal);
        Assert.Contains("MostTries", refused.Message, StringComparison.Ordinal);
    }

    /// <summary>The deadline's is the first that a call sets.</summary>
    private sealed class FirstTimerLate(ManualClock clock) : TimeProvider
    {
        private bool _isFirstSet;

        public override long TimestampFrequency => clock.TimestampFrequency;

        public override long GetTimestamp() => clock.GetTimestamp();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var late = _isFirstSet ? TimeSpan.Zero : TimeSpan.FromMilliseconds(1);
            _isFirstSet = true;
            return clock.CreateTimer(callback, state, dueTime + late, period);
        }
    }

    private sealed class EarlyTimers : TimeProvider
    {
        private static readonly TimeSpan Early = TimeSpan.FromMilliseconds(50);

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime > Early ? dueTime - Early : dueTime, period);
    }
}
