using SignSvc.Load.Arrivals;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Half of what a closed loop got from the same service on the same machine.</summary>
/// <param name="perSecond">Tokens that are asked for.</param>
internal sealed class HalfLoad(double perSecond) : Scenario
{
    public const string FlowName = "tokens at half load";

    public override string Name => "half-load";

    public override string About => "Tokens come at half the rate that 64 callers in a closed loop got, at random; 99 % have theirs within 5 ms.";

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken) => Task.FromResult(Plan.Of(new Flow(FlowName)
    {
        Pace = Pace.Begin.Steady(perSecond, TimeSpan.FromSeconds(20)),
        Steps = [new Step(() => service.Admin.Token())],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(5))],
    }));
}
