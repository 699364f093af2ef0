using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Storage.Spool;

/// <summary>
/// Audit segments that wait, in a file of this node, for a database that cannot be reached. A segment that was added is
/// durable; segments come out in the order in which they went in.
/// </summary>
/// <remarks>
/// A rollback journal, not a log: it is used seldom and briefly, and every failed fsync is reported by the commit itself.
/// Used by one thread at a time for adding and by one for taking out.
/// </remarks>
public sealed class AuditSpool : IDisposable
{
    /// <summary>"SSsp" in ASCII.</summary>
    private const int ApplicationId = 0x53537370;

    private readonly Lock _gate = new();
    private readonly SqliteConnection _connection;
    private long _count;

    private AuditSpool(SqliteConnection connection)
    {
        _connection = connection;
        _count = SqliteSchema.ReadNumber(connection, "SELECT count(*) FROM segments");
    }

    /// <summary>Segments that wait.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: damaged, or not ours. <see cref="SigningFault.StoreUnavailable"/>: full, read-only or held.</exception>
    public static AuditSpool Open(string path)
    {
        return SqliteFile.Open(path, connection =>
        {
            SqliteSchema.Execute(connection, "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA; PRAGMA secure_delete = ON");
            if (SqliteSchema.ReadNumber(connection, "SELECT count(*) FROM sqlite_schema") == 0)
            {
                SqliteSchema.Execute(
                    connection,
                    $"""
                     BEGIN IMMEDIATE;
                     CREATE TABLE segments (
                         id INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, first_sequence INTEGER NOT NULL, count INTEGER NOT NULL,
                         first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, body BLOB NOT NULL, previous BLOB NOT NULL, seal BLOB NOT NULL);
                     PRAGMA application_id = {ApplicationId};
                     COMMIT;
                     """);
            }

            return SqliteSchema.ReadNumber(connection, "PRAGMA application_id") == ApplicationId
                ? new AuditSpool(connection)
                : throw new SigningException(SigningFault.StoreFailed, $"{path} belongs to another program.");
        });
    }

    /// <summary>When it returns, the segment is durable.</summary>
    public void Add(AuditSegment segment)
    {
        Run(
            """
            INSERT INTO segments (node, first_sequence, count, first_at, last_at, body, previous, seal)
            VALUES ($0, $1, $2, $3, $4, $5, $6, $7)
            """,
            segment.Node, segment.FirstSequence, segment.Count, segment.FirstAt.UtcTicks, segment.LastAt.UtcTicks,
            segment.Body.ToArray(), segment.Previous.ToArray(), segment.Seal.ToArray());
        Interlocked.Increment(ref _count);
    }

    /// <summary>The one that waits the longest; null where none does.</summary>
    public AuditSegment? First() => Read("SELECT * FROM segments ORDER BY id LIMIT 1");

    /// <summary>The end of a node's chain in here; null where nothing of it waits.</summary>
    public AuditHead? HeadOf(string node) =>
        Read("SELECT * FROM segments WHERE node = $0 ORDER BY id DESC LIMIT 1", node) is { } last ? new AuditHead(node, last.LastSequence, last.Seal) : null;

    /// <summary>The next segment of a node's chain in here, after a record of that chain; null where there is none.</summary>
    public AuditSegment? Next(string node, long afterSequence) =>
        Read("SELECT * FROM segments WHERE node = $0 AND first_sequence > $1 ORDER BY first_sequence LIMIT 1", node, afterSequence);

    public void Remove(AuditSegment first)
    {
        Run("DELETE FROM segments WHERE id = $0", first.Id);
        Interlocked.Decrement(ref _count);
    }

    public void Dispose()
    {
        lock (_gate)
            _connection.Dispose();
    }

    private AuditSegment? Read(string sql, params ReadOnlySpan<object> values)
    {
        lock (_gate)
        {
            try
            {
                using var command = Command(sql, values);
                using var reader = command.ExecuteReader();
                return reader.Read() ? Segment(reader) : null;
            }
            catch (SqliteException e)
            {
                throw SqliteFaults.Of(e);
            }
        }
    }

    private void Run(string sql, params ReadOnlySpan<object> values)
    {
        lock (_gate)
        {
            try
            {
                using var command = Command(sql, values);
                command.ExecuteNonQuery();
            }
            catch (SqliteException e)
            {
                throw SqliteFaults.Of(e);
            }
        }
    }

    private SqliteCommand Command(string sql, ReadOnlySpan<object> values)
    {
        var command = _connection.CreateCommand();
        command.CommandText = sql;
        for (var i = 0; i < values.Length; i++)
            command.Parameters.AddWithValue($"${i}", values[i]);
        return command;
    }

    /// <summary>The index of a segment is not kept: it follows from the records.</summary>
    private static AuditSegment Segment(SqliteDataReader reader)
    {
        var segment = AuditSegmentRow.Read(reader);
        var index = AuditIndex.Of(segment.Body.Span);
        return segment with { Terms = index.Terms, Usage = index.Usage };
    }
}
