using Microsoft.Data.Sqlite;
using SignSvc.Signing;

namespace SignSvc.Storage.Sqlite;

/// <summary>A database file that this process alone writes.</summary>
internal static class SqliteFile
{
    /// <summary>Opens the file, or makes it, for a user that owns the connection from then on; where that fails it is closed.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: damaged. <see cref="SigningFault.StoreUnavailable"/>: full, read-only or held.</exception>
    public static T Open<T>(string path, Func<SqliteConnection, T> use)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Mode = SqliteOpenMode.ReadWriteCreate,
            Pooling = false,
            DefaultTimeout = 1,
        }.ToString());
        try
        {
            connection.Open();
            return use(connection);
        }
        catch (SqliteException e)
        {
            connection.Dispose();
            throw SqliteFaults.Of(e);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }
}
