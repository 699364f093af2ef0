using System.Diagnostics;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Postgres;
using static SignSvc.Storage.Tests.Documents;

namespace SignSvc.Storage.Tests;

/// <summary>Several nodes on one database, and commits whose connection is lost.</summary>
public sealed class PostgresConcurrencyTests(SharedPostgres postgres) : IAsyncLifetime
{
    /// <summary>Short enough to be waited for, and far more than a machine needs that is busy with others.</summary>
    private const int Short = 5;

    private string _database = "";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _database = await postgres.Cluster.CreateDatabaseAsync(Cancel);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_reader_that_follows_the_revision_misses_no_change_of_concurrent_committers()
    {
        const int Nodes = 4;
        const int Each = 60;
        await using var reading = await OpenAsync();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var reader = Task.Run(
            async () =>
            {
                for (var revision = 0L; revision < Nodes * Each;)
                {
                    var state = await reading.ReadStateAsync(revision, Cancel);
                    foreach (var document in state.Documents)
                        Assert.True(seen.Add(document.Id));
                    // Each document is made once and takes one revision: at revision r there are r of them.
                    Assert.Equal(state.Revision, seen.Count);
                    revision = state.Revision;
                }
            },
            Cancel);
        await Task.WhenAll(Enumerable.Range(0, Nodes).Select(node => Task.Run(
            async () =>
            {
                await using var store = await OpenAsync();
                var chain = new ChainWriter($"n{node}");
                for (var i = 0; i < Each; i++)
                    await chain.CommitAsync(store, Change($"{node}-{i}", 1, $"key:{node}-{i}"));
            },
            Cancel)));
        await reader;
        Assert.Equal(Nodes * Each, seen.Count);
    }

    [Fact]
    public async Task Of_two_nodes_that_take_one_name_or_change_one_document_at_once_one_is_refused()
    {
        await using var a = await OpenAsync();
        await using var b = await OpenAsync();
        var chains = new[] { new ChainWriter("a"), new ChainWriter("b") };
        for (var round = 1; round <= 20; round++)
        {
            var name = $"key:{round}";
            var outcomes = await RaceAsync(Change($"a{round}", 1, name), Change($"b{round}", 1, name));
            Assert.Equal([SigningFault.NameTaken], outcomes);
            outcomes = await RaceAsync(Change("shared", round), Change("shared", round));
            Assert.Equal([SigningFault.Conflict], outcomes);
        }

        Assert.Equal(40, (await a.ReadStateAsync(0, Cancel)).Revision);

        async Task<SigningFault[]> RaceAsync(DocumentChange ofA, DocumentChange ofB)
        {
            var outcomes = await Task.WhenAll(TryAsync(a, chains[0], ofA), TryAsync(b, chains[1], ofB));
            return [.. outcomes.OfType<SigningFault>()];
        }

        static async Task<SigningFault?> TryAsync(IStore store, ChainWriter chain, DocumentChange change)
        {
            try
            {
                await Task.Run(() => chain.CommitAsync(store, change), Cancel);
                return null;
            }
            catch (SigningException e)
            {
                return e.Fault;
            }
        }
    }

    [Fact]
    public async Task Two_writers_of_one_chain_do_not_both_succeed()
    {
        await using var a = await OpenAsync();
        await using var b = await OpenAsync();
        var chain = new ChainWriter("same");
        for (var round = 0; round < 20; round++)
        {
            var segments = new[] { chain.Next(body: [1, 10]), chain.Next(body: [2, 10]) };
            var commits = new[] { CommitAsync(a, segments[0]), CommitAsync(b, segments[1]) };
            await Task.WhenAll(commits.Select(c => c.ContinueWith(_ => { }, TaskScheduler.Default)));
            var winner = Assert.Single(commits, c => c.IsCompletedSuccessfully);
            var loser = Assert.Single(commits, c => c.IsFaulted);
            Assert.Equal(SigningFault.StoreFailed, Assert.IsType<SigningException>(loser.Exception!.InnerException).Fault);
            chain.GoOnFrom(segments[Array.IndexOf(commits, winner)]);
        }

        Assert.Equal(20, (await a.ReadAuditChainAsync("same", 1, Cancel).ToListAsync()).Count);

        static Task<long> CommitAsync(PostgresStore store, AuditSegment segment) =>
            Task.Run(() => store.CommitAsync(segment, [], Cancel), Cancel);
    }

