using SignSvc.Embedded;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;

namespace SignSvc.Operations;

/// <summary>
/// Keeps this node's snapshot at the store's: on every notification, and by a poll for those that were lost. Says by a
/// heartbeat which revision this node serves, so that "served by every node" is known and not assumed.
/// </summary>
public sealed partial class SnapshotService(
    Node node, LiveSnapshot live, ICluster cluster, SnapshotFreshness freshness, TimeProvider time, ILogger<SnapshotService> log)
    : BackgroundService
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Reconnect = TimeSpan.FromSeconds(1);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) =>
        Task.WhenAll(PollAsync(stoppingToken), WatchAsync(stoppingToken));

    private async Task PollAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Poll, time);
        var isCutOff = false;
        do
        {
            try
            {
                await live.RefreshAsync(stoppingToken);
                freshness.Confirm();
                await cluster.HeartbeatAsync(new NodeStatus(node.Name, live.Current.Revision), stoppingToken);
                if (isCutOff)
                    LogBack(live.Current.Revision);
                isCutOff = false;
            }
            catch (SigningException e)
            {
                if (!isCutOff)
                    LogCutOff(e.Message, freshness.Bound.TotalSeconds);
                isCutOff = true;
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await foreach (var _ in cluster.WatchAsync(stoppingToken))
                {
                    await live.RefreshAsync(stoppingToken);
                    freshness.Confirm();
                }
            }
            catch (SigningException)
            {
                // The poll says so; here it is only tried again.
                await Task.Delay(Reconnect, time, stoppingToken);
            }
        }
    }

    [LoggerMessage(1201, LogLevel.Error, "This node is cut off from the store ({Reason}); its assured keys sign for {Seconds} s more at the most")]
    private partial void LogCutOff(string reason, double seconds);

    [LoggerMessage(1202, LogLevel.Warning, "This node is back at the store, at revision {Revision}")]
    private partial void LogBack(long revision);
}
