using System.Diagnostics;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Running;

/// <param name="TimeScale">Times of a scenario are multiplied by it.</param>
/// <param name="RateScale">Its rates by this.</param>
internal sealed record RunOptions(Protocol Protocol, double TimeScale, double RateScale, int Seed, string Command);

/// <summary>Runs one scenario: warm-up, flows side by side, events at their times, a sample of the server every second.</summary>
internal sealed class ScenarioRun(Scenario scenario, ServiceTarget service, RunOptions options, LiveProgress progress)
{
    private readonly List<ServerSecond> _server = [];
    private readonly List<(TimeSpan At, string Says)> _events = [];

    public async Task<ScenarioResult> RunAsync(CancellationToken cancellationToken)
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, cancellationToken);
        var plan = (await scenario.PlanAsync(service, cancellationToken)).At(options.TimeScale, options.RateScale);
        var transports = plan.Flows.Select(f => f.Protocol ?? options.Protocol).Distinct().ToDictionary(p => p, service.Open);
        var runs = plan.Flows.Select((f, i) => new FlowRun(f, transports[f.Protocol ?? options.Protocol], scenario.WarmUp, options.Seed + i)).ToList();
        try
        {
            progress.Begin(scenario.Name, plan.Length + scenario.WarmUp);
            var started = Stopwatch.GetTimestamp();
            using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var watching = WatchAsync(runs, started, end.Token);
            var events = DoEventsAsync(plan.Events, started, cancellationToken);
            await Task.WhenAll(runs.Select(r => r.RunAsync(started, cancellationToken)));
            await events;
            await end.CancelAsync();
            await watching;
            progress.End();
            var result = new ScenarioResult(
                scenario.Name, scenario.About, options.Command, machine, options.Protocol.ToString(), [.. runs.Select(r => r.Figures)], _server, _events,
                Machine.LoadNow());
            return result with { Verdicts = [.. Judge(plan, runs, result)] };
        }
        finally
        {
            runs.ForEach(r => r.Dispose());
            foreach (var transport in transports.Values)
                await transport.DisposeAsync();
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

    private async Task DoEventsAsync(IReadOnlyList<PlannedEvent> events, long started, CancellationToken cancellationToken)
    {
        foreach (var planned in events.OrderBy(e => e.At))
        {
            var left = scenario.WarmUp + planned.At - Stopwatch.GetElapsedTime(started);
            if (left > TimeSpan.Zero)
                await Task.Delay(left, TimeProvider.System, cancellationToken);
            await planned.Act(cancellationToken);
            _events.Add((planned.At, planned.Says));
        }
    }

    /// <summary>Ends each second of the measured time in the results; shows the warm-up, too, and keeps nothing of it.</summary>
    private async Task WatchAsync(List<FlowRun> runs, long started, CancellationToken cancellationToken)
    {
        var warmUp = scenario.WarmUp;
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1), TimeProvider.System);
        var (cpu, at) = (service.Usage?.Cpu ?? TimeSpan.Zero, Stopwatch.GetElapsedTime(started));
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                var elapsed = Stopwatch.GetElapsedTime(started);
                var second = (int)Math.Round((elapsed - warmUp).TotalSeconds);
                if (second <= 0)
                {
                    progress.WarmUp(elapsed);
                    (cpu, at) = (service.Usage?.Cpu ?? TimeSpan.Zero, elapsed);
                    continue;
                }

                var seconds = runs.Select(r => r.Figures.EndSecond(second, r.Flow.Pace.RateAt(elapsed - warmUp))).ToList();
                if (service.Usage is { } usage)
                {
                    _server.Add(new ServerSecond(
                        second, (usage.Cpu - cpu) / (elapsed - at), usage.ResidentBytes, usage.Handles, usage.Threads, service.DatabaseBytes ?? 0));
                    (cpu, at) = (usage.Cpu, elapsed);
                }

                progress.Show(elapsed, runs, seconds);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The run is over.
        }
    }
}
