using Microsoft.Data.Sqlite;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Sqlite;

/// <summary>
/// One SQLite file for one node: write-ahead log, <c>synchronous=FULL</c>, so that a commit that returned has been
/// flushed by SQLite itself, which reports a failed fsync where .NET's file streams would not.
/// </summary>
/// <remarks>
/// One connection writes, for one writer at a time: the audit log's, and whoever uses something once. Reads open their own.
/// </remarks>
public sealed partial class SqliteStore : IStore, IBackupStore
{
    /// <summary>Files up to this size are checked whole at every start; it takes well under a second.</summary>
    private const long StartCheckBytes = 64 * 1024 * 1024;

    private const string Durable = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 0;";

    private readonly SqliteConnection _writing;
    private readonly string _readingFrom;
    private readonly SqliteStatements _statements;
    private readonly SqliteCheckpoints _checkpoints;
    private readonly TimeSpan _patience;
    private volatile SigningException? _failure;

    private SqliteStore(SqliteConnection writing, SqliteConnection checkpointing, string readingFrom, TimeSpan patience)
    {
        _writing = writing;
        _readingFrom = readingFrom;
        _patience = patience;
        _statements = new SqliteStatements(writing);
        _checkpoints = new SqliteCheckpoints(writing, checkpointing, CheckpointFailed);
    }

    /// <summary>Opens the file, or makes it.</summary>
    /// <param name="mustExist">It was in use before: one that is missing or empty is damage, not a first start.</param>
    /// <param name="patience">How long who uses something once waits for it to be durable; null: 1.5 s. Much longer, and a hanging disk becomes a hanging service.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: damaged, lost, not ours, or newer. <see cref="SigningFault.StoreUnavailable"/>: full, read-only or held.</exception>
    public static SqliteStore Open(string path, bool mustExist = false, TimeSpan? patience = null)
    {
        if (mustExist && new FileInfo(path) is not { Exists: true, Length: > 0 })
            throw SqliteSchema.Lost();
        SqliteLogCheck.Run(path + "-wal");
        return SqliteFile.Open(path, connection =>
        {
            SqliteSchema.Execute(connection, Durable);
            SqliteSchema.Migrate(connection, mustExist);
            if (new FileInfo(path).Length <= StartCheckBytes)
                Check(connection);
            var checkpointing = SqliteFile.Open(path, second =>
            {
                SqliteSchema.Execute(second, Durable);
                return second;
            });
            return new SqliteStore(
                connection, checkpointing, new SqliteConnectionStringBuilder { DataSource = path, Mode = SqliteOpenMode.ReadWrite }.ToString(),
                patience ?? UsualPatience);
        });
    }

    public Task<StateChanges> ReadStateAsync(long afterRevision, CancellationToken cancellationToken) => Read(connection =>
    {
        // One transaction, so that documents and revision belong together.
        using var transaction = connection.BeginTransaction(deferred: true);
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT kind, id, version, body, seal, revision FROM documents WHERE revision > $after ORDER BY revision";
        command.Parameters.AddWithValue("$after", afterRevision);
        using var reader = command.ExecuteReader();
        var documents = new List<Document>();
        var revision = afterRevision;
        while (reader.Read())
        {
            documents.Add(new Document(
                reader.GetString(0), reader.GetString(1), reader.GetInt32(2),
                reader.GetFieldValue<byte[]>(3), reader.GetFieldValue<byte[]>(4)));
            revision = reader.GetInt64(5);
        }

        return new StateChanges(revision, documents);
    });

    public Task<long> CommitAsync(
        AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken)
    {
        try
        {
            lock (_writingGate)
            {
                ThrowIfFailed();
                var revision = _statements.InTransaction(() => Commit(segment, changes));
                _statements.Appended();
                _checkpoints.Committed(segment.Body.Length);
                return Task.FromResult(revision);
            }
        }
        catch (SqliteException e)
        {
            return Task.FromException<long>(SqliteFaults.Of(e));
        }
        catch (SigningException e)
        {
            return Task.FromException<long>(e);
        }
    }

