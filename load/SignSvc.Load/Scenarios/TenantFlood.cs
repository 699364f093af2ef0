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

    private const string Before = "neighbour before";
    private const string Meanwhile = "neighbour in the flood";

    private static readonly TimeSpan Half = TimeSpan.FromSeconds(20);

    public override string Name => "tenant-flood";

    public override string About =>
        "A tenant with a loop that never backs off asks for 1,000 tokens a second, ten times what a policy leaves it, and strangers without a credential for 200; the 99th percentile of its neighbour's 100 signatures a second stays within twice what it was before.";

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
                Neighbour(Before, neighbour, Pace.Begin.Steady(Share, Half)),
                Neighbour(Meanwhile, neighbour, Pace.Begin.Pause(Half).Steady(Share, Half)),
                new Flow("flooder")
                {
                    Pace = Pace.Begin.Pause(Half).Steady(10 * Share, Half),
                    Arrival = Arrival.Constant,
                    Steps = [new Step(() => flooder.Token())],
                    OutstandingLimit = 256,
                    Refusals = new HashSet<int> { 429 },
                    Thresholds = [Threshold.NoFailures, new Threshold("no more than its share is signed", f => f.Succeeded <= Share * (Half.TotalSeconds + 2))],
                },
                new Flow("strangers")
                {
                    Pace = Pace.Begin.Pause(Half).Steady(2 * Share, Half),
                    Steps = [new Step(() => nobody.Token())],
                    OutstandingLimit = 64,
                    Refusals = new HashSet<int> { 401 },
                    Thresholds = [Threshold.NoFailures],
                },
            ],
            [],
            [new Check($"the neighbour's p99 stays within {ToleratedRatio} × what it was", RatioFault)]);
    }

    private static Flow Neighbour(string name, ServiceCalls calls, Pace pace) => new(name)
    {
        Pace = pace,
        Steps = [new Step(() => calls.Sign("release"))],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent],
    };

    private static string? RatioFault(ScenarioResult result)
    {
        var (before, meanwhile) = (result.Flow(Before).Latency.Percentile(99), result.Flow(Meanwhile).Latency.Percentile(99));
        return meanwhile <= before * ToleratedRatio
            ? null
            : $"{before.TotalMilliseconds:0.0} ms became {meanwhile.TotalMilliseconds:0.0} ms, {meanwhile / before:0.00} ×";
    }

    /// <summary>A name of its own for each run: credentials' names are never used twice.</summary>
    private static async Task<(ServiceCalls Calls, string Name)> CredentialAsync(ServiceTarget service, string name, CancellationToken cancellationToken)
    {
        var unique = $"{name}-{TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()}";
        using var made = JsonDocument.Parse((await service.MustAsync(service.Admin.CreateCredential(unique, "signer"), cancellationToken)).Body);
        return (new ServiceCalls(made.RootElement.GetProperty("token").GetString()!), unique);
    }
}
