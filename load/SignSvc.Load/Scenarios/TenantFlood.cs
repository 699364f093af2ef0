using System.Text.Json;
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
        var (flooder, flooderName) = await CredentialAsync(service, "load-flooder", cancellationToken);
        var (neighbour, _) = await CredentialAsync(service, "load-neighbour", cancellationToken);
        var nobody = new ServiceCalls("not-a-credential");
        await service.MustAsync(service.Admin.PutPolicy(flooderName, $$"""
            {"statements":[{"sid":"share","effect":"limit","principals":["credential:{{flooderName}}"],"actions":["keys:*","tokens:*"],"resources":["*"],
              "limit":{"per":"caller","perSecond":{{Share}}} }]}
            """), cancellationToken);
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
                    Thresholds = [Threshold.NoFailures, new Threshold("no more than its share is signed", f => f.Succeeded <= Share * Turns * (Turn.TotalSeconds + 2))],
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

    /// <summary>A name of its own for each run: credentials' names are never used twice.</summary>
    private static async Task<(ServiceCalls Calls, string Name)> CredentialAsync(ServiceTarget service, string name, CancellationToken cancellationToken)
    {
        var unique = $"{name}-{TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()}";
        using var made = JsonDocument.Parse((await service.MustAsync(service.Admin.CreateCredential(unique, "signer"), cancellationToken)).Body);
        return (new ServiceCalls(made.RootElement.GetProperty("token").GetString()!), unique);
    }
}
