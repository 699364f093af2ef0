using System.Security.Cryptography;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Scenarios;

/// <summary>Verifiers: many, each with a cache, and some that were just started.</summary>
internal sealed class JwksFleet : Scenario
{
    private const int Verifiers = 300_000;
    private const int MaxAgeSeconds = 300;

    public override string Name => "jwks-fleet";

    public override string About =>
        "300,000 verifiers refresh their key set every five minutes, most of them naming the ETag that they have; then a tenth of them restarts within twenty seconds and reads it whole. Tokens are issued meanwhile.";

    public override async Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        var body = await service.MustAsync(ServiceCalls.KeySet() with { KeepsBody = true }, cancellationToken);
        var cached = ServiceCalls.KeySet(await EtagAsync(service, cancellationToken));
        var cold = ServiceCalls.KeySet();
        var digest = SHA256.HashData(body.Body.Span);
        const double refreshes = (double)Verifiers / MaxAgeSeconds;
        return Plan.Of(
            new Flow("refreshes")
            {
                Pace = Pace.Begin.Steady(refreshes, TimeSpan.FromSeconds(40)),
                Steps = [new Step(() => cached)],
                Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(20))],
            },
            new Flow("restarts")
            {
                Pace = Pace.Begin.Pause(TimeSpan.FromSeconds(10)).Steady(Verifiers / 10 / 20.0, TimeSpan.FromSeconds(20)),
                Steps = [new Step(() => cold)],
                Inspect = a => SHA256.HashData(a.Body.Span).AsSpan().SequenceEqual(digest) ? null : "another key set",
                Protocol = Protocol.Http1,
                Thresholds = [Threshold.NoFailures, Threshold.EverythingSent, Threshold.P99Within(TimeSpan.FromMilliseconds(20))],
            },
            new Flow("tokens")
            {
                Pace = Pace.Begin.Steady(20, TimeSpan.FromSeconds(40)),
                Steps = [new Step(() => service.Admin.Token())],
                Thresholds = [Threshold.NoFailures, Threshold.P99Within(TimeSpan.FromMilliseconds(50))],
            });
    }

    private static async Task<string> EtagAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var answer = await http.GetAsync(new Uri(service.Http, "/.well-known/jwks.json"), cancellationToken);
        return answer.Headers.ETag?.ToString() ?? throw new InvalidOperationException("The key set has no ETag.");
    }
}
