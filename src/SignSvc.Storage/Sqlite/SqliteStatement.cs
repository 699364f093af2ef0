using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace SignSvc.Storage.Sqlite;

/// <summary>
/// A statement of the writing connection, prepared once and given its parameters in order. The driver's commands look
/// every parameter up by name and build a reader each time, which for a commit of one record costs more than SQLite does.
/// </summary>
/// <remarks>Faults are the driver's own <see cref="SqliteException"/>. Where the file is held, SQLite waits as long as the connection's busy timeout says.</remarks>
internal sealed class SqliteStatement : IDisposable
{
    private readonly sqlite3 _database;
    private readonly sqlite3_stmt _statement;
    private int _bound;

    public SqliteStatement(SqliteConnection connection, string sql)
    {
        _database = connection.Handle!;
        Check(raw.sqlite3_prepare_v3(_database, sql, raw.SQLITE_PREPARE_PERSISTENT, out _statement));
    }

    /// <summary>Of the row that this connection inserted last.</summary>
    public long InsertedId => raw.sqlite3_last_insert_rowid(_database);

    public SqliteStatement With(string value) => Bound(raw.sqlite3_bind_text(_statement, ++_bound, value));

    public SqliteStatement With(long value) => Bound(raw.sqlite3_bind_int64(_statement, ++_bound, value));

    public SqliteStatement With(long? value) => value is { } number ? With(number) : Bound(raw.sqlite3_bind_null(_statement, ++_bound));

    public SqliteStatement With(ReadOnlyMemory<byte> value) => Bound(raw.sqlite3_bind_blob(_statement, ++_bound, value.Span));

    /// <returns>The rows that it changed.</returns>
    public int Run()
    {
        Step();
        var changed = raw.sqlite3_changes(_database);
        Reset();
        return changed;
    }

    public long ReadNumber()
    {
        Step();
        var number = raw.sqlite3_column_int64(_statement, 0);
        Reset();
        return number;
    }

    public void Dispose() => _statement.Dispose();

    private void Step()
    {
        var result = raw.sqlite3_step(_statement);
        if (result is raw.SQLITE_DONE or raw.SQLITE_ROW)
            return;
        // The reset says the same again, and the connection still knows what was wrong.
        Reset();
        Check(result);
    }

    private void Reset()
    {
        _bound = 0;
        _ = raw.sqlite3_reset(_statement);
    }

    private SqliteStatement Bound(int result)
    {
        if (result != raw.SQLITE_OK)
            Reset();
        Check(result);
        return this;
    }

    private void Check(int result) => SqliteException.ThrowExceptionForRC(result, _database);
}