    [Fact]
    public async Task A_change_under_way_keeps_other_changes_waiting_within_bounds_and_segments_not_at_all()
    {
        // The server refuses after less than half of it, the client after all of it: a machine that stands still shall not make the client the first.
        await using var store = await OpenAsync(commandTimeoutSeconds: 12);
        var (a, b) = (new ChainWriter("a"), new ChainWriter("b"));
        await a.CommitAsync(store, a.Next(usage: [new VersionUsage("kid", 1, ChainWriter.Noon, null)]), Change("k1", 1));

        await using var other = await HoldAsync("UPDATE revision SET value = value + 1; SELECT FROM version_usage FOR UPDATE");
        await b.CommitAsync(store, b.Next(usage: [new VersionUsage("kid", 1, ChainWriter.Noon, null)]));
        var thrown = await Assert.ThrowsAsync<SigningException>(() => a.CommitAsync(store, Change("k1", 2)));
        Assert.Equal(SigningFault.StoreUnavailable, thrown.Fault);
        Assert.Contains("Another transaction holds", thrown.Message, StringComparison.Ordinal);
        Assert.Equal(1, (await store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);

        await other.DisposeAsync();
        await a.CommitAsync(store, Change("k1", 2));
        Assert.Equal(2, (await store.ReadUsageAsync(Cancel)).Single().Uses);
    }

    [Fact]
    public async Task The_head_is_read_after_a_commit_that_lost_its_connection_has_ended()
    {
        await using var proxy = new WithholdingProxy(postgres.Cluster.Port);
        await using var store = await OpenAsync(proxy);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store);
        await SqlAsync(
            """
            CREATE FUNCTION signsvc.wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
            CREATE TRIGGER wait AFTER INSERT ON signsvc.audit_segments FOR EACH ROW EXECUTE FUNCTION signsvc.wait()
            """);
        var gate = await HoldAsync("SELECT pg_advisory_lock(1)");
        var segment = chain.Next();
        var commit = store.CommitAsync(segment, [], Cancel);
        await UntilAsync("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'", "1");
        proxy.CutClients();
        Assert.Equal(SigningFault.StoreUnavailable, (await Assert.ThrowsAsync<SigningException>(() => commit)).Fault);

        var reading = store.ReadAuditHeadAsync("a", Cancel);
        Assert.False(reading.IsCompleted);
        await gate.DisposeAsync();
        var head = await reading;
        Assert.Equal(segment.Seal.ToArray(), head!.Seal.ToArray());
        chain.GoOnFrom(segment);
        await chain.CommitAsync(store);
    }

    [Fact]
    public async Task A_commit_that_arrives_after_the_head_was_read_again_is_no_second_writer()
    {
        await using var proxy = new WithholdingProxy(postgres.Cluster.Port);
        await using var store = await OpenAsync(proxy, commandTimeoutSeconds: Short);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store);
        proxy.Withhold();
        var late = chain.Next(body: [1, 10]);
        Assert.Equal(SigningFault.StoreUnavailable, (await Assert.ThrowsAsync<SigningException>(() => store.CommitAsync(late, [], Cancel))).Fault);
        Assert.Equal(1, (await store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);
        proxy.Release();
        await UntilAsync("SELECT last_sequence FROM signsvc.audit_heads", "2");

        var thrown = await Assert.ThrowsAsync<SigningException>(() => store.CommitAsync(chain.Next(body: [2, 10]), [], Cancel));
        Assert.Equal(SigningFault.StoreUnavailable, thrown.Fault);
        Assert.Equal(late.Seal.ToArray(), (await store.ReadAuditHeadAsync("a", Cancel))!.Seal.ToArray());
        chain.GoOnFrom(late);
        await chain.CommitAsync(store);

        // Another writer's segment is still told apart.
        await using var second = await OpenAsync();
        await second.CommitAsync(chain.Next(body: [3, 10]), [], Cancel);
        thrown = await Assert.ThrowsAsync<SigningException>(() => store.CommitAsync(chain.Next(body: [4, 10]), [], Cancel));
        Assert.Equal(SigningFault.StoreFailed, thrown.Fault);
    }

    [Fact]
    public async Task A_server_that_does_not_answer_fails_a_call_within_its_limit()
    {
        await using var proxy = new WithholdingProxy(postgres.Cluster.Port);
        await using var store = await OpenAsync(proxy, commandTimeoutSeconds: Short);
        await store.ReadStateAsync(0, Cancel);
        proxy.Withhold();
        var started = Stopwatch.GetTimestamp();
        var thrown = await Assert.ThrowsAsync<SigningException>(() => store.ReadStateAsync(0, Cancel));
        Assert.Equal(SigningFault.StoreUnavailable, thrown.Fault);
        Assert.Equal("The database did not answer in time.", thrown.Message);
        // Timers are no exacter than the clock's tick; and without the limit it would wait for ever.
        Assert.InRange(Stopwatch.GetElapsedTime(started).TotalSeconds, Short - 0.1, Short + 30);

        // The next call goes another way.
        await store.ReadStateAsync(0, Cancel);
    }

    private Task<PostgresStore> OpenAsync(int? commandTimeoutSeconds = null) =>
        postgres.Cluster.OpenAsync(_database, commandTimeoutSeconds);

    private Task<PostgresStore> OpenAsync(WithholdingProxy proxy, int? commandTimeoutSeconds = null) =>
        PostgresOpening.OpenAsync(PostgresCluster.ConnectionString(_database, proxy.Port), commandTimeoutSeconds);

    private Task<string> SqlAsync(string sql) => postgres.Cluster.ExecuteAsync(_database, sql, Cancel);

    private async Task UntilAsync(string sql, string expected)
    {
        var started = Stopwatch.GetTimestamp();
        while (await SqlAsync(sql) is var found && !string.Equals(found, expected, StringComparison.Ordinal))
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(30), $"{sql}: {found}");
    }

    /// <summary>A transaction of another program that has done this and goes no further.</summary>
    private async Task<IAsyncDisposable> HoldAsync(string sql)
    {
        var connection = new Npgsql.NpgsqlConnection($"{postgres.Cluster.ConnectionString(_database)};Search Path=signsvc;Pooling=false");
        await connection.OpenAsync(Cancel);
        await using var command = new Npgsql.NpgsqlCommand($"BEGIN; {sql}", connection);
        await command.ExecuteNonQueryAsync(Cancel);
        return connection;
    }
}
