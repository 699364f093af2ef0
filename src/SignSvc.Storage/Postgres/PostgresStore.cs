using System.Runtime.CompilerServices;
using Npgsql;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// One PostgreSQL database for several nodes. A commit returns when the server has flushed it, on its synchronous
/// standbys too where it has any: <c>synchronous_commit</c> is on for every session, whatever the server's default.
/// </summary>
/// <remarks>
/// Every call is bounded by <see cref="PostgresOptions"/> and fails with <see cref="SigningFault.StoreUnavailable"/>
/// while the server cannot be reached; the next call looks for it again. The state is read from the primary alone.
/// </remarks>
public sealed class PostgresStore : IStore, ICluster, IBackupStore, IUseOnce
{
    private readonly PostgresConnections _connections;
    private readonly PostgresCommits _commits;
    private readonly PostgresAuditReader _audit;
    private readonly PostgresBackup _backup;
    private readonly TimeProvider _time;

    private PostgresStore(PostgresConnections connections, TimeProvider time)
    {
        _connections = connections;
        _commits = new PostgresCommits(connections);
        _audit = new PostgresAuditReader(connections);
        _backup = new PostgresBackup(connections);
        _time = time;
    }

    /// <summary>Connects and brings the schema up to date; several nodes may do so at once.</summary>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.StoreUnavailable"/>: no server, no such database, a refused login, a standby.
    /// <see cref="SigningFault.StoreFailed"/>: a newer schema, or a server that does not keep what it acknowledges.
    /// </exception>
    /// <exception cref="ArgumentException">The options cannot be.</exception>
    public static async Task<PostgresStore> OpenAsync(
        PostgresOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        var connections = new PostgresConnections(options);
        try
        {
            await connections.ServeAsync(
                async connection =>
                {
                    await PostgresSchema.MigrateAsync(connection, cancellationToken);
                    await ClusterRows.ForgetAsync(connection, cancellationToken);
                    return true;
                },
                cancellationToken);
            return new PostgresStore(connections, time);
        }
        catch
        {
            await connections.DisposeAsync();
            throw;
        }
    }

    public Task<StateChanges> ReadStateAsync(long afterRevision, CancellationToken cancellationToken) =>
        _connections.ServeAsync(
            async connection =>
            {
                // One statement, one snapshot: the documents and the revision belong together.
                await using var command = new NpgsqlCommand(
                    "SELECT kind, id, version, body, seal, revision FROM documents WHERE revision > $1 ORDER BY revision", connection);
                command.Parameters.Bind(afterRevision);
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                var documents = new List<Document>();
                var revision = afterRevision;
                while (await reader.ReadAsync(cancellationToken))
                {
                    documents.Add(new Document(
                        reader.GetString(0), reader.GetString(1), reader.GetInt32(2),
                        reader.GetFieldValue<byte[]>(3), reader.GetFieldValue<byte[]>(4)));
                    revision = reader.GetInt64(5);
                }

                return new StateChanges(revision, documents);
            },
            cancellationToken);

    public Task<long> CommitAsync(
        AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return _commits.CommitAsync(segment, changes);
    }

    public Task<IReadOnlyList<VersionUsage>> ReadUsageAsync(CancellationToken cancellationToken) =>
        _connections.ServeAsync(
            async connection =>
            {
                await using var command = new NpgsqlCommand(
                    "SELECT kid, sum(uses)::bigint, max(last_used_at), max(latest_expiry) FROM version_usage GROUP BY kid", connection);
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                var usage = new List<VersionUsage>();
                while (await reader.ReadAsync(cancellationToken))
                {
                    usage.Add(new VersionUsage(
                        reader.GetString(0), reader.GetInt64(1), new DateTimeOffset(reader.GetInt64(2), TimeSpan.Zero),
                        await reader.IsDBNullAsync(3, cancellationToken) ? null : new DateTimeOffset(reader.GetInt64(3), TimeSpan.Zero)));
                }

                return (IReadOnlyList<VersionUsage>)usage;
            },
            cancellationToken);

    public Task<AuditHead?> ReadAuditHeadAsync(string node, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => PostgresCommits.ReadHeadAsync(connection, node, cancellationToken), cancellationToken);

    public Task<IReadOnlyList<string>> ReadAuditNodesAsync(CancellationToken cancellationToken) =>
        _connections.SearchAsync(
            async connection =>
            {
                // Walks the index from node to node: DISTINCT would read every segment's entry.
                await using var command = new NpgsqlCommand(
                    """
                    WITH RECURSIVE writers AS (
                        SELECT min(node) AS node FROM audit_segments
                        UNION ALL
                        SELECT (SELECT min(s.node) FROM audit_segments s WHERE s.node > writers.node) FROM writers WHERE node IS NOT NULL)
                    SELECT node FROM audit_heads UNION SELECT node FROM writers WHERE node IS NOT NULL ORDER BY 1
                    """,
                    connection);
                await using var reader = await command.ExecuteReaderAsync(cancellationToken);
                var nodes = new List<string>();
                while (await reader.ReadAsync(cancellationToken))
                    nodes.Add(reader.GetString(0));
                return (IReadOnlyList<string>)nodes;
            },
            cancellationToken);

    public IAsyncEnumerable<AuditSegment> SearchAuditAsync(AuditSegmentFilter filter, CancellationToken cancellationToken) =>
        _audit.SearchAsync(filter, cancellationToken);

    public IAsyncEnumerable<AuditSegment> ReadAuditChainAsync(string node, long fromSequence, CancellationToken cancellationToken) =>
        _audit.ReadChainAsync(node, fromSequence, cancellationToken);

    public IAsyncEnumerable<BackupItem> ReadAllAsync(CancellationToken cancellationToken) => _backup.ReadAllAsync(cancellationToken);

    public Task RestoreAsync(IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken) =>
        _backup.RestoreAsync(items, cancellationToken);

    public Task HeartbeatAsync(NodeStatus status, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => ClusterRows.HeartbeatAsync(connection, status, cancellationToken), cancellationToken);

    public Task<IReadOnlyList<NodeStatus>> ReadNodesAsync(TimeSpan since, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => ClusterRows.ReadNodesAsync(connection, since, cancellationToken), cancellationToken);

    public Task<long?> TryLeaseAsync(string name, string holder, TimeSpan length, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => ClusterRows.TryLeaseAsync(connection, name, holder, length, cancellationToken), cancellationToken);

    public Task<bool> TryUseAsync(string scope, string id, DateTimeOffset until, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => UsedOnceRows.TryUseAsync(connection, scope, id, until), cancellationToken);

    public Task<bool> WasUsedAsync(string scope, string id, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => UsedOnceRows.WasUsedAsync(connection, scope, id, cancellationToken), cancellationToken);

    public Task<int> ForgetAsync(DateTimeOffset before, CancellationToken cancellationToken) =>
        _connections.ServeAsync(connection => UsedOnceRows.ForgetAsync(connection, before, cancellationToken), cancellationToken);

    /// <remarks>Survives lost connections; ends only with the token.</remarks>
    public async IAsyncEnumerable<long> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var listener = new ChangeListener(_connections, _time);
        while (true)
            yield return await listener.NextAsync(cancellationToken);
    }

    public ValueTask DisposeAsync() => _connections.DisposeAsync();
}
