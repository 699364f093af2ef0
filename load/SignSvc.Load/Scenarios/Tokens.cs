using SignSvc.Load.Arrivals;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Everything logs in again at once.</summary>
internal sealed class TokenStorm : Scenario
{
    public override string Name => "token-storm";

    public override string About =>
        "Auth services ask for single tokens, 200 a second; then everything restarts and 2,500 a second are wanted within five seconds, twice, with a pause between.";

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken) => Task.FromResult(Plan.Of(new Flow("tokens")
    {
        Pace = Pace.Begin
            .Steady(200, TimeSpan.FromSeconds(10))
            .Ramp(200, 2500, TimeSpan.FromSeconds(5))
            .Steady(2500, TimeSpan.FromSeconds(10))
            .Pause(TimeSpan.FromSeconds(3))
            .Steps(TimeSpan.FromSeconds(5), 1000, 2500, 1000)
            .Ramp(1000, 200, TimeSpan.FromSeconds(7)),
        Steps = [new Step(() => service.Admin.Token())],
        Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(100))],
    }));
}

/// <summary>Tokens by the thousand, beside somebody who wants one.</summary>
internal sealed class TokenBatch : Scenario
{
    public override string Name => "token-batch";

    public override string About =>
        "A fleet's controller fetches tokens for its members, a batch of 1,000 every 100 ms; beside it somebody asks for one token ten times a second and must not wait for the batches.";

    public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        const int size = 1000;
        var batch = service.Admin.TokenBatch(size);
        return Task.FromResult(Plan.Of(
            new Flow("batches of 1,000")
            {
                Pace = Pace.Begin.Steady(10, TimeSpan.FromSeconds(40)),
                Arrival = Arrival.Constant,
                Steps = [new Step(() => batch)],
                Inspect = answer => answer.Tokens == size ? null : "fewer tokens than asked for",
                OutstandingLimit = 32,
                Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(500))],
            },
            new Flow("single tokens")
            {
                Pace = Pace.Begin.Steady(10, TimeSpan.FromSeconds(40)),
                Steps = [new Step(() => service.Admin.Token())],
                Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(200))],
            }));
    }
}
