using SignSvc.Load.Arrivals;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Three times what AWS KMS allows is asked for.</summary>
internal sealed class KmsThrottled : Scenario
{
    /// <summary>Signatures a second that the emulator allows.</summary>
    public const double Quota = 200;

    public const string FlowName = "signatures at 3 × the quota";

    public override string Name => "kms-throttled";

    public override string About =>
        "600 signatures a second are asked of a key in AWS KMS whose quota is 200: the quota is used to 95 %, what is beyond it is refused as overload with a time to come back, nobody waits as long as he would, and no caller sees a throttle of KMS.";

    public override Need Need => Need.ThrottledKms;

    /// <summary>
    /// Until the queue of the first seconds has shrunk: it is as long as callers' patience at first, and while those who came
    /// before the measuring are served, nobody of the measured is let in.
    /// </summary>
    public override TimeSpan WarmUp => TimeSpan.FromSeconds(10);

    public override async Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        await service.MustAsync(
            service.Admin.CreateKey("""{"name":"kms","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"ECC_NIST_P256"}"""), cancellationToken);
        return Plan.Of(new Flow(FlowName)
        {
            Pace = Pace.Begin.Steady(3 * Quota, TimeSpan.FromSeconds(30)),
            Steps = [new Step(() => service.Admin.Sign("kms"))],
            OutstandingLimit = 4096,
            // Overload is told as 429 or 503 with Retry-After; a throttle of KMS would be 502.
            Refusals = new HashSet<int> { 429, 503 },
            Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.GoodputAtLeast(0.95 * Quota), Threshold.P50Within(TimeSpan.FromSeconds(2))],
        });
    }
}
