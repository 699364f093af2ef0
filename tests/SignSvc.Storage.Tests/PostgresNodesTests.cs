using SignSvc.Signing.Storage;
using SignSvc.Storage.Postgres;
using static SignSvc.Storage.Tests.Documents;

namespace SignSvc.Storage.Tests;

public sealed class PostgresNodesTests(SharedPostgres postgres) : ClusterContract, IAsyncLifetime
{
    private readonly List<PostgresStore> _stores = [];
    private string _database = "";

    public async ValueTask InitializeAsync() => _database = await postgres.Cluster.CreateDatabaseAsync(Cancel);

    public async ValueTask DisposeAsync()
    {
        foreach (var store in _stores)
            await store.DisposeAsync();
    }

    [Fact]
    public async Task A_node_that_went_silent_is_no_longer_among_those_heard_of()
    {
        var (a, b) = (await OpenStoreAsync(), await OpenStoreAsync());
        await a.HeartbeatAsync(new NodeStatus("a", 1), Cancel);
        await b.HeartbeatAsync(new NodeStatus("b", 2), Cancel);
        Assert.Equal([new NodeStatus("a", 1), new NodeStatus("b", 2)], await a.ReadNodesAsync(TimeSpan.FromMinutes(1), Cancel));

        await SqlAsync("UPDATE signsvc.nodes SET heard_at = heard_at - interval '2 minutes' WHERE node = 'a'");
        Assert.Equal([new NodeStatus("b", 2)], await a.ReadNodesAsync(TimeSpan.FromMinutes(1), Cancel));
        Assert.Equal(2, (await a.ReadNodesAsync(TimeSpan.FromMinutes(10), Cancel)).Count);
    }

    [Fact]
    public async Task A_lease_ends_by_the_databases_own_clock()
    {
        var (a, b) = (await OpenStoreAsync(), await OpenStoreAsync());
        await a.TryLeaseAsync("rotate", "a", TimeSpan.FromMilliseconds(300), Cancel);
        long? fence = null;
        while (fence is null)
            fence = await b.TryLeaseAsync("rotate", "b", TimeSpan.FromMinutes(1), Cancel);
        Assert.Equal(2, fence);
        Assert.Null(await a.TryLeaseAsync("rotate", "a", TimeSpan.FromMinutes(1), Cancel));
    }

    [Fact]
    public async Task Another_nodes_change_is_heard_of_and_a_segment_alone_is_not()
    {
        var (a, b) = (await OpenStoreAsync(), await OpenStoreAsync());
        await using var watch = b.WatchAsync(Cancel).GetAsyncEnumerator(Cancel);
        Assert.Equal(0, await NextAsync(watch));

        var chain = new ChainWriter("a");
        await chain.CommitAsync(a);
        await chain.CommitAsync(a, Change("k1", 1), Change("k2", 1));
        Assert.Equal(2, await NextAsync(watch));
        Assert.Equal(2, (await b.ReadStateAsync(0, Cancel)).Documents.Count);
    }

    [Fact]
    public async Task A_refused_change_is_told_to_nobody()
    {
        var store = await OpenStoreAsync();
        await using var watch = store.WatchAsync(Cancel).GetAsyncEnumerator(Cancel);
        await NextAsync(watch);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store, Change("k1", 1));
        Assert.Equal(1, await NextAsync(watch));
        await Assert.ThrowsAsync<Signing.SigningException>(() => store.CommitAsync(chain.Next(), [Change("k1", 7)], Cancel));
        await chain.CommitAsync(store, Change("k1", 2));
        Assert.Equal(2, await NextAsync(watch));
    }

    [Fact]
    public async Task A_watch_that_lost_its_connection_opens_another_and_tells_what_it_missed()
    {
        var store = await OpenStoreAsync();
        await using var watch = store.WatchAsync(Cancel).GetAsyncEnumerator(Cancel);
        Assert.Equal(0, await NextAsync(watch));

        // The change comes while nobody listens, by the one connection that is left: the notification is lost.
        await using (var left = new Npgsql.NpgsqlConnection($"{postgres.Cluster.ConnectionString(_database)};Pooling=false"))
        {
            await left.OpenAsync(Cancel);
            await SqlAsync("ALTER DATABASE {0} ALLOW_CONNECTIONS false", "postgres");
            await SqlAsync($"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{{0}}' AND pid <> {left.ProcessID}", "postgres");
            await using (var change = new Npgsql.NpgsqlCommand("UPDATE signsvc.revision SET value = 41", left))
                await change.ExecuteNonQueryAsync(Cancel);
            await SqlAsync("ALTER DATABASE {0} ALLOW_CONNECTIONS true", "postgres");
        }

        long heard;
        do
            heard = await NextAsync(watch);
        while (heard != 41);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(await OpenStoreAsync(), Change("k1", 1));
        Assert.Equal(42, await NextAsync(watch));
    }

    protected override async Task<ICluster> OpenAsync() => await OpenStoreAsync();

    protected override Task EndLeasesAsync() => SqlAsync("UPDATE signsvc.leases SET until = clock_timestamp()");

    private static async Task<long> NextAsync(IAsyncEnumerator<long> watch)
    {
        Assert.True(await watch.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        return watch.Current;
    }

    private Task<string> SqlAsync(string sql, string? database = null) =>
        postgres.Cluster.ExecuteAsync(database ?? _database, sql.Replace("{0}", _database, StringComparison.Ordinal), Cancel);

    private async Task<PostgresStore> OpenStoreAsync()
    {
        var store = await postgres.Cluster.OpenAsync(_database);
        _stores.Add(store);
        return store;
    }
}
