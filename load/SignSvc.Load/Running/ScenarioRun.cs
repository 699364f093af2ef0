using System.Diagnostics;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Running;

/// <param name="TimeScale">Times of a scenario are multiplied by it.</param>
/// <param name="RateScale">Its rates by this.</param>
internal sealed record RunOptions(Protocol Protocol, double TimeScale, double RateScale, int Seed, string Command);

/// <summary>
/// Runs one scenario: warm-up, flows side by side, events at their times, a sample of the server every second. It is aborted
/// when it is interrupted, when the service goes away, or when an event fails; what was measured until then is kept.
/// </summary>
internal sealed class ScenarioRun(Scenario scenario, ServiceTarget service, RunOptions options, LiveProgress progress)
{
    /// <summary>Seconds in a row in which every call was lost and none was answered, until a service that is not ours counts as gone.</summary>
    private const int SilentSeconds = 10;

    private readonly List<ServerSecond> _server = [];
    private readonly List<(TimeSpan At, string Says)> _events = [];
    private string? _lost;

    /// <param name="interrupt">Aborts once the plan is made; before, there is nothing to keep.</param>
    public async Task<ScenarioResult> RunAsync(CancellationToken interrupt)
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, interrupt);
        var plan = (await scenario.PlanAsync(service, interrupt)).At(options.TimeScale, options.RateScale);
        var transports = plan.Flows.Select(f => f.Protocol ?? options.Protocol).Distinct().ToDictionary(p => p, service.Open);
        var runs = plan.Flows.Select((f, i) => new FlowRun(f, transports[f.Protocol ?? options.Protocol], scenario.WarmUp, options.Seed + i)).ToList();
        try
        {
            var length = plan.Length + scenario.WarmUp;
            progress.Begin(scenario.Name, length);
            var started = Stopwatch.GetTimestamp();
            using var abort = CancellationTokenSource.CreateLinkedTokenSource(interrupt);
            await DriveAsync(plan, runs, started, abort);
            var elapsed = Stopwatch.GetElapsedTime(started);
            progress.End();
            var result = new ScenarioResult(
                scenario.Name, scenario.About, options.Command, machine, string.Join(", ", transports.Keys), [.. runs.Select(r => r.Figures)], _server, _events,
                Machine.LoadNow());
            if (interrupt.IsCancellationRequested)
                return result with { Aborted = new Abortion("it was interrupted.", ExitCode.Interrupted, elapsed, length) };
            return _lost is null
                ? result with { Verdicts = [.. Judge(plan, runs, result)] }
                : result with { Aborted = new Abortion(_lost, ExitCode.TargetLost, elapsed, length) };
        }
        finally
        {
            runs.ForEach(r => r.Dispose());
            foreach (var transport in transports.Values)
                await transport.DisposeAsync();
        }
    }

    private async Task DriveAsync(Plan plan, List<FlowRun> runs, long started, CancellationTokenSource abort)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(abort.Token);
        var watching = WatchAsync(runs, started, abort, over.Token);
        var events = DoEventsAsync(plan.Events, started, abort);
        try
        {
            await Task.WhenAll(runs.Select(r => r.RunAsync(started, abort.Token)));
            await events;
        }
        finally
        {
            await over.CancelAsync();
            await watching;
        }
    }

    private static IEnumerable<Verdict> Judge(Plan plan, List<FlowRun> runs, ScenarioResult result)
    {
        foreach (var run in runs)
        {
            foreach (var threshold in run.Flow.Thresholds)
            {
                var held = threshold.Holds(run.Figures);
                yield return new Verdict(run.Figures.Name, threshold.Says, held, held ? null : Words.Of(run.Figures));
            }
        }

        foreach (var check in plan.Checks)
        {
            var fault = check.Judge(result);
            yield return new Verdict("run", check.Says, fault is null, fault);
        }
    }

    private async Task DoEventsAsync(IReadOnlyList<PlannedEvent> events, long started, CancellationTokenSource abort)
    {
        foreach (var planned in events.OrderBy(e => e.At))
        {
            try
            {
                var left = scenario.WarmUp + planned.At - Stopwatch.GetElapsedTime(started);
                if (left > TimeSpan.Zero)
                    await Task.Delay(left, TimeProvider.System, abort.Token);
                await planned.Act(abort.Token);
                _events.Add((planned.At, planned.Says));
            }
            catch (Exception e) when (e is TargetLostException or InvalidOperationException)
            {
                // Without it the scenario is another one.
                await LoseAsync($"{planned.Says}: {e.Message}", abort);
                return;
            }
            catch (OperationCanceledException) when (abort.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task LoseAsync(string why, CancellationTokenSource abort)
    {
        Interlocked.CompareExchange(ref _lost, why, null);
        await abort.CancelAsync();
    }

    /// <summary>Ends each second of the measured time in the results; shows the warm-up, too, and keeps nothing of it.</summary>
    private async Task WatchAsync(List<FlowRun> runs, long started, CancellationTokenSource abort, CancellationToken over)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        var (cpu, at) = (service.Usage?.Cpu ?? TimeSpan.Zero, Stopwatch.GetElapsedTime(started));
        var (silent, lost) = (0, 0L);
        try
        {
            while (await timer.WaitForNextTickAsync(over))
            {
                var elapsed = Stopwatch.GetElapsedTime(started);
                if (service.EndedWith is { } code)
                {
                    await LoseAsync($"the service ended by itself, with {code}.", abort);
                    return;
                }

                var second = (int)Math.Round((elapsed - scenario.WarmUp).TotalSeconds);
                if (second <= 0)
                {
                    progress.WarmUp(elapsed);
                    (cpu, at) = (service.Usage?.Cpu ?? TimeSpan.Zero, elapsed);
                    continue;
                }

                var seconds = runs.Select(r => r.Figures.EndSecond(second, r.Flow.Pace.RateAt(elapsed - scenario.WarmUp))).ToList();
                if (service.Usage is { } usage)
                {
                    _server.Add(new ServerSecond(
                        second, (usage.Cpu - cpu) / (elapsed - at), usage.ResidentBytes, usage.Handles, usage.Threads, service.DatabaseBytes ?? 0));
                    (cpu, at) = (usage.Cpu, elapsed);
                }

                progress.Show(elapsed, runs, seconds);
                var lostBefore = lost;
                lost = runs.Sum(r => r.Figures.Lost);
                silent = lost > lostBefore && seconds.Sum(s => s.Answered) == 0 ? silent + 1 : 0;
                if (silent == SilentSeconds)
                {
                    await LoseAsync($"for {SilentSeconds} s nobody answered.", abort);
                    return;
                }
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The run is over.
        }
    }
}
