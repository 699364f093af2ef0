using System.Data;
using System.Runtime.CompilerServices;
using Npgsql;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// Reads the whole database in one repeatable-read transaction, which keeps no commit waiting; fills an empty one in one
/// transaction. On a connection of its own, outside the pools: it may last, and the pools are bounded.
/// </summary>
internal sealed class PostgresBackup(PostgresConnections connections)
{
    /// <summary>Where usage stands that came with a backup: nodes add to rows of their own, and a reader adds them all up.</summary>
    private const string RestoredUsage = "restored";

    /// <summary>The whole is bounded by the caller; while rows wait to be taken, the server has to wait too.</summary>
    private const string Patient = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";

    public async IAsyncEnumerable<BackupItem> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var connection = await GuardAsync(() => connections.OpenListeningAsync(cancellationToken).AsTask());
        await using var transaction = await GuardAsync(() => connection.BeginTransactionAsync(IsolationLevel.RepeatableRead, cancellationToken).AsTask());
        await GuardAsync(() => ExecuteAsync(connection, $"SET TRANSACTION READ ONLY; {Patient}", cancellationToken));
        var parts = ((string Sql, Func<NpgsqlDataReader, BackupItem> Read)[])
        [
            (
                """
                SELECT kind, id, version, body, seal, revision,
                    ARRAY(SELECT name FROM names n WHERE n.kind = d.kind AND n.id = d.id ORDER BY name)
                FROM documents d ORDER BY revision, kind, id
                """,
                Document),
            ("SELECT id, node, first_sequence, count, first_at, last_at, body, previous, seal FROM audit_segments ORDER BY id", Segment),
            ("SELECT node, last_sequence, seal FROM audit_heads ORDER BY node", Head),
            ("SELECT kid, sum(uses)::bigint, max(last_used_at), max(latest_expiry) FROM version_usage GROUP BY kid ORDER BY kid", Usage),
            ("SELECT scope, id, until FROM used_once ORDER BY scope, id", Use),
        ];
        foreach (var (sql, read) in parts)
        {
            await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
            await using var reader = await GuardAsync(() => command.ExecuteReaderAsync(cancellationToken));
            while (await GuardAsync(() => reader.ReadAsync(cancellationToken)))
                yield return read(reader);
        }
    }

    public async Task RestoreAsync(IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken)
    {
        await using var connection = await GuardAsync(() => connections.OpenListeningAsync(cancellationToken).AsTask());
        await using var transaction = await GuardAsync(() => connection.BeginTransactionAsync(cancellationToken).AsTask());
        await GuardAsync(() => ExecuteAsync(connection, Patient, cancellationToken));
        // Until the end of the transaction no node starts on a state that is half there.
        await GuardAsync(() => ExecuteAsync(connection, "LOCK TABLE revision, documents, audit_heads, audit_segments IN ACCESS EXCLUSIVE MODE", cancellationToken));
        await GuardAsync(() => RequireEmptyAsync(connection, cancellationToken));

        long revision = 0;
        await foreach (var item in items.WithCancellation(cancellationToken))
        {
            await GuardAsync(() => PutAsync(connection, item, cancellationToken));
            if (item is BackupItem.StoredDocument document)
                revision = Math.Max(revision, document.Revision);
        }

        await GuardAsync(() => ExecuteAsync(connection, FormattableString.Invariant($"UPDATE revision SET value = {revision}"), cancellationToken));
        await GuardAsync(async () =>
        {
            await transaction.CommitAsync(cancellationToken);
            return true;
        });
    }

    private static async Task<bool> RequireEmptyAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT NOT (EXISTS (SELECT FROM documents) OR EXISTS (SELECT FROM audit_segments) OR EXISTS (SELECT FROM audit_heads))", connection);
        return await command.ExecuteScalarAsync(cancellationToken) is true
            ? true
            : throw new SigningException(SigningFault.Conflict, "The store is not empty: a backup is restored into an empty one only.");
    }

    private static async Task<bool> PutAsync(NpgsqlConnection connection, BackupItem item, CancellationToken cancellationToken)
    {
        await using var batch = new NpgsqlBatch(connection);
        switch (item)
        {
            case BackupItem.StoredDocument(var d, var revision, var names):
                var document = batch.Add("INSERT INTO documents (kind, id, version, revision, body, seal) VALUES ($1, $2, $3, $4, $5, $6)").Parameters;
                document.Bind(d.Kind);
                document.Bind(d.Id);
                document.Bind(d.Version);
                document.Bind(revision);
                document.Bind(d.Body);
                document.Bind(d.Seal);
                var taken = batch.Add("INSERT INTO names (name, kind, id) SELECT name, $2, $3 FROM unnest($1) name").Parameters;
                taken.Bind(names.ToArray());
                taken.Bind(d.Kind);
                taken.Bind(d.Id);
                break;
            case BackupItem.StoredSegment(var s):
                var segment = batch.Add(
                    """
                    WITH segment AS (
                        INSERT INTO audit_segments (node, first_sequence, count, first_at, last_at, body, previous, seal)
                        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id)
                    INSERT INTO audit_terms (term, first_at, segment) SELECT DISTINCT term, $4, segment.id FROM segment, unnest($9) term
                    """).Parameters;
                segment.Bind(s.Node);
                segment.Bind(s.FirstSequence);
                segment.Bind(s.Count);
                segment.Bind(s.FirstAt.UtcTicks);
                segment.Bind(s.LastAt.UtcTicks);
                segment.Bind(s.Body);
                segment.Bind(s.Previous);
                segment.Bind(s.Seal);
                segment.Bind(s.Terms.Select(PostgresCommits.TermKey).ToArray());
                break;
            case BackupItem.StoredHead(var h):
                var head = batch.Add("INSERT INTO audit_heads (node, last_sequence, seal) VALUES ($1, $2, $3)").Parameters;
                head.Bind(h.Node);
                head.Bind(h.LastSequence);
                head.Bind(h.Seal);
                break;
            case BackupItem.StoredUsage(var u):
                var usage = batch.Add(
                    "INSERT INTO version_usage (node, kid, uses, last_used_at, latest_expiry) VALUES ($1, $2, $3, $4, $5)").Parameters;
                usage.Bind(RestoredUsage);
                usage.Bind(u.Kid);
                usage.Bind(u.Uses);
                usage.Bind(u.LastUsedAt.UtcTicks);
                usage.Bind(u.LatestExpiry?.UtcTicks);
                break;
            case BackupItem.StoredUse(var scope, var id, var until):
                var use = batch.Add("INSERT INTO used_once (scope, id, until) VALUES ($1, $2, $3)").Parameters;
                use.Bind(scope);
                use.Bind(id);
                use.Bind(until.UtcTicks);
                break;
        }

        await batch.ExecuteNonQueryAsync(cancellationToken);
        return true;
    }

    private static BackupItem.StoredDocument Document(NpgsqlDataReader reader) => new(
        new Document(
            reader.GetString(0), reader.GetString(1), reader.GetInt32(2), reader.GetFieldValue<byte[]>(3), reader.GetFieldValue<byte[]>(4)),
        reader.GetInt64(5),
        [.. reader.GetFieldValue<string[]>(6)]);

    private static BackupItem.StoredSegment Segment(NpgsqlDataReader reader) => new(AuditSegmentRow.Read(reader));

    private static BackupItem.StoredHead Head(NpgsqlDataReader reader) =>
        new(new AuditHead(reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2)));

    private static BackupItem.StoredUsage Usage(NpgsqlDataReader reader) => new(new VersionUsage(
        reader.GetString(0), reader.GetInt64(1), new DateTimeOffset(reader.GetInt64(2), TimeSpan.Zero),
        reader.IsDBNull(3) ? null : new DateTimeOffset(reader.GetInt64(3), TimeSpan.Zero)));

    private static BackupItem.StoredUse Use(NpgsqlDataReader reader) =>
        new(reader.GetString(0), reader.GetString(1), new DateTimeOffset(reader.GetInt64(2), TimeSpan.Zero));

    private static async Task<bool> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
        return true;
    }

    private static async Task<T> GuardAsync<T>(Func<Task<T>> work)
    {
        try
        {
            return await work();
        }
        catch (Exception e) when (PostgresFaults.Of(e) is not null)
        {
            throw PostgresFaults.Of(e)!;
        }
    }
}
