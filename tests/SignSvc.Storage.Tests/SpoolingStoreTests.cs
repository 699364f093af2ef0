using System.Text.Json;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Storage.Spool;

namespace SignSvc.Storage.Tests;

/// <summary>A node that is cut off from the database, with its records on its own disk.</summary>
public sealed class SpoolingStoreTests(StoppablePostgres postgres) : IClassFixture<StoppablePostgres>, IAsyncLifetime
{
    private static readonly AuditChain Chain = new(new byte[32]);
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-spool-");
    private string _database = "";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _database = await postgres.Cluster.CreateDatabaseAsync(Cancel);

    public ValueTask DisposeAsync()
    {
        _folder.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_change_that_is_refused_while_the_node_is_cut_off_keeps_no_record_from_being_made()
    {
        var clock = new ManualClock();
        await using var store = await OpenAsync(clock);
        await using var log = await AuditLog.OpenAsync(
            store, Chain, "a", new AuditLimits { CommitTimeout = TimeSpan.FromSeconds(30) }, TimeProvider.System, Cancel);
        await log.AppendAsync(Record("before"), Cancel);
        await postgres.Cluster.StopAsync(PostgresStop.Fast, Cancel);
        try
        {
            var refusal = await Assert.ThrowsAsync<SigningException>(() =>
                log.ChangeAsync(Record("change"), [Documents.Change("k1", 1)], () => Task.CompletedTask, Cancel));
            Assert.Equal(SigningFault.AuditUnavailable, refusal.Fault);
            Assert.Equal("a-2", await log.AppendAsync(Record("after"), Cancel));
            Assert.Equal(1, store.Waiting);
        }
        finally
        {
            await postgres.Cluster.StartAsync(Cancel);
        }

        await HandedOverAsync(store, clock);
        var check = Assert.Single(await new AuditCheck(store, Chain).RunAsync(Cancel));
        Assert.Equal((2L, null), (check.Records, check.Fault));
        Assert.Empty((await store.ReadStateAsync(0, Cancel)).Documents);
        Assert.Equal(1, (await log.ChangeAsync(Record("change"), [Documents.Change("k1", 1)], () => Task.CompletedTask, Cancel)).Revision);
    }

    [Fact]
    public async Task A_chain_is_whole_for_whoever_reads_it_while_it_is_handed_over()
    {
        var clock = new ManualClock();
        await using var store = await OpenAsync(clock);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store, Segment(chain));
        await postgres.Cluster.StopAsync(PostgresStop.Fast, Cancel);
        try
        {
            for (var i = 0; i < 3; i++)
                await chain.CommitAsync(store, Segment(chain));
        }
        finally
        {
            await postgres.Cluster.StartAsync(Cancel);
        }

        Assert.Equal(3, store.Waiting);
        await using var reader = store.ReadAuditChainAsync("a", 1, Cancel).GetAsyncEnumerator(Cancel);
        for (var sequence = 1; sequence <= 2; sequence++)
        {
            Assert.True(await reader.MoveNextAsync());
            Assert.Equal(sequence, reader.Current.FirstSequence);
        }

        await HandedOverAsync(store, clock);
        for (var sequence = 3; sequence <= 4; sequence++)
        {
            Assert.True(await reader.MoveNextAsync());
            Assert.Equal(sequence, reader.Current.FirstSequence);
        }

        Assert.False(await reader.MoveNextAsync());
    }

    [Fact]
    public async Task A_database_that_is_read_but_takes_nothing_is_spooled_for_no_longer_than_one_that_is_away()
    {
        var clock = new ManualClock();
        await using var store = await OpenAsync(clock);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store, Segment(chain));
        await SetAsync("SET default_transaction_read_only = on");

        await chain.CommitAsync(store, Segment(chain));
        clock.Advance(Bound - TimeSpan.FromSeconds(1));
        await store.ReadStateAsync(0, Cancel);
        await chain.CommitAsync(store, Segment(chain));
        clock.Advance(TimeSpan.FromSeconds(2));
        await store.ReadStateAsync(0, Cancel);
        var refusal = await Assert.ThrowsAsync<SigningException>(() => store.CommitAsync(Segment(chain), [], Cancel));
        Assert.Equal(SigningFault.StoreUnavailable, refusal.Fault);
        Assert.Equal(2, store.Waiting);

        await SetAsync("RESET default_transaction_read_only");
        await HandedOverAsync(store, clock);
        await chain.CommitAsync(store, Segment(chain));
        // Where that met a connection of those that were ended, it goes by the spool.
        await HandedOverAsync(store, clock);
        Assert.Equal((0L, 4L), (store.Waiting, (await store.ReadAuditHeadAsync("a", Cancel))!.LastSequence));

        async Task SetAsync(string what)
        {
            await postgres.Cluster.ExecuteAsync("postgres", $"ALTER DATABASE {_database} {what}", Cancel);
            await postgres.Cluster.ExecuteAsync(
                "postgres", $"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{_database}'", Cancel);
        }
    }

    private static async Task HandedOverAsync(SpoolingStore store, ManualClock clock)
    {
        using var waited = RunningTime.Start();
        while (store.IsSpooling)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromSeconds(30), $"{store.Waiting} segments still wait.");
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
        }
    }

    private static AuditSegment Segment(ChainWriter chain) =>
        chain.Next(body: [.. JsonSerializer.SerializeToUtf8Bytes(Record("segment"), SigningJson.Default.AuditRecord), (byte)'\n']);

    private static AuditRecord Record(string resource) => new()
    {
        At = ChainWriter.Noon,
        Caller = "tests",
        Action = Actions.KeysUpdate,
        Outcome = AuditOutcome.Allowed,
        Resource = resource,
    };

    private async Task<SpoolingStore> OpenAsync(TimeProvider time) => new(
        await postgres.Cluster.OpenAsync(_database), AuditSpool.Open(Path.Combine(_folder.FullName, "spool.db")), Bound, time);
}
