using System.Globalization;
using Microsoft.Data.Sqlite;
using SignSvc.Signing;

namespace SignSvc.Storage.Sqlite;

/// <summary>
/// The tables, as steps that are only ever added to: step n leads from <c>user_version</c> n − 1 to n, in a transaction
/// of its own. A file of a newer version, or of another program, is refused untouched.
/// </summary>
internal static class SqliteSchema
{
    /// <summary>"SSvc" in ASCII.</summary>
    private const int ApplicationId = 0x53537663;

    private static readonly string[] Steps =
    [
        """
        CREATE TABLE documents (
            kind TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, revision INTEGER NOT NULL,
            body BLOB NOT NULL, seal BLOB NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
        CREATE INDEX documents_by_revision ON documents (revision);
        CREATE TABLE names (name TEXT PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL) WITHOUT ROWID;
        CREATE INDEX names_by_document ON names (kind, id);
        CREATE TABLE audit_segments (
            id INTEGER PRIMARY KEY, node TEXT NOT NULL, first_sequence INTEGER NOT NULL, count INTEGER NOT NULL,
            first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
            body BLOB NOT NULL, previous BLOB NOT NULL, seal BLOB NOT NULL, UNIQUE (node, first_sequence));
        CREATE INDEX audit_segments_by_time ON audit_segments (first_at, id);
        CREATE TABLE audit_terms (
            term TEXT NOT NULL, first_at INTEGER NOT NULL, segment INTEGER NOT NULL,
            PRIMARY KEY (term, first_at, segment)) WITHOUT ROWID;
        CREATE TABLE audit_heads (node TEXT PRIMARY KEY, last_sequence INTEGER NOT NULL, seal BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE version_usage (
            kid TEXT PRIMARY KEY, uses INTEGER NOT NULL, last_used_at INTEGER NOT NULL, latest_expiry INTEGER) WITHOUT ROWID;
        """,
        """
        CREATE TABLE used_once (scope TEXT NOT NULL, id TEXT NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (scope, id)) WITHOUT ROWID;
        CREATE INDEX used_once_by_end ON used_once (until);
        """,
        """
        CREATE TABLE audit_indexed (through INTEGER NOT NULL);
        INSERT INTO audit_indexed SELECT coalesce(max(id), 0) FROM audit_segments;
        INSERT INTO audit_terms SELECT '', first_at, id FROM audit_segments;
        DROP INDEX audit_segments_by_time;
        """,
    ];

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: damaged, not ours, or newer.</exception>
    public static void Migrate(SqliteConnection connection, bool mustExist)
    {
        var version = ReadNumber(connection, "PRAGMA user_version");
        var application = ReadNumber(connection, "PRAGMA application_id");
        var isEmpty = ReadNumber(connection, "SELECT count(*) FROM sqlite_schema") == 0;
        if (application != ApplicationId && !isEmpty)
            throw new SigningException(SigningFault.StoreFailed, "The database file belongs to another program.");
        if (version > Steps.Length)
        {
            throw new SigningException(
                SigningFault.StoreFailed,
                $"The database has schema version {version}; this version of SignSvc knows {Steps.Length} at the most. "
                + "Start the newer version that wrote it, or restore a backup of this one.");
        }

        // The file is there, but the log that held its tables is not.
        if (version == 0 && mustExist)
            throw Lost();
        for (var step = version; step < Steps.Length; step++)
        {
            Execute(connection, string.Create(
                CultureInfo.InvariantCulture,
                $"BEGIN IMMEDIATE; {Steps[step]} PRAGMA application_id = {ApplicationId}; PRAGMA user_version = {step + 1}; COMMIT;"));
        }
    }

    public static SigningException Lost() => new(
        SigningFault.StoreFailed,
        "The database is missing or empty, although it was in use before. SignSvc does not begin anew by itself: restore a backup, or use another data folder.");

    public static long ReadNumber(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (long)command.ExecuteScalar()!;
    }

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
