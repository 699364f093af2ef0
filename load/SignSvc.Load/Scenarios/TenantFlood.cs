using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>One tenant asks for ten times its share.</summary>
internal sealed class TenantFlood : Scenario
{
    /// <summary>Requests a second that the policy leaves the tenant.</summary>
    private const double Share = 100;

    /// <summary>Of the neighbour's p99 in the flood to its p99 before.</summary>
    private const double ToleratedRatio = 2;

    /// <summary>Calm and flood take turns, so that whatever else the machine does falls on both alike.</summary>
    private const int Turns = 5;

    private const string Calm = "neighbour in the calm";
    private const string Flooded = "neighbour in the flood";

    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(5);

    public override string Name => "tenant-flood";

    public override string About =>
        "A tenant with a loop that never backs off asks for 1,000 tokens a second, ten times what a policy leaves it, and strangers without a credential for 200; the 99th percentile of its neighbour's 100 signatures a second stays within twice what it is in the calm between.";

    public override async Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        var flooder = await BudgetedCaller.MakeAsync(service, "load-flooder", new CallerBudget(Share, (int)Share), cancellationToken);
        var neighbour = await BudgetedCaller.MakeAsync(service, "load-neighbour", budget: null, cancellationToken);
        var nobody = new ServiceCalls("not-a-credential");
        return new Plan(
            [
                Neighbour(Calm, neighbour, InTurns(Share, 0)),
                Neighbour(Flooded, neighbour, InTurns(0, Share)),
                new Flow("flooder")
                {
                    Pace = InTurns(0, 10 * Share),
                    Arrival = Arrival.Constant,
                    Steps = [new Step(() => flooder.Token())],
                    OutstandingLimit = 256,
                    Refusals = new HashSet<int> { 429 },
                    Thresholds =
                    [
                        Threshold.NoFailures, Threshold.RefusalsSayWhen,
                        new Threshold("nine of ten of the flood are sent", f => f.NotSent * 9 <= f.Succeeded + f.Refused),
                        // With what it has saved up in each calm.
                        new Threshold("no more than its share is signed", f => f.Succeeded <= Share * (f.Measured.TotalSeconds + (2 * Turns))),
                    ],
                },
                new Flow("strangers")
                {
                    Pace = InTurns(0, 2 * Share),
                    Steps = [new Step(() => nobody.Token())],
                    OutstandingLimit = 64,
                    Refusals = new HashSet<int> { 401 },
                    Thresholds = [Threshold.NoFailures],
                },
            ],
            [],
            [new Check($"the neighbour's p99 stays within {ToleratedRatio} × what it is in the calm", RatioFault)]);
    }

    private static Pace InTurns(double calm, double flood) =>
        Enumerable.Range(0, Turns).Aggregate(Pace.Begin, (pace, _) => pace.Steady(calm, Turn).Steady(flood, Turn));

    private static Flow Neighbour(string name, ServiceCalls calls, Pace pace) => new(name)
    {
        Pace = pace,
        Steps = [new Step(() => calls.Sign("release"))],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent],
    };

    private static string? RatioFault(ScenarioResult result)
    {
        var (calm, flooded) = (result.Flow(Calm).Latency.Percentile(99), result.Flow(Flooded).Latency.Percentile(99));
        return flooded <= calm * ToleratedRatio
            ? null
            : $"{calm.TotalMilliseconds:0.0} ms became {flooded.TotalMilliseconds:0.0} ms, {flooded / calm:0.00} ×";
    }
}
