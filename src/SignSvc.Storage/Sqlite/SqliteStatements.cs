using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Sqlite;

/// <summary>The writing connection's statements, prepared once: a commit of one record is four of them and a flush.</summary>
internal sealed class SqliteStatements : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _begin;
    private readonly SqliteCommand _commit;
    private readonly SqliteCommand _rollback;
    private readonly SqliteCommand _segment;
    private readonly SqliteCommand _term;
    private readonly SqliteCommand _head;
    private readonly SqliteCommand _firstHead;
    private readonly SqliteCommand _usage;
    private readonly SqliteCommand _revision;
    private readonly SqliteCommand _use;
    private readonly SqliteCommand _forget;

    public SqliteStatements(SqliteConnection connection)
    {
        _connection = connection;
        _begin = Prepare("BEGIN IMMEDIATE");
        _commit = Prepare("COMMIT");
        _rollback = Prepare("ROLLBACK");
        _segment = Prepare(
            """
            INSERT INTO audit_segments (node, first_sequence, count, first_at, last_at, body, previous, seal)
            VALUES ($node, $first_sequence, $count, $first_at, $last_at, $body, $previous, $seal) RETURNING id
            """,
            "$node", "$first_sequence", "$count", "$first_at", "$last_at", "$body", "$previous", "$seal");
        _term = Prepare("INSERT INTO audit_terms (term, first_at, segment) VALUES ($term, $first_at, $segment)", "$term", "$first_at", "$segment");
        _head = Prepare(
            "UPDATE audit_heads SET last_sequence = $last_sequence, seal = $seal WHERE node = $node AND seal = $previous AND last_sequence = $before",
            "$last_sequence", "$seal", "$node", "$previous", "$before");
        _firstHead = Prepare(
            "INSERT OR IGNORE INTO audit_heads (node, last_sequence, seal) VALUES ($node, $last_sequence, $seal)",
            "$node", "$last_sequence", "$seal");
        _usage = Prepare(
            """
            INSERT INTO version_usage (kid, uses, last_used_at, latest_expiry) VALUES ($kid, $uses, $last_used_at, $latest_expiry)
            ON CONFLICT (kid) DO UPDATE SET uses = uses + excluded.uses,
                last_used_at = max(last_used_at, excluded.last_used_at),
                latest_expiry = max(coalesce(latest_expiry, excluded.latest_expiry), coalesce(excluded.latest_expiry, latest_expiry))
            """,
            "$kid", "$uses", "$last_used_at", "$latest_expiry");
        _revision = Prepare("SELECT coalesce(max(revision), 0) FROM documents");
        _use = Prepare("INSERT OR IGNORE INTO used_once (scope, id, until) VALUES ($scope, $id, $until)", "$scope", "$id", "$until");
        _forget = Prepare(
            "DELETE FROM used_once WHERE (scope, id) IN (SELECT scope, id FROM used_once WHERE until < $before ORDER BY until LIMIT $limit)",
            "$before", "$limit");
    }

    public T InTransaction<T>(Func<T> work)
    {
        _begin.ExecuteNonQuery();
        try
        {
            var result = work();
            _commit.ExecuteNonQuery();
            return result;
        }
        catch
        {
            RollBack();
            throw;
        }
    }

    public void Append(AuditSegment segment)
    {
        // The head first: it is the fence, and where it does not match, the segment may be there already.
        var advanced = segment.FirstSequence == 1
            ? Run(_firstHead, segment.Node, segment.LastSequence, Bytes(segment.Seal)).ExecuteNonQuery()
            : Run(_head, segment.LastSequence, Bytes(segment.Seal), segment.Node, Bytes(segment.Previous), segment.FirstSequence - 1).ExecuteNonQuery();
        if (advanced != 1)
            throw new SigningException(SigningFault.StoreFailed, "The audit chain of this node was written by somebody else.");

        var id = (long)Run(
            _segment, segment.Node, segment.FirstSequence, segment.Count, segment.FirstAt.UtcTicks, segment.LastAt.UtcTicks,
            Bytes(segment.Body), Bytes(segment.Previous), Bytes(segment.Seal)).ExecuteScalar()!;
        foreach (var term in segment.Terms)
            Run(_term, term, segment.FirstAt.UtcTicks, id).ExecuteNonQuery();
        foreach (var use in segment.Usage)
            Run(_usage, use.Kid, use.Uses, use.LastUsedAt.UtcTicks, (object?)use.LatestExpiry?.UtcTicks ?? DBNull.Value).ExecuteNonQuery();
    }

    public bool Use(string scope, string id, DateTimeOffset until) => Run(_use, scope, id, until.UtcTicks).ExecuteNonQuery() == 1;

    public int Forget(DateTimeOffset before, int limit) => Run(_forget, before.UtcTicks, limit).ExecuteNonQuery();

    public long ReadRevision() => (long)_revision.ExecuteScalar()!;

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
        foreach (var command in (ReadOnlySpan<SqliteCommand>)[_begin, _commit, _rollback, _segment, _term, _head, _firstHead, _usage, _revision, _use, _forget])
            command.Dispose();
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
            _rollback.ExecuteNonQuery();
        }
        catch (SqliteException e) when (e.SqliteErrorCode == 1)
        {
            // "cannot rollback - no transaction is active"
        }
    }

    private static SqliteCommand Run(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++)
            command.Parameters[i].Value = values[i];
        return command;
    }

    private SqliteCommand Prepare(string sql, params ReadOnlySpan<string> parameters)
    {
        var command = _connection.CreateCommand();
        command.CommandText = sql;
        foreach (var name in parameters)
            command.Parameters.Add(new SqliteParameter { ParameterName = name });
        return command;
    }

    /// <summary>The driver takes arrays only.</summary>
    private static byte[] Bytes(ReadOnlyMemory<byte> memory) =>
        System.Runtime.InteropServices.MemoryMarshal.TryGetArray(memory, out var segment)
        && segment.Array is { } array && array.Length == segment.Count
            ? array
            : memory.ToArray();
}
