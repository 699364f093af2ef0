using SignSvc.Cluster.Tests;

namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>Two nodes on one database, of which one is cut off.</summary>
public sealed class ClusterAlarmTests
{
    internal static readonly StagedFault<Nodes>[] Faults =
    [
        new(["SignSvcSnapshotStale"], nodes =>
        {
            nodes.WayOf(1).Cut();
            return Task.CompletedTask;
        }),
        new(["SignSvcNodesDiverge"], async nodes => Assert.Equal(200, (await nodes[0].Client.PostUntilServedAsync("/v1/keys/release/disable")).Code)),
    ];

    [Fact]
    public async Task Each_staged_fault_fires_its_own_alarm()
    {
        await using var nodes = await Nodes.StartAsync(2);
        await using var alarms = await AlarmWatch.StartAsync([.. nodes.All]);
        await alarms.StageAsync(nodes, Faults);
    }
}