    public Task<IReadOnlyList<VersionUsage>> ReadUsageAsync(CancellationToken cancellationToken) => Read(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT kid, uses, last_used_at, latest_expiry FROM version_usage";
        using var reader = command.ExecuteReader();
        var usage = new List<VersionUsage>();
        while (reader.Read())
        {
            usage.Add(new VersionUsage(
                reader.GetString(0), reader.GetInt64(1), new DateTimeOffset(reader.GetInt64(2), TimeSpan.Zero),
                reader.IsDBNull(3) ? null : new DateTimeOffset(reader.GetInt64(3), TimeSpan.Zero)));
        }

        return (IReadOnlyList<VersionUsage>)usage;
    });

    public Task<AuditHead?> ReadAuditHeadAsync(string node, CancellationToken cancellationToken) => Read(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT last_sequence, seal FROM audit_heads WHERE node = $node";
        command.Parameters.AddWithValue("$node", node);
        using var reader = command.ExecuteReader();
        return reader.Read() ? new AuditHead(node, reader.GetInt64(0), reader.GetFieldValue<byte[]>(1)) : null;
    });

    public Task<IReadOnlyList<string>> ReadAuditNodesAsync(CancellationToken cancellationToken) => Read(connection =>
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT node FROM audit_heads UNION SELECT DISTINCT node FROM audit_segments ORDER BY 1";
        using var reader = command.ExecuteReader();
        var nodes = new List<string>();
        while (reader.Read())
            nodes.Add(reader.GetString(0));
        return (IReadOnlyList<string>)nodes;
    });

    public IAsyncEnumerable<AuditSegment> SearchAuditAsync(AuditSegmentFilter filter, CancellationToken cancellationToken) =>
        SqliteAuditReader.SearchAsync(OpenForReading, _statements.Terms, filter, cancellationToken);

    public IAsyncEnumerable<AuditSegment> ReadAuditChainAsync(string node, long fromSequence, CancellationToken cancellationToken) =>
        SqliteAuditReader.ReadChainAsync(OpenForReading, node, fromSequence, cancellationToken);

    public IAsyncEnumerable<BackupItem> ReadAllAsync(CancellationToken cancellationToken) =>
        SqliteBackup.ReadAllAsync(OpenForReading, cancellationToken);

    public Task RestoreAsync(IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken) =>
        SqliteBackup.RestoreAsync(_writing, _statements, items, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _checkpoints.DisposeAsync();
        _statements.Dispose();
        _writing.Dispose();
        using var any = new SqliteConnection(_readingFrom);
        SqliteConnection.ClearPool(any);
        _turn.Dispose();
    }

    private long Commit(AuditSegment segment, IReadOnlyList<DocumentChange> changes)
    {
        _statements.Append(segment);
        var revision = _statements.ReadRevision();
        foreach (var change in changes)
            _statements.Put(change, ++revision);
        return revision;
    }

    /// <summary>The next commit is refused if the disk failed.</summary>
    private void CheckpointFailed(SqliteException e)
    {
        var failure = SqliteFaults.Of(e);
        if (failure.Fault == SigningFault.StoreFailed)
            _failure = failure;
    }

    private static void Check(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "PRAGMA quick_check(1)";
        if (command.ExecuteScalar() is not "ok")
        {
            throw new SigningException(
                SigningFault.StoreFailed,
                "The database is damaged. SignSvc repairs nothing by itself: restore a backup, or copy the data folder and look with 'PRAGMA integrity_check'.");
        }
    }

    private Task<T> Read<T>(Func<SqliteConnection, T> read)
    {
        try
        {
            using var connection = OpenForReading();
            return Task.FromResult(read(connection));
        }
        catch (SqliteException e)
        {
            return Task.FromException<T>(SqliteFaults.Of(e));
        }
    }

    private SqliteConnection OpenForReading()
    {
        var connection = new SqliteConnection(_readingFrom);
        connection.Open();
        return connection;
    }
}
