using SignSvc.Signing;
using SignSvc.Storage.Postgres;
using static SignSvc.Storage.Tests.Documents;

namespace SignSvc.Storage.Tests;

public sealed class PostgresFailoverTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task After_a_failover_to_a_synchronous_standby_everything_is_there_and_commits_go_on_without_a_restart()
    {
        await using var primary = await PostgresCluster.CreateAsync(Cancel);
        var database = await primary.CreateDatabaseAsync(Cancel);
        await using var standby = await primary.CreateStandbyAsync(Cancel);
        var alone = await Assert.ThrowsAsync<SigningException>(() => standby.OpenAsync(database));
        Assert.Equal(SigningFault.StoreUnavailable, alone.Fault);
        Assert.Contains("standby", alone.Message, StringComparison.Ordinal);

        // The standby first: it is passed over while it accepts no writes.
        var hosts = $"127.0.0.1:{standby.Port},127.0.0.1:{primary.Port}";
        await using var store = await PostgresOpening.OpenAsync($"{primary.ConnectionString(database)};Host={hosts}");
        await using var watch = store.WatchAsync(Cancel).GetAsyncEnumerator(Cancel);
        Assert.True(await watch.MoveNextAsync());
        var chain = new ChainWriter("a");
        for (var version = 1; version <= 20; version++)
            await chain.CommitAsync(store, Change("k1", version));

        await primary.StopAsync(PostgresStop.Immediate, Cancel);
        var lost = await Assert.ThrowsAsync<SigningException>(() => store.CommitAsync(chain.Next(), [], Cancel));
        Assert.Equal(SigningFault.StoreUnavailable, lost.Fault);
        await standby.PromoteAsync(Cancel);

        using var promoted = RunningTime.Start();
        AuditHeadOrNull head;
        while (!(head = await TryReadHeadAsync(store)).IsRead)
            Assert.True(promoted.Elapsed < TimeSpan.FromSeconds(30));
        // What the commit takes beyond that is the disk's.
        var recovery = promoted.Elapsed;
        Assert.Equal(20, head.LastSequence);
        await chain.CommitAsync(store, Change("k1", 21));
        Assert.Equal(21, Assert.Single((await store.ReadStateAsync(0, Cancel)).Documents).Version);
        while (watch.Current != 21)
            Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        Assert.InRange(recovery, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        TestContext.Current.TestOutputHelper?.WriteLine($"reading again {recovery.TotalMilliseconds:F0} ms after the promotion");
    }

    private static async Task<AuditHeadOrNull> TryReadHeadAsync(PostgresStore store)
    {
        try
        {
            return new AuditHeadOrNull(true, (await store.ReadAuditHeadAsync("a", Cancel))?.LastSequence);
        }
        catch (SigningException e) when (e.Fault == SigningFault.StoreUnavailable)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
            return default;
        }
    }

    private readonly record struct AuditHeadOrNull(bool IsRead, long? LastSequence);
}
