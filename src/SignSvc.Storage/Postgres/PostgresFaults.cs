using System.Net.Sockets;
using Npgsql;
using SignSvc.Signing;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// Turns what the driver throws, and SQLSTATEs (PostgreSQL documentation, appendix A), into faults. Failed writes of
/// the log are not among them: on a failed fsync the server ends itself and recovers, and the commit was never
/// acknowledged.
/// </summary>
internal static class PostgresFaults
{
    public static SigningException Unavailable(string message, Exception? inner = null) =>
        new(SigningFault.StoreUnavailable, message, inner) { RetryAfter = TimeSpan.FromSeconds(1) };

    public static SigningException Failed(string message, Exception? inner = null) =>
        new(SigningFault.StoreFailed, message, inner);

    /// <summary>Null where the exception does not come from the database or the way to it.</summary>
    public static SigningException? Of(Exception e) => e switch
    {
        PostgresException { SqlState: var state } => Of(state, e),
        // The driver wraps what its callbacks throw.
        NpgsqlException { InnerException: SigningException ours } => ours,
        NpgsqlException { InnerException: TimeoutException } or TimeoutException => Unavailable("The database did not answer in time.", e),
        NpgsqlException or SocketException or IOException => Unavailable("The connection to the database was lost, or there is none.", e),
        ObjectDisposedException => Unavailable("The store is closed.", e),
        _ => null,
    };

    /// <summary>Whether other pooled connections are likely as useless as the one that failed.</summary>
    public static bool IsOfConnection(Exception e) =>
        e is not PostgresException { SqlState: var state } || state.StartsWith("57P", StringComparison.Ordinal)
        || state.StartsWith("08", StringComparison.Ordinal) || state is PostgresErrorCodes.ReadOnlySqlTransaction;

    private static SigningException Of(string state, Exception e) => state switch
    {
        _ when state.StartsWith("28", StringComparison.Ordinal) =>
            Unavailable($"PostgreSQL refused the login ({state}): look at the user, the password and the server's pg_hba.conf.", e),
        PostgresErrorCodes.InvalidCatalogName => Unavailable("PostgreSQL has no such database: create it, or correct the connection string.", e),
        PostgresErrorCodes.InsufficientPrivilege => Unavailable(
            $"The database user may not do this: it has to own the schema {PostgresSchema.Name}, or the right to create it.", e),

        PostgresErrorCodes.DiskFull => Unavailable("The database's disk is full.", e),
        PostgresErrorCodes.TooManyConnections => Unavailable("The database has no connection left.", e),
        _ when state.StartsWith("53", StringComparison.Ordinal) => Unavailable($"The database lacks resources ({state}).", e),

        PostgresErrorCodes.QueryCanceled => Unavailable("The database took too long.", e),
        PostgresErrorCodes.LockNotAvailable => Unavailable("Another transaction holds the rows for too long.", e),
        PostgresErrorCodes.SerializationFailure or PostgresErrorCodes.DeadlockDetected => Unavailable("Another transaction came between.", e),
        PostgresErrorCodes.ReadOnlySqlTransaction => Unavailable("The database server accepts no writes: it is a standby.", e),
        _ when state.StartsWith("57P", StringComparison.Ordinal) => Unavailable("The database server is starting or stopping.", e),
        _ when state.StartsWith("08", StringComparison.Ordinal) => Unavailable("The connection to the database was lost.", e),

        PostgresErrorCodes.DataCorrupted or PostgresErrorCodes.IndexCorrupted =>
            Failed($"The database is damaged ({state}). SignSvc repairs nothing by itself: look at the server's log, or restore a backup.", e),
        _ when state.StartsWith("58", StringComparison.Ordinal) =>
            Failed($"The database server's disk failed ({state}): look at the server's log.", e),
        PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.UndefinedColumn or PostgresErrorCodes.InvalidSchemaName =>
            Failed($"Tables in the schema {PostgresSchema.Name} are missing or were altered ({state}).", e),
        _ => Unavailable($"The database refused ({state}).", e),
    };
}
