using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>A working day in two minutes: five seconds are an hour.</summary>
internal sealed class MixedDay : Scenario
{
    private static readonly TimeSpan Hour = TimeSpan.FromSeconds(5);

    public override string Name => "mixed-day";

    public override string About =>
        "A day in two minutes: a quiet night, a morning in which everybody comes, a noon peak, an afternoon with releases, an evening; tokens, signatures, key sets, and an auditor at his desk.";

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        var keySet = ServiceCalls.KeySet();
        return Task.FromResult(Plan.Of(
            Following("tokens", peak: 800, () => service.Admin.Token(), TimeSpan.FromMilliseconds(50)),
            Following("signatures", peak: 60, () => service.Admin.Sign("release"), TimeSpan.FromMilliseconds(50)),
            Following("key sets", peak: 400, () => keySet, TimeSpan.FromMilliseconds(20)),
            new Flow("audit searches")
            {
                Pace = Pace.Begin.Pause(Hour * 8).Steady(2, Hour * 10).Pause(Hour * 6),
                Steps = [new Step(() => service.Admin.SearchAudit("action=keys:Sign&limit=50"))],
                Protocol = Protocol.Http1,
                Thresholds = [Threshold.NoFailures, Threshold.P99Within(TimeSpan.FromMilliseconds(100))],
            }));
    }

    private static Flow Following(string name, double peak, Func<Call> call, TimeSpan limit) => new(name)
    {
        Pace = Pace.Begin
            .Steady(peak / 10, Hour * 6)
            .Ramp(peak / 10, peak * 0.7, Hour * 3)
            .Steady(peak * 0.7, Hour * 2)
            .Ramp(peak * 0.7, peak, Hour)
            .Ramp(peak, peak * 0.6, Hour)
            .Steady(peak * 0.6, Hour * 4)
            .Ramp(peak * 0.6, peak / 10, Hour * 2)
            .Steady(peak / 10, Hour * 5),
        Steps = [new Step(call)],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(limit)],
    };
}
