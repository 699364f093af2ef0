using SignSvc.Grpc.Health;
using SignSvc.Operations;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;

namespace SignSvc.Grpc;

/// <summary>Tells gRPC's health checks what <c>/healthz/ready</c> says: without the audit nothing is signed.</summary>
public sealed class GrpcHealthService(
    GrpcHealth health, AuditLog audit, SnapshotFreshness freshness, Draining draining, TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>The empty name is the server as a whole.</summary>
    private static readonly string[] Services =
    [
        "",
        V1.SigningReflection.Descriptor.Services[0].FullName,
        V1.TokensReflection.Descriptor.Services[0].FullName,
        V1.KeysReflection.Descriptor.Services[0].FullName,
    ];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            foreach (var service in Services)
                health.Set(service, serving: audit.Trouble is null && !freshness.IsStale && !draining.HasBegun);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }
}
