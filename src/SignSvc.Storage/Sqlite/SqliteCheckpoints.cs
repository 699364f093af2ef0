using Microsoft.Data.Sqlite;

namespace SignSvc.Storage.Sqlite;

/// <summary>
/// Moves the write-ahead log into the database file (sqlite.org/wal.html), which bounds the log and the time of a recovery.
/// They run here, not by SQLite's hook, because the hook drops their errors, and because whoever commits would wait for them.
/// </summary>
/// <remarks>
/// SQLite begins its log anew only where a checkpoint has left nothing of it, which none does while commits go on. So
/// most of it is moved beside the commits, on a connection of its own, and what came meanwhile by the writer, between two of its own.
/// </remarks>
/// <param name="failed">Is told of a checkpoint that did not succeed. No commit is lost by it: what was committed stands in the log.</param>
internal sealed class SqliteCheckpoints(SqliteConnection writing, SqliteConnection beside, Action<SqliteException> failed) : IAsyncDisposable
{
    /// <summary>Bytes of the log, about, after which it is moved: so few that moving them holds up no flush of a commit for long.</summary>
    private const int LogBytes = 4 * 1024 * 1024;

    /// <summary>What a commit writes to the log beside its records: whole pages of the tables, and its share of those of terms.</summary>
    private const int CommitBytes = 28 * 1024;

    private int _bytes;
    private Task? _moving;

    /// <summary>By the writer, after each commit, while the writing connection is its own.</summary>
    /// <param name="bytes">Of the records that were committed.</param>
    public void Committed(int bytes)
    {
        _bytes += CommitBytes + bytes;
        if (_moving is { IsCompleted: true })
        {
            _moving = null;
            _bytes = 0;
            Move(writing);
        }
        else if (_moving is null && _bytes >= LogBytes)
        {
            _moving = Task.Run(() => Move(beside));
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_moving is not null)
            await _moving;
        await beside.DisposeAsync();
    }

    private void Move(SqliteConnection connection)
    {
        try
        {
            SqliteSchema.Execute(connection, "PRAGMA wal_checkpoint(PASSIVE)");
        }
        catch (SqliteException e)
        {
            failed(e);
        }
    }
}
