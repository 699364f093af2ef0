using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Sqlite;

/// <summary>The writing connection's statements, prepared once: a commit of one record is six of them and a flush.</summary>
internal sealed class SqliteStatements : IDisposable
{
    /// <summary>So long a commit waits where another process holds the file.</summary>
    private const int BusyMilliseconds = 1000;

    private readonly SqliteConnection _connection;
    private readonly SqliteStatement _begin;
    private readonly SqliteStatement _commit;
    private readonly SqliteStatement _rollback;
    private readonly SqliteStatement _segment;
    private readonly SqliteStatement _head;
    private readonly SqliteStatement _firstHead;
    private readonly SqliteStatement _usage;
    private readonly SqliteStatement _revision;
    private readonly SqliteStatement _use;
    private readonly SqliteStatement _forget;

    public SqliteStatements(SqliteConnection connection)
    {
        _connection = connection;
        _ = SQLitePCL.raw.sqlite3_busy_timeout(connection.Handle!, BusyMilliseconds);
        _begin = Prepare("BEGIN IMMEDIATE");
        _commit = Prepare("COMMIT");
        _rollback = Prepare("ROLLBACK");
        _segment = Prepare(
            """
            INSERT INTO audit_segments (node, first_sequence, count, first_at, last_at, body, previous, seal)
            VALUES ($node, $first_sequence, $count, $first_at, $last_at, $body, $previous, $seal)
            """);
        Terms = new SqliteAuditTerms(connection);
        _head = Prepare(
            "UPDATE audit_heads SET last_sequence = $last_sequence, seal = $seal WHERE node = $node AND seal = $previous AND last_sequence = $before");
        _firstHead = Prepare("INSERT OR IGNORE INTO audit_heads (node, last_sequence, seal) VALUES ($node, $last_sequence, $seal)");
        _usage = Prepare(
            """
            INSERT INTO version_usage (kid, uses, last_used_at, latest_expiry) VALUES ($kid, $uses, $last_used_at, $latest_expiry)
            ON CONFLICT (kid) DO UPDATE SET uses = uses + excluded.uses,
                last_used_at = max(last_used_at, excluded.last_used_at),
                latest_expiry = max(coalesce(latest_expiry, excluded.latest_expiry), coalesce(excluded.latest_expiry, latest_expiry))
            """);
        _revision = Prepare("SELECT coalesce(max(revision), 0) FROM documents");
        _use = Prepare("INSERT OR IGNORE INTO used_once (scope, id, until) VALUES ($scope, $id, $until)");
        _forget = Prepare(
            "DELETE FROM used_once WHERE (scope, id) IN (SELECT scope, id FROM used_once WHERE until < $before ORDER BY until LIMIT $limit)");
    }

    public SqliteAuditTerms Terms { get; }

    public T InTransaction<T>(Func<T> work)
    {
        _begin.Run();
        try
        {
            var result = work();
            _commit.Run();
            return result;
        }
        catch
        {
            RollBack();
            throw;
        }
    }

    /// <summary>When the transaction of it is committed, <see cref="Appended"/> is to be called.</summary>
    public void Append(AuditSegment segment)
    {
        // The head first: it is the fence, and where it does not match, the segment may be there already.
        var advanced = segment.FirstSequence == 1
            ? _firstHead.With(segment.Node).With(segment.LastSequence).With(segment.Seal).Run()
            : _head.With(segment.LastSequence).With(segment.Seal).With(segment.Node).With(segment.Previous).With(segment.FirstSequence - 1).Run();
        if (advanced != 1)
            throw new SigningException(SigningFault.StoreFailed, "The audit chain of this node was written by somebody else.");

        _segment.With(segment.Node).With(segment.FirstSequence).With(segment.Count).With(segment.FirstAt.UtcTicks).With(segment.LastAt.UtcTicks)
            .With(segment.Body).With(segment.Previous).With(segment.Seal).Run();
        Terms.Add(_segment.InsertedId, segment);
        foreach (var use in segment.Usage)
            _usage.With(use.Kid).With(use.Uses).With(use.LastUsedAt.UtcTicks).With(use.LatestExpiry?.UtcTicks).Run();
    }

    public void Appended() => Terms.Committed();

    public bool Use(string scope, string id, DateTimeOffset until) => _use.With(scope).With(id).With(until.UtcTicks).Run() == 1;

    public int Forget(DateTimeOffset before, int limit) => _forget.With(before.UtcTicks).With(limit).Run();

    public long ReadRevision() => _revision.ReadNumber();

    public void Put(DocumentChange change, long revision)
    {
        var document = change.Document;
        using var put = _connection.CreateCommand();
        put.CommandText = document.Version == 1
            ? "INSERT OR IGNORE INTO documents (kind, id, version, revision, body, seal) VALUES ($kind, $id, $version, $revision, $body, $seal)"
            : """
              UPDATE documents SET version = $version, revision = $revision, body = $body, seal = $seal
              WHERE kind = $kind AND id = $id AND version = $version - 1
              """;
        put.Parameters.AddWithValue("$kind", document.Kind);
        put.Parameters.AddWithValue("$id", document.Id);
        put.Parameters.AddWithValue("$version", document.Version);
        put.Parameters.AddWithValue("$revision", revision);
        put.Parameters.AddWithValue("$body", Bytes(document.Body));
        put.Parameters.AddWithValue("$seal", Bytes(document.Seal));
        if (put.ExecuteNonQuery() != 1)
            throw new SigningException(SigningFault.Conflict, $"The {document.Kind} was changed by somebody else meanwhile; read it again.");
        PutNames(change);
    }

    public void Dispose()
    {
        foreach (var statement in (ReadOnlySpan<SqliteStatement>)[_begin, _commit, _rollback, _segment, _head, _firstHead, _usage, _revision, _use, _forget])
            statement.Dispose();
        Terms.Dispose();
    }

    private void PutNames(DocumentChange change)
    {
        using var delete = _connection.CreateCommand();
        delete.CommandText = "DELETE FROM names WHERE kind = $kind AND id = $id";
        delete.Parameters.AddWithValue("$kind", change.Document.Kind);
        delete.Parameters.AddWithValue("$id", change.Document.Id);
        delete.ExecuteNonQuery();
        foreach (var name in change.Names)
        {
            using var insert = _connection.CreateCommand();
            insert.CommandText = "INSERT OR IGNORE INTO names (name, kind, id) VALUES ($name, $kind, $id)";
            insert.Parameters.AddWithValue("$name", name);
            insert.Parameters.AddWithValue("$kind", change.Document.Kind);
            insert.Parameters.AddWithValue("$id", change.Document.Id);
            if (insert.ExecuteNonQuery() != 1)
                throw new SigningException(SigningFault.NameTaken, $"The name {name[(name.IndexOf(':', StringComparison.Ordinal) + 1)..]} is taken.");
        }
    }

    /// <summary>After some errors SQLite has rolled back by itself and says so here; the first error is the one that counts.</summary>
    public void RollBack()
    {
        try
        {
            _rollback.Run();
        }
        catch (SqliteException e) when (e.SqliteErrorCode == 1)
        {
            // "cannot rollback - no transaction is active"
        }
    }

    private SqliteStatement Prepare(string sql) => new(_connection, sql);

    /// <summary>The driver takes arrays only.</summary>
    private static byte[] Bytes(ReadOnlyMemory<byte> memory) =>
        System.Runtime.InteropServices.MemoryMarshal.TryGetArray(memory, out var segment)
        && segment.Array is { } array && array.Length == segment.Count
            ? array
            : memory.ToArray();
}
