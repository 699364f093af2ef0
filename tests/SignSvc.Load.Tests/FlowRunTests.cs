using System.Collections.Concurrent;
using System.Diagnostics;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;

namespace SignSvc.Load.Tests;

/// <summary>The open loop against a service that stalls, refuses and vanishes.</summary>
public sealed class FlowRunTests
{
    private static readonly Call Any = new("GET", "/");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_stall_stands_in_the_latency_of_everyone_who_was_due_meanwhile()
    {
        // Half a second in, nothing is answered for half a second: 50 of 150 callers were due in it, and waited a quarter on average.
        var stall = (From: TimeSpan.FromSeconds(0.5), To: TimeSpan.FromSeconds(1));
        var began = Stopwatch.GetTimestamp();
        var result = await RunAsync(Evenly(100, TimeSpan.FromSeconds(1.5)), new Scripted(async cancel =>
        {
            var now = Stopwatch.GetElapsedTime(began);
            if (now >= stall.From && now < stall.To)
                await Task.Delay(stall.To - now, TimeProvider.System, cancel);
            return new Answer(200, 0, default);
        }), began);

        Assert.Equal(150, result.Succeeded);
        // Where the machine has no time for the driver itself, all are late by that.
        Assert.True(
            result.Latency.Percentile(50) < TimeSpan.FromMilliseconds(200) + result.Lateness.Max, $"p50 {result.Latency.Percentile(50)}, late by {result.Lateness.Max}");
        // A driver that waited for the stalled answer would have one slow call in a hundred, and none of these.
        Assert.True(result.Latency.Percentile(75) > TimeSpan.FromMilliseconds(30), $"p75 {result.Latency.Percentile(75)}");
        Assert.True(result.Latency.Percentile(99) > TimeSpan.FromMilliseconds(400), $"p99 {result.Latency.Percentile(99)}");
    }

    [Fact]
    public async Task What_exceeds_the_bound_is_not_sent_and_is_counted()
    {
        var open = new TaskCompletionSource();
        var transport = new Scripted(async cancel =>
        {
            await open.Task.WaitAsync(cancel);
            return new Answer(200, 0, default);
        });
        var flow = Evenly(100, TimeSpan.FromSeconds(1)) with { OutstandingLimit = 10 };
        using var run = new FlowRun(flow, transport, warmUp: default, seed: 1);
        var running = run.RunAsync(Stopwatch.GetTimestamp(), Cancel);
        // Until all have come; nothing was answered before.
        while (transport.Calls + run.Figures.NotSent < 100)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
        Assert.Equal(10, transport.Calls);
        open.SetResult();
        await running;

        Assert.Equal(10, run.Figures.Succeeded);
        Assert.Equal(90, run.Figures.NotSent);
    }

    [Fact]
    public async Task A_call_whose_answer_cannot_be_read_has_failed()
    {
        var calls = 0;
        var result = await RunAsync(
            Evenly(100, TimeSpan.FromMilliseconds(100)) with { Inspect = _ => Interlocked.Increment(ref calls) % 2 == 0 ? throw new System.Text.Json.JsonException("no JSON") : null },
            new Scripted(_ => Task.FromResult(new Answer(200, 0, default))));
        Assert.Equal((5, 5), (result.Succeeded, result.Failed));
        Assert.Equal(5, result.Outcomes["JsonException"]);
    }

    [Fact]
    public async Task Refusals_that_were_expected_are_no_failures_and_others_are_told_by_their_problem()
    {
        var answers = new ConcurrentQueue<Answer>(
        [
            new(200, 0, default), Overloaded with { RetryAfter = TimeSpan.FromSeconds(1) }, new(500, 0, default), new(201, 0, default), Overloaded,
        ]);
        var result = await RunAsync(
            Evenly(100, TimeSpan.FromMilliseconds(50)) with { Refusals = new HashSet<int> { 429 } },
            new Scripted(_ => Task.FromResult(answers.TryDequeue(out var next) ? next : throw new IOException("gone"))));

        Assert.Equal((2, 2, 1), (result.Succeeded, result.Refused, result.Failed));
        Assert.Equal(1, result.RefusedWithoutRetryAfter);
        Assert.Equal(["200", "201", "429 overloaded", "429 overloaded, Retry-After", "500"], result.Outcomes.Keys.Order(StringComparer.Ordinal), StringComparer.Ordinal);
        Assert.Equal(2, result.Latency.Count);
    }

    [Fact]
    public async Task A_connection_that_breaks_is_a_failure_and_the_run_goes_on()
    {
        var calls = 0;
        var result = await RunAsync(
            Evenly(100, TimeSpan.FromMilliseconds(100)),
            new Scripted(_ => Interlocked.Increment(ref calls) == 3 ? throw new IOException("reset") : Task.FromResult(new Answer(200, 0, default))));

        Assert.Equal((9, 1), (result.Succeeded, result.Failed));
        Assert.Equal(1, result.Outcomes["IOException"]);
        Assert.Equal(1, result.Lost);
    }

    [Fact]
    public async Task The_warm_up_is_called_and_not_counted()
    {
        var transport = new Scripted(_ => Task.FromResult(new Answer(200, 0, default)));
        var result = await RunAsync(Evenly(50, TimeSpan.FromMilliseconds(200)), transport, warmUp: TimeSpan.FromMilliseconds(200));

        Assert.Equal(10, result.Succeeded);
        Assert.Equal(20, transport.Calls);
    }

    [Fact]
    public async Task A_rate_is_that_of_the_time_in_which_somebody_comes()
    {
        var flow = Evenly(1, TimeSpan.FromSeconds(1)) with { Pace = Pace.Begin.Pause(TimeSpan.FromSeconds(0.3)).Steady(100, TimeSpan.FromSeconds(0.2)) };
        var result = await RunAsync(flow, new Scripted(_ => Task.FromResult(new Answer(200, 0, default))));

        Assert.Equal(TimeSpan.FromSeconds(0.2), result.Measured);
        Assert.Equal(100, result.Goodput, 6);
    }

    private static readonly Answer Overloaded = new(429, 0, """{"type":"urn:signsvc:problem:overloaded"}"""u8.ToArray());

    private static Flow Evenly(double rate, TimeSpan length) => new("test")
    {
        Pace = Pace.Begin.Steady(rate, length),
        Arrival = Arrival.Constant,
        Steps = [new Step(() => Any)],
    };

    private static Task<FlowResult> RunAsync(Flow flow, ITransport transport, TimeSpan warmUp = default) =>
        RunAsync(flow, transport, Stopwatch.GetTimestamp(), warmUp);

    private static async Task<FlowResult> RunAsync(Flow flow, ITransport transport, long started, TimeSpan warmUp = default)
    {
        using var run = new FlowRun(flow, transport, warmUp, seed: 1);
        await run.RunAsync(started, Cancel);
        return run.Figures;
    }

    private sealed class Scripted(Func<CancellationToken, Task<Answer>> answer) : ITransport
    {
        private int _calls;

        public int Calls => Volatile.Read(ref _calls);

        public async ValueTask<Answer> SendAsync(Call call, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _calls);
            return await answer(cancellationToken);
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
