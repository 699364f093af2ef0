using SignSvc.Backends.AwsKms;
using SignSvc.Embedded;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Storage;

namespace SignSvc.Operations;

/// <summary>
/// Looks after accounts of AWS KMS: ends keys that were made and never recorded, and keeps the wrapping key's rotation on.
/// One node does it for a backend, under a lease; AWS is asked nothing while there is nothing to do.
/// </summary>
public sealed partial class AwsKmsUpkeep(Node node, ICluster cluster, TimeProvider time, ILogger<AwsKmsUpkeep> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan ReconcileEvery = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan RotationEvery = TimeSpan.FromDays(1);

    /// <summary>Longer than the slowest way from CreateKey to the record, on whatever node.</summary>
    private static readonly TimeSpan OnItsWay = TimeSpan.FromMinutes(15);

    private readonly DateTimeOffset _startedAt = time.GetUtcNow();

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        node.Backends.All.OfType<BudgetedBackend>().Select(b => b.Inner).OfType<AwsKmsBackend>().Select(b => KeepAsync(b, stoppingToken)));

    private async Task KeepAsync(AwsKmsBackend backend, CancellationToken stoppingToken)
    {
        long? reconciledAt = null;
        long? rotationAt = null;
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                if (!IsDue(reconciledAt, ReconcileEvery) && !IsDue(rotationAt, RotationEvery))
                    continue;
                if (await cluster.TryLeaseAsync($"upkeep/{backend.Name}", node.Name, Lease, stoppingToken) is null)
                    continue;
                if (IsDue(reconciledAt, ReconcileEvery))
                {
                    await ReconcileAsync(backend, isFirst: reconciledAt is null, stoppingToken);
                    reconciledAt = time.GetTimestamp();
                }

                if (IsDue(rotationAt, RotationEvery))
                {
                    await backend.EnsureWrappingKeyRotationAsync(stoppingToken);
                    rotationAt = time.GetTimestamp();
                }
            }
            catch (SigningException e)
            {
                LogMissed(backend.Name, e.Message);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));

        bool IsDue(long? last, TimeSpan every) => last is not { } at || time.GetElapsedTime(at) >= every;
    }

    private async Task ReconcileAsync(AwsKmsBackend backend, bool isFirst, CancellationToken stoppingToken)
    {
        // What a node that is alone began before it was started, nobody finishes any more.
        var olderThan = isFirst && !node.IsShared ? time.GetUtcNow() - _startedAt : OnItsWay;
        using var trail = CallTrail.Begin();
        var reconciled = await backend.ReconcileAsync(olderThan > TimeSpan.Zero ? olderThan : OnItsWay, tryFinish: null, stoppingToken);
        foreach (var arn in reconciled.Ended)
            LogEnded(arn, backend.Name);
        foreach (var reason in reconciled.Missed)
            LogMissed(backend.Name, reason);
    }

    [LoggerMessage(1211, LogLevel.Warning, "The KMS key {Arn} of {Backend} was made and never recorded; its deletion is scheduled")]
    private partial void LogEnded(string arn, string backend);

    [LoggerMessage(1212, LogLevel.Warning, "The upkeep of {Backend} is tried again: {Reason}")]
    private partial void LogMissed(string backend, string reason);
}
