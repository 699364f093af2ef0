using SignSvc.Load.Arrivals;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Three times what AWS KMS allows is asked for: first by a crowd, then by callers who each have a budget of their own.</summary>
internal sealed class KmsThrottled : Scenario
{
    /// <summary>Signatures a second that the emulator allows.</summary>
    public const double Quota = 200;

    public const string Crowd = "crowd at 3 × the quota";
    public const string Tenant = "tenant beyond its budget";
    public const string Within = "caller within its budget";

    /// <summary>Signatures a second of the caller who stays within its budget.</summary>
    private const double WithinAsks = 20;

    /// <summary>A quarter more than it asks for, so that chance does not make it cross its budget: a burst of a second's worth does not come.</summary>
    private static readonly CallerBudget WithinBudget = new(PerSecond: 25, Burst: 25);

    /// <summary>What the quota leaves beside the other. The burst is small, so that it makes nobody else wait.</summary>
    private static readonly CallerBudget TenantBudget = new(Quota - WithinBudget.PerSecond, Burst: 20);

    private static readonly TimeSpan Turn = TimeSpan.FromSeconds(30);

    /// <summary>The crowd's queue has gone by then.</summary>
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(6);

    public override string Name => "kms-throttled";

    public override string About =>
        "600 signatures a second are asked of a key in AWS KMS whose quota is 200. First by a crowd without budgets: the quota is used to 95 %, what is beyond it is refused with a time to come again, nobody waits as long as he would, and no caller sees a throttle of KMS. Then by a tenant whose policy leaves it 175 and who asks for 580, beside a caller who may have 25 and asks for 20: the quota is used to 95 %, and the one within its budget has every signature it asks for.";

    public override Need Need => Need.ThrottledKms;

    /// <summary>With less the quota would be enough.</summary>
    public override double LeastRate => 1;

    /// <summary>
    /// Until the queue of the first seconds has shrunk: it is as long as callers' patience at first, and while those who came
    /// before the measuring are served, nobody of the measured is let in.
    /// </summary>
    public override TimeSpan WarmUp => TimeSpan.FromSeconds(10);

    public override async Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        await service.MustAsync(
            service.Admin.CreateKey("""{"name":"kms","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"ECC_NIST_P256"}"""), cancellationToken);
        var tenant = await BudgetedCaller.MakeAsync(service, "load-tenant", TenantBudget, cancellationToken);
        var within = await BudgetedCaller.MakeAsync(service, "load-within", WithinBudget, cancellationToken);
        var second = Pace.Begin.Pause(Turn + Between);
        return new Plan(
            [
                new Flow(Crowd)
                {
                    Pace = Pace.Begin.Steady(3 * Quota, Turn),
                    Steps = [new Step(() => service.Admin.Sign("kms"))],
                    OutstandingLimit = 4096,
                    // The queue is full; a throttle of KMS would be 502.
                    Refusals = new HashSet<int> { 503 },
                    Thresholds =
                    [
                        Threshold.NoFailures, Threshold.RefusalsSayWhen, Threshold.EverythingSent, Threshold.GoodputAtLeast(0.95 * Quota),
                        Threshold.P50Within(TimeSpan.FromSeconds(2)),
                    ],
                },
                new Flow(Tenant)
                {
                    Pace = second.Steady((3 * Quota) - WithinAsks, Turn),
                    Arrival = Arrival.Constant,
                    Steps = [new Step(() => tenant.Sign("kms"))],
                    OutstandingLimit = 4096,
                    Refusals = new HashSet<int> { 429 },
                    Thresholds = [Threshold.NoFailures, Threshold.RefusalsSayWhen, Threshold.EverythingSent],
                },
                new Flow(Within)
                {
                    Pace = second.Steady(WithinAsks, Turn),
                    Steps = [new Step(() => within.Sign("kms"))],
                    Thresholds = [Threshold.EveryCallSucceeds, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromSeconds(1))],
                },
            ],
            [],
            [new Check($"where callers have budgets, too, {0.95 * Quota:0} a second succeed", BudgetedFault)]);
    }

    private static string? BudgetedFault(ScenarioResult result)
    {
        var goodput = result.Flow(Tenant).Goodput + result.Flow(Within).Goodput;
        return goodput >= 0.95 * Quota ? null : $"{goodput:0.0} did";
    }
}
