using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Tests;

/// <summary>What <see cref="ICluster"/> guarantees.</summary>
public abstract class ClusterContract
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected abstract Task<ICluster> OpenAsync();

    /// <summary>Lets so much time pass that every lease has ended.</summary>
    protected abstract Task EndLeasesAsync();

    [Fact]
    public async Task A_lease_has_one_holder_until_it_ends_and_the_fence_rises_with_each_new_one()
    {
        var cluster = await OpenAsync();
        Assert.Equal(1, await cluster.TryLeaseAsync("rotate", "a", Minute, Cancel));
        Assert.Equal(1, await cluster.TryLeaseAsync("rotate", "a", Minute, Cancel));
        Assert.Null(await cluster.TryLeaseAsync("rotate", "b", Minute, Cancel));
        Assert.Equal(1, await cluster.TryLeaseAsync("delete", "b", Minute, Cancel));

        await EndLeasesAsync();
        Assert.Equal(2, await cluster.TryLeaseAsync("rotate", "b", Minute, Cancel));
        Assert.Null(await cluster.TryLeaseAsync("rotate", "a", Minute, Cancel));
        await EndLeasesAsync();
        Assert.Equal(3, await cluster.TryLeaseAsync("rotate", "a", Minute, Cancel));
    }

    [Fact]
    public async Task A_renewed_lease_keeps_the_others_out()
    {
        var cluster = await OpenAsync();
        await cluster.TryLeaseAsync("rotate", "a", Minute, Cancel);
        await EndLeasesAsync();
        Assert.Equal(1, await cluster.TryLeaseAsync("rotate", "a", Minute, Cancel));
        Assert.Null(await cluster.TryLeaseAsync("rotate", "b", Minute, Cancel));
    }

    [Fact]
    public async Task Of_fifty_racers_one_gets_the_lease_each_time_with_the_next_fence()
    {
        var cluster = await OpenAsync();
        for (var round = 1; round <= 4; round++)
        {
            var number = round;
            var fences = await Task.WhenAll(Enumerable.Range(0, 50).Select(racer =>
                Task.Run(() => cluster.TryLeaseAsync("rotate", $"racer {number} {racer}", Minute, Cancel), Cancel)));
            Assert.Equal(number, Assert.Single(fences, f => f is not null));
            await EndLeasesAsync();
        }
    }

    [Fact]
    public async Task A_heartbeat_says_what_the_node_serves_now()
    {
        var cluster = await OpenAsync();
        Assert.Empty(await cluster.ReadNodesAsync(Minute, Cancel));
        await cluster.HeartbeatAsync(new NodeStatus("a", 1), Cancel);
        await cluster.HeartbeatAsync(new NodeStatus("a", 5), Cancel);
        Assert.Equal([new NodeStatus("a", 5)], await cluster.ReadNodesAsync(Minute, Cancel));
    }

    [Fact]
    public async Task A_watch_ends_with_its_token()
    {
        var cluster = await OpenAsync();
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var watch = Task.Run(
            async () =>
            {
                await foreach (var _ in cluster.WatchAsync(ending.Token))
                {
                    // What it says is not this test's matter.
                }
            },
            Cancel);
        await ending.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
    }
}

public sealed class SingleNodeTests : ClusterContract
{
    private readonly SettableClock _clock = new();

    protected override Task<ICluster> OpenAsync() => Task.FromResult<ICluster>(new SingleNode(_clock));

    protected override Task EndLeasesAsync()
    {
        _clock.Now += TimeSpan.FromMinutes(1);
        return Task.CompletedTask;
    }

    private sealed class SettableClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = ChainWriter.Noon;

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
