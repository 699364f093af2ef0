using System.Globalization;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Half of what a closed loop got from the same service on the same machine; run by itself, half of what two processors of the slower hosts do.</summary>
/// <param name="perSecond">Tokens that are asked for.</param>
internal sealed class HalfLoad(double perSecond = 5000) : Scenario
{
    public const string FlowName = "tokens at half load";

    public static readonly TimeSpan Length = TimeSpan.FromSeconds(20);

    public override string Name => "half-load";

    public override string About => string.Create(CultureInfo.InvariantCulture, $"{perSecond:0} tokens a second at random: 99 % have theirs within 5 ms.");

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken) => Task.FromResult(Plan.Of(new Flow(FlowName)
    {
        Pace = Pace.Begin.Steady(perSecond, Length),
        Steps = [new Step(() => service.Admin.Token())],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(5))],
    }));
}
