using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Sqlite;

/// <summary>Reads the whole file in one read transaction, which commits do not wait for; fills an empty one in one transaction.</summary>
internal static class SqliteBackup
{
    public static async IAsyncEnumerable<BackupItem> ReadAllAsync(
        Func<SqliteConnection> open, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var connection = Guard(open);
        // It sees from its first read on what was committed then, and nothing later.
        using var transaction = Guard(() => connection.BeginTransaction(deferred: true));
        var parts = ((string Sql, Func<SqliteDataReader, BackupItem> Read)[])
        [
            ("SELECT kind, id, version, body, seal, revision FROM documents ORDER BY revision, kind, id", r => Document(connection, r)),
            ($"SELECT {SqliteAuditReader.Columns} FROM audit_segments s ORDER BY s.id", r => new BackupItem.StoredSegment(AuditSegmentRow.Read(r))),
            ("SELECT node, last_sequence, seal FROM audit_heads ORDER BY node", Head),
            ("SELECT kid, uses, last_used_at, latest_expiry FROM version_usage ORDER BY kid", Usage),
            ("SELECT scope, id, until FROM used_once ORDER BY scope, id", Use),
        ];
        foreach (var (sql, read) in parts)
        {
            using var command = connection.CreateCommand();
            command.CommandText = sql;
            using var reader = Guard(command.ExecuteReader);
            while (Guard(reader.Read))
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return Guard(() => read(reader));
            }
        }

        // SQLite is synchronous; the signature is asynchronous for the stores that are not.
        await Task.CompletedTask;
    }

    public static async Task RestoreAsync(
        SqliteConnection connection, SqliteStatements statements, IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken)
    {
        // As SQL, because the statements below are prepared outside of any transaction object.
        Execute(connection, "BEGIN IMMEDIATE");
        try
        {
            await FillAsync(connection, statements, items, cancellationToken);
            Execute(connection, "COMMIT");
        }
        catch
        {
            statements.RollBack();
            throw;
        }

        Execute(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    }

    private static async Task FillAsync(
        SqliteConnection connection, SqliteStatements statements, IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken)
    {
        var isEmpty = Guard(() => SqliteSchema.ReadNumber(
            connection, "SELECT (SELECT count(*) FROM documents) + (SELECT count(*) FROM audit_segments) + (SELECT count(*) FROM audit_heads)") == 0);
        if (!isEmpty)
            throw new SigningException(SigningFault.Conflict, "The store is not empty: a backup is restored into an empty one only.");
        await foreach (var item in items.WithCancellation(cancellationToken))
            Guard(() => Put(connection, statements, item));
    }

    private static void Execute(SqliteConnection connection, string sql) => Guard(() =>
    {
        SqliteSchema.Execute(connection, sql);
        return true;
    });

    private static bool Put(SqliteConnection connection, SqliteStatements statements, BackupItem item)
    {
        switch (item)
        {
            case BackupItem.StoredDocument(var d, var revision, var names):
                Run(
                    connection, "INSERT INTO documents (kind, id, version, revision, body, seal) VALUES ($0, $1, $2, $3, $4, $5)",
                    d.Kind, d.Id, d.Version, revision, d.Body.ToArray(), d.Seal.ToArray());
                foreach (var name in names)
                    Run(connection, "INSERT INTO names (name, kind, id) VALUES ($0, $1, $2)", name, d.Kind, d.Id);
                break;
            case BackupItem.StoredSegment(var segment):
                statements.Append(segment);
                statements.Appended();
                break;
            case BackupItem.StoredHead(var head):
                Run(
                    connection, "INSERT OR REPLACE INTO audit_heads (node, last_sequence, seal) VALUES ($0, $1, $2)",
                    head.Node, head.LastSequence, head.Seal.ToArray());
                break;
            case BackupItem.StoredUsage(var usage):
                Run(
                    connection, "INSERT INTO version_usage (kid, uses, last_used_at, latest_expiry) VALUES ($0, $1, $2, $3)",
                    usage.Kid, usage.Uses, usage.LastUsedAt.UtcTicks, (object?)usage.LatestExpiry?.UtcTicks ?? DBNull.Value);
                break;
            case BackupItem.StoredUse(var scope, var id, var until):
                Run(connection, "INSERT INTO used_once (scope, id, until) VALUES ($0, $1, $2)", scope, id, until.UtcTicks);
                break;
        }

        return true;
    }

    private static BackupItem.StoredDocument Document(SqliteConnection connection, SqliteDataReader reader)
    {
        var document = new Document(
            reader.GetString(0), reader.GetString(1), reader.GetInt32(2), reader.GetFieldValue<byte[]>(3), reader.GetFieldValue<byte[]>(4));
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT name FROM names WHERE kind = $kind AND id = $id ORDER BY name";
        command.Parameters.AddWithValue("$kind", document.Kind);
        command.Parameters.AddWithValue("$id", document.Id);
        using var found = command.ExecuteReader();
        var names = new List<string>();
        while (found.Read())
            names.Add(found.GetString(0));
        return new BackupItem.StoredDocument(document, reader.GetInt64(5), [.. names]);
    }

    private static BackupItem.StoredHead Head(SqliteDataReader reader) =>
        new(new AuditHead(reader.GetString(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2)));

    private static BackupItem.StoredUsage Usage(SqliteDataReader reader) => new(new VersionUsage(
        reader.GetString(0), reader.GetInt64(1), new DateTimeOffset(reader.GetInt64(2), TimeSpan.Zero),
        reader.IsDBNull(3) ? null : new DateTimeOffset(reader.GetInt64(3), TimeSpan.Zero)));

    private static BackupItem.StoredUse Use(SqliteDataReader reader) =>
        new(reader.GetString(0), reader.GetString(1), new DateTimeOffset(reader.GetInt64(2), TimeSpan.Zero));

    private static void Run(SqliteConnection connection, string sql, params ReadOnlySpan<object> values)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        for (var i = 0; i < values.Length; i++)
            command.Parameters.AddWithValue($"${i}", values[i]);
        command.ExecuteNonQuery();
    }

    private static T Guard<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (SqliteException e)
        {
            throw SqliteFaults.Of(e);
        }
    }
}
