using Microsoft.Data.Sqlite;
using SignSvc.Signing;

namespace SignSvc.Storage.Sqlite;

/// <summary>Turns SQLite's result codes (sqlite.org/rescode.html) into faults.</summary>
internal static class SqliteFaults
{
    private const int Busy = 5;
    private const int Locked = 6;
    private const int ReadOnly = 8;
    private const int IoError = 10;
    private const int Corrupt = 11;
    private const int Full = 13;
    private const int CannotOpen = 14;
    private const int NotADatabase = 26;

    private const int IoErrorWrite = 778;
    private const int IoErrorRead = 266;
    private const int IoErrorNoMemory = 3082;

    /// <summary>The log's index, which is only memory that all connections share, cannot grow: nothing was written.</summary>
    private const int IoErrorShmSize = 4874;

    public static SigningException Of(SqliteException e) => e.SqliteErrorCode switch
    {
        Full or IoError when e.SqliteErrorCode == Full || e.SqliteExtendedErrorCode == IoErrorShmSize => new SigningException(SigningFault.StoreUnavailable, "The disk is full.", e),
        Busy or Locked => new SigningException(SigningFault.StoreUnavailable, "The database is held by another process.", e),
        ReadOnly => new SigningException(SigningFault.StoreUnavailable, "The database cannot be written: the data folder is read-only.", e),
        CannotOpen => new SigningException(SigningFault.StoreUnavailable, "The database cannot be opened: look at the data folder's owner and mode.", e),
        Corrupt or NotADatabase => new SigningException(
            SigningFault.StoreFailed,
            "The database is damaged. SignSvc repairs nothing by itself: restore a backup, or copy the data folder and look with 'PRAGMA integrity_check'.", e),
        // SQLite undid what it could not write or read. For everything else (fsync first of all) it is not known what is on the disk.
        IoError when e.SqliteExtendedErrorCode is IoErrorWrite or IoErrorRead or IoErrorNoMemory =>
            new SigningException(SigningFault.StoreUnavailable, "The disk refused a read or a write.", e),
        IoError => new SigningException(
            SigningFault.StoreFailed, $"The disk failed ({e.SqliteExtendedErrorCode}); what was written may not be there.", e),
        _ => new SigningException(SigningFault.StoreUnavailable, $"The database refused ({e.SqliteExtendedErrorCode}).", e),
    };
}
