using System.Collections.Concurrent;
using System.Diagnostics;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Postgres;

namespace SignSvc.Storage.Tests;

/// <summary>A server of its own for tests that stop it.</summary>
public sealed class StoppablePostgres : IAsyncLifetime
{
    public PostgresCluster Cluster { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Cluster = await PostgresCluster.CreateAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}

public sealed class PostgresRestartTests(StoppablePostgres postgres) : IClassFixture<StoppablePostgres>
{
    private static readonly AuditChain Chain = new(new byte[32]);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(PostgresStop.Immediate)]
    [InlineData(PostgresStop.Fast)]
    public async Task Nothing_acknowledged_is_lost_and_nothing_is_half_there_when_the_server_restarts_under_load(PostgresStop how)
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        var acknowledged = new ConcurrentDictionary<string, string>(StringComparer.Ordinal);
        var slowest = TimeSpan.Zero;
        await using (var a = await Node.StartAsync(postgres.Cluster, database, "a", acknowledged))
        await using (var b = await Node.StartAsync(postgres.Cluster, database, "b", acknowledged))
        {
            for (var restart = 0; restart < 3; restart++)
            {
                await Task.WhenAll(a.ProgressAsync(50), b.ProgressAsync(50));
                await postgres.Cluster.RestartAsync(how, Cancel);
                var recovery = await RecoveryAsync(a, b);
                slowest = recovery > slowest ? recovery : slowest;
            }

            await Task.WhenAll(a.ProgressAsync(20), b.ProgressAsync(20));
        }

        await using var store = await postgres.Cluster.OpenAsync(database);
        var checks = await new AuditCheck(store, Chain).RunAsync(Cancel);
        Assert.Equal(["a", "b"], checks.Select(c => c.Node).ToArray());
        Assert.All(checks, c => Assert.Null(c.Fault));

