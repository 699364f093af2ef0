using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Half an hour of half load: what grows although nothing should is a leak.</summary>
internal sealed class Soak : Scenario
{
    /// <summary>The last quarter against the second: the first still warms up.</summary>
    private const double ToleratedGrowth = 1.1;

    /// <summary>Of half an hour the disk may hold up commits for a moment: so many tokens are due in two thirds of a second, and how long they wait is to be seen.</summary>
    private const int Outstanding = 2048;

    private static readonly TimeSpan Length = TimeSpan.FromMinutes(30);

    public override string Name => "soak";

    public override string About =>
        "Thirty minutes at about half of what two processors do, the driver's part with it: tokens, signatures, key sets. Memory, handles and threads stay flat; the database grows by its audit alone.";

    public override TimeSpan WarmUp => TimeSpan.FromSeconds(15);

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        var keySet = ServiceCalls.KeySet();
        return Task.FromResult(new Plan(
            [
                Even("tokens", 3000, () => service.Admin.Token()),
                Even("signatures", 300, () => service.Admin.Sign("release")),
                Even("key sets", 1000, () => keySet),
            ],
            [],
            [
                Flat("resident memory", s => s.ResidentBytes, Enumerable.Average, slack: 16 * 1024 * 1024),
                // Callers' connections are among them, and are many for two minutes after a moment in which callers had to wait: the least is the service's own.
                Flat("handles", s => s.Handles, Enumerable.Min, slack: 16),
                Flat("threads", s => s.Threads, Enumerable.Average, slack: 8),
                new Check("the database grows by less than 1 KiB a decision", DatabaseFault),
            ]));
    }

    private static Flow Even(string name, double rate, Func<Call> call) => new(name)
    {
        Pace = Pace.Begin.Steady(rate, Length),
        Steps = [new Step(call)],
        OutstandingLimit = Outstanding,
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(50))],
    };

    private static Check Flat(
        string what, Func<ServerSecond, double> value, Func<IEnumerable<double>, double> of, double slack) => new($"{what} stays flat", result =>
    {
        var server = result.Server;
        if (server.Count < 8)
            return "the service cannot be watched (it was named by --url), or the run was too short";
        var early = of(server.Skip(server.Count / 4).Take(server.Count / 4).Select(value));
        var late = of(server.Skip(server.Count * 3 / 4).Select(value));
        return late <= (early * ToleratedGrowth) + slack ? null : $"{early:0} became {late:0}";
    });

    private static string? DatabaseFault(ScenarioResult result)
    {
        if (result.Server.Count < 8)
            return "the service cannot be watched (it was named by --url), or the run was too short";
        if (result.Server[^1].DatabaseBytes == 0)
            return "the database cannot be watched: it is no file of the service's; run without --postgres";
        var grown = result.Server[^1].DatabaseBytes - result.Server[0].DatabaseBytes;
        var decisions = result.Flow("tokens").Succeeded + result.Flow("signatures").Succeeded;
        var each = (double)grown / Math.Max(1, decisions);
        return each < 1024 ? null : $"{each:0} bytes";
    }
}
