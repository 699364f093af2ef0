using System.Text.Json;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>One tenant asks for far more than its share.</summary>
internal sealed class TenantFlood : Scenario
{
    public override string Name => "tenant-flood";

    public override string About =>
        "A tenant with a loop that never backs off asks for 4,000 tokens a second for twenty seconds, and strangers without a credential for 500; its neighbour's 20 signatures a second neither fail nor slow down.";

    public override async Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        var flooder = await CredentialAsync(service, "load-flooder", cancellationToken);
        var neighbour = await CredentialAsync(service, "load-neighbour", cancellationToken);
        var nobody = new ServiceCalls("not-a-credential");
        return Plan.Of(
            new Flow("neighbour")
            {
                Pace = Pace.Begin.Steady(20, TimeSpan.FromSeconds(40)),
                Steps = [new Step(() => neighbour.Sign("release"))],
                Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(250))],
            },
            new Flow("flooder")
            {
                Pace = Pace.Begin.Pause(TimeSpan.FromSeconds(10)).Steady(4000, TimeSpan.FromSeconds(20)),
                Arrival = Arrival.Constant,
                Steps = [new Step(() => flooder.Token())],
                OutstandingLimit = 256,
                Refusals = new HashSet<int> { 429, 503 },
                Thresholds = [Threshold.NoFailures],
            },
            new Flow("strangers")
            {
                Pace = Pace.Begin.Pause(TimeSpan.FromSeconds(10)).Steady(500, TimeSpan.FromSeconds(20)),
                Steps = [new Step(() => nobody.Token())],
                OutstandingLimit = 64,
                Refusals = new HashSet<int> { 401, 429, 503 },
                Thresholds = [Threshold.NoFailures],
            });
    }

    /// <summary>A name of its own for each run: credentials' names are never used twice.</summary>
    private static async Task<ServiceCalls> CredentialAsync(ServiceTarget service, string name, CancellationToken cancellationToken)
    {
        var unique = $"{name}-{TimeProvider.System.GetUtcNow().ToUnixTimeSeconds()}";
        using var made = JsonDocument.Parse((await service.MustAsync(service.Admin.CreateCredential(unique, "signer"), cancellationToken)).Body);
        return new ServiceCalls(made.RootElement.GetProperty("token").GetString()!);
    }
}