        var records = new List<AuditRecord>();
        foreach (var check in checks)
            records.AddRange((await store.ReadAuditChainAsync(check.Node, 1, Cancel).ToListAsync()).SelectMany(AuditSearch.Read));
        var byId = records.ToDictionary(r => r.AuditId!, StringComparer.Ordinal);
        Assert.All(acknowledged, one => Assert.Equal(one.Value, byId[one.Key].Resource));
        // A change and its record are one commit: as many documents as records of them, and the same.
        var state = await store.ReadStateAsync(0, Cancel);
        Assert.Equal(
            records.Where(r => r.Action is Actions.KeysCreate).Select(r => r.Resource!).Order(StringComparer.Ordinal).ToArray(),
            state.Documents.Select(d => d.Id).Order(StringComparer.Ordinal).ToArray());
        Assert.Equal(state.Documents.Count, state.Revision);
        Assert.Equal(records.LongCount(r => r.IsSignature), Assert.Single(await store.ReadUsageAsync(Cancel)).Uses);
        Assert.InRange(slowest, TimeSpan.Zero, TimeSpan.FromSeconds(5));
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{acknowledged.Count} acknowledged, {records.Count} recorded, both nodes on again within {slowest.TotalMilliseconds:F0} ms of what plain commits took");
    }

    /// <summary>Until the records and the changes of both nodes go on by themselves, without what the server itself takes for some commits meanwhile.</summary>
    private async Task<TimeSpan> RecoveryAsync(Node a, Node b)
    {
        using var started = RunningTime.Start();
        var progress = Task.WhenAll(a.ProgressAsync(1), b.ProgressAsync(1));
        for (var commit = 0; commit < 3; commit++)
            await postgres.Cluster.ExecuteAsync("postgres", "SELECT pg_logical_emit_message(true, 'plain', '')", Cancel);
        var plain = started.Elapsed;
        await progress;
        return started.Elapsed - plain;
    }

    [Fact]
    public async Task A_server_that_does_not_flush_is_refused()
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        await postgres.Cluster.ConfigureAsync(Cancel, "fsync = off");
        await postgres.Cluster.RestartAsync(PostgresStop.Fast, Cancel);
        try
        {
            var thrown = await Assert.ThrowsAsync<SigningException>(() => postgres.Cluster.OpenAsync(database));
            Assert.Equal(SigningFault.StoreFailed, thrown.Fault);
            Assert.Contains("set fsync to on", thrown.Message, StringComparison.Ordinal);
        }
        finally
        {
            await postgres.Cluster.ConfigureAsync(Cancel, "fsync = on");
            await postgres.Cluster.RestartAsync(PostgresStop.Fast, Cancel);
        }
    }

    [Fact]
    public async Task While_the_server_is_down_every_call_fails_as_unavailable_with_a_time_to_try_again()
    {
        var database = await postgres.Cluster.CreateDatabaseAsync(Cancel);
        await using var store = await postgres.Cluster.OpenAsync(database);
        var chain = new ChainWriter("a");
        await chain.CommitAsync(store, Documents.Change("k1", 1));
        await postgres.Cluster.StopAsync(PostgresStop.Fast, Cancel);
        try
        {
            Func<Task>[] calls =
            [
                () => store.ReadStateAsync(0, Cancel),
                () => store.CommitAsync(chain.Next(), [], Cancel),
                () => store.CommitAsync(chain.Next(), [Documents.Change("k1", 2)], Cancel),
                () => store.ReadUsageAsync(Cancel),
                () => store.ReadAuditHeadAsync("a", Cancel),
                () => store.ReadAuditNodesAsync(Cancel),
                () => store.SearchAuditAsync(new AuditSegmentFilter([], null, null), Cancel).ToListAsync(),
                () => store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync(),
                () => store.HeartbeatAsync(new NodeStatus("a", 1), Cancel),
                () => store.ReadNodesAsync(TimeSpan.FromMinutes(1), Cancel),
                () => store.TryLeaseAsync("rotate", "a", TimeSpan.FromMinutes(1), Cancel),
            ];
            foreach (var call in calls)
            {
                var thrown = await Assert.ThrowsAsync<SigningException>(call);
                Assert.Equal(SigningFault.StoreUnavailable, thrown.Fault);
                Assert.NotNull(thrown.RetryAfter);
            }
        }
        finally
        {
            await postgres.Cluster.StartAsync(Cancel);
        }

        Assert.Equal(1, (await store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);
        Assert.Equal(2, await chain.CommitAsync(store, Documents.Change("k1", 2)));
    }

    /// <summary>A node under load: callers that sign and one that makes documents, who all try again when they are refused.</summary>
    private sealed class Node : IAsyncDisposable
    {
        private readonly PostgresStore _store;
        private readonly AuditLog _log;
        private readonly CancellationTokenSource _ending = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        private readonly ConcurrentDictionary<string, string> _acknowledged;
        private readonly string _name;
        private readonly Task[] _load;
        private int _signed;
        private int _made;

        private Node(PostgresStore store, AuditLog log, string name, ConcurrentDictionary<string, string> acknowledged)
        {
            (_store, _log, _name, _acknowledged) = (store, log, name, acknowledged);
            _load = [.. Enumerable.Range(0, 6).Select(caller => Task.Run(() => SignAsync(caller))), Task.Run(MakeAsync)];
        }

        public static async Task<Node> StartAsync(
            PostgresCluster cluster, string database, string name, ConcurrentDictionary<string, string> acknowledged)
        {
            var store = await cluster.OpenAsync(database);
            return new Node(store, await AuditLog.OpenAsync(store, Chain, name, new AuditLimits(), TimeProvider.System, Cancel), name, acknowledged);
        }

        /// <summary>Until so many more records, and a document, were acknowledged.</summary>
        public async Task ProgressAsync(int records)
        {
            var (signed, made, started) = (_signed + records, _made + 1, Stopwatch.GetTimestamp());
            while (Volatile.Read(ref _signed) < signed || Volatile.Read(ref _made) < made)
            {
                Assert.DoesNotContain(_load, t => t.IsCompleted);
                Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(60), $"{_name} stands still: {_log.Failure}");
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancel);
            }
        }

        public async ValueTask DisposeAsync()
        {
            await _ending.CancelAsync();
            await Task.WhenAll(_load);
            await _log.DisposeAsync();
            await _store.DisposeAsync();
            _ending.Dispose();
        }

        private async Task SignAsync(int caller)
        {
            for (var i = 0; !_ending.IsCancellationRequested; i++)
            {
                var resource = $"{_name}/{caller}/{i}";
                await TryAsync(resource, () => _log.AppendAsync(Record(Actions.TokensIssue, resource), Cancel).AsTask(), () => Interlocked.Increment(ref _signed));
            }
        }

        private async Task MakeAsync()
        {
            for (var i = 0; !_ending.IsCancellationRequested; i++)
            {
                var id = $"{_name}-{i}";
                await TryAsync(
                    id,
                    async () => (await _log.ChangeAsync(Record(Actions.KeysCreate, id), [Documents.Change(id, 1, $"key:{id}")], () => Task.CompletedTask, Cancel)).AuditId,
                    () => Interlocked.Increment(ref _made));
            }
        }

        private async Task TryAsync(string resource, Func<Task<string>> append, Action count)
        {
            try
            {
                Assert.True(_acknowledged.TryAdd(await append(), resource));
                count();
            }
            catch (SigningException e) when (e.Fault == SigningFault.AuditUnavailable)
            {
                // It may have been recorded or not; what was tried again has another name.
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
            }
        }

        private static AuditRecord Record(string action, string resource) => new()
        {
            At = TimeProvider.System.GetUtcNow(),
            Caller = "load",
            Action = action,
            Outcome = AuditOutcome.Allowed,
            Kid = "kid",
            Resource = resource,
        };
    }
}
