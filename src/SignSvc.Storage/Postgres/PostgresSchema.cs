using Npgsql;
using SignSvc.Signing;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// The tables, in a schema of their own, as steps that are only ever added to: step n leads from version n − 1 to n.
/// All steps that are missing run in one transaction, under a lock that makes a second node wait and then find nothing
/// to do. A newer schema is refused untouched.
/// </summary>
internal static class PostgresSchema
{
    public const string Name = "signsvc";

    /// <summary>"SignSvc" in ASCII.</summary>
    private const long MigrationLock = 0x5369676E537663;

    /// <summary>
    /// Text is collated by bytes: faster, and no update of the C library's locales can break an index. Times are ticks
    /// of 100 ns, as everywhere in the audit; timestamptz would round them. A term is the first 8 bytes of its SHA-256:
    /// terms hold what callers send, of any length and with any character, and the contract allows a false hit.
    /// Usage is kept per node, so that nodes that sign with one version do not wait for each other's commits.
    /// </summary>
    private static readonly string[] Steps =
    [
        """
        CREATE TABLE revision (single boolean PRIMARY KEY DEFAULT true CHECK (single), value bigint NOT NULL);
        INSERT INTO revision (value) VALUES (0);
        CREATE TABLE documents (
            kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, version int NOT NULL, revision bigint NOT NULL,
            body bytea NOT NULL, seal bytea NOT NULL, PRIMARY KEY (kind, id));
        CREATE UNIQUE INDEX documents_by_revision ON documents (revision);
        CREATE TABLE names (name text COLLATE "C" PRIMARY KEY, kind text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL);
        CREATE INDEX names_by_document ON names (kind, id);
        CREATE TABLE audit_segments (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, node text COLLATE "C" NOT NULL,
            first_sequence bigint NOT NULL, count int NOT NULL, first_at bigint NOT NULL, last_at bigint NOT NULL,
            body bytea NOT NULL, previous bytea NOT NULL, seal bytea NOT NULL, UNIQUE (node, first_sequence));
        CREATE INDEX audit_segments_by_time ON audit_segments (first_at, id);
        CREATE TABLE audit_terms (
            term bigint NOT NULL, first_at bigint NOT NULL, segment bigint NOT NULL, PRIMARY KEY (term, first_at, segment));
        CREATE TABLE audit_heads (
            node text COLLATE "C" PRIMARY KEY, last_sequence bigint NOT NULL, seal bytea NOT NULL) WITH (fillfactor = 10);
        CREATE TABLE version_usage (
            node text COLLATE "C" NOT NULL, kid text COLLATE "C" NOT NULL, uses bigint NOT NULL,
            last_used_at bigint NOT NULL, latest_expiry bigint, PRIMARY KEY (node, kid)) WITH (fillfactor = 25);
        CREATE TABLE nodes (
            node text COLLATE "C" PRIMARY KEY, revision bigint NOT NULL, heard_at timestamptz NOT NULL) WITH (fillfactor = 25);
        CREATE TABLE leases (
            name text COLLATE "C" PRIMARY KEY, holder text COLLATE "C" NOT NULL, fence bigint NOT NULL,
            until timestamptz NOT NULL) WITH (fillfactor = 25);
        """,
        """
        CREATE TABLE used_once (
            scope text COLLATE "C" NOT NULL, id text COLLATE "C" NOT NULL, until bigint NOT NULL, PRIMARY KEY (scope, id));
        CREATE INDEX used_once_by_end ON used_once (until);
        """,
    ];

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: newer, or on a server that does not keep what it acknowledges.</exception>
    public static async Task MigrateAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await CheckServerAsync(connection, cancellationToken);
        if (await ReadVersionAsync(connection, cancellationToken) == Steps.Length)
            return;

        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(
            connection,
            $"SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MigrationLock})",
            cancellationToken);
        var version = await ReadVersionAsync(connection, cancellationToken);
        if (version == 0)
        {
            // IF NOT EXISTS would ask for the right to create schemas even where an administrator has made this one.
            await ExecuteAsync(
                connection,
                $"""
                 DO $$ BEGIN IF to_regnamespace('{Name}') IS NULL THEN CREATE SCHEMA {Name}; END IF; END $$;
                 CREATE TABLE schema_version (version int NOT NULL);
                 INSERT INTO schema_version VALUES (0)
                 """,
                cancellationToken);
        }

        for (var step = version; step < Steps.Length; step++)
            await ExecuteAsync(connection, $"{Steps[step]} UPDATE schema_version SET version = {step + 1};", cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task CheckServerAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('server_encoding')", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        await reader.ReadAsync(cancellationToken);
        if (reader.GetBoolean(0))
            throw PostgresFaults.Unavailable("The database server accepts no writes: it is a standby. Name the primary, or all hosts.");
        if (reader.GetString(1) is not "on")
            throw PostgresFaults.Failed("The database server does not keep what it acknowledges: set fsync to on.");
        if (reader.GetString(2) is not "UTF8")
            throw PostgresFaults.Failed("The database is not encoded in UTF-8: create it with ENCODING 'UTF8'.");
    }

    /// <summary>0 where there is no schema.</summary>
    private static async Task<int> ReadVersionAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        // A query of the catalogue, not to_regclass: that answers from a cache, which after the wait for the migration
        // lock still says that there is no such schema.
        await using var exists = new NpgsqlCommand(
            $"""
             SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = '{Name}' AND c.relname = 'schema_version')
             """,
            connection);
        if (await exists.ExecuteScalarAsync(cancellationToken) is not true)
            return 0;
        await using var read = new NpgsqlCommand("SELECT version FROM schema_version", connection);
        var version = (int)(await read.ExecuteScalarAsync(cancellationToken))!;
        if (version > Steps.Length)
        {
            throw PostgresFaults.Failed(
                $"The database has schema version {version}; this version of SignSvc knows {Steps.Length} at the most. "
                + "Start the newer version that wrote it, or restore a backup of this one.");
        }

        return version;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        // The client's limit: beyond what waiting for another node's migration may take.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 600 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
