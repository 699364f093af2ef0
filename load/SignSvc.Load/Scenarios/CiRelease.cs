using SignSvc.Load.Arrivals;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Release pipelines: each signs three artifacts with an assured key, building for a while between them.</summary>
internal sealed class CiRelease : Scenario
{
    public override string Name => "ci-release";

    public override string About =>
        "Pipelines come independently of each other, 5 a second, then 40 in the hour before a deadline; each signs a container, builds, signs its bill of materials, builds, signs an archive.";

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken) => Task.FromResult(Plan.Of(new Flow("pipelines")
    {
        Pace = Pace.Begin
            .Steady(5, TimeSpan.FromSeconds(20))
            .Ramp(5, 40, TimeSpan.FromSeconds(20))
            .Steady(40, TimeSpan.FromSeconds(20)),
        Steps =
        [
            new Step(() => service.Admin.Sign("release")),
            new Step(() => service.Admin.Sign("release"), Think: TimeSpan.FromMilliseconds(400)),
            new Step(() => service.Admin.Sign("release"), Think: TimeSpan.FromMilliseconds(800)),
        ],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(50))],
    }));
}
