using System.Globalization;
using SignSvc.Load.Measuring;
using SignSvc.Tests.Shared;

namespace SignSvc.Load.Surroundings;

/// <summary>A PostgreSQL of our own with one database, and what it spends on it.</summary>
internal sealed class MeasuredPostgres : IAsyncDisposable
{
    private readonly PostgresCluster _cluster;
    private readonly string _database;
    private readonly int _postmaster;

    private MeasuredPostgres(PostgresCluster cluster, string database, int postmaster) =>
        (_cluster, _database, _postmaster) = (cluster, database, postmaster);

    /// <summary>What a service needs to use it.</summary>
    public IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["SignSvc__Store__Postgres"] = _cluster.ConnectionString(_database),
    };

    public static async Task<MeasuredPostgres> StartAsync(CancellationToken cancellationToken)
    {
        var cluster = await PostgresCluster.CreateAsync(cancellationToken);
        try
        {
            var database = await cluster.CreateDatabaseAsync(cancellationToken);
            var file = await cluster.ExecuteAsync(database, "SELECT pg_read_file('postmaster.pid')", cancellationToken);
            return new MeasuredPostgres(cluster, database, int.Parse(file.Split('\n')[0], CultureInfo.InvariantCulture));
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>User and system time of the server and all its sessions, those that ended with them.</summary>
    public TimeSpan Cpu() => ProcessUsage.CpuOfFamily(_postmaster);

    public Task<long> BytesAsync(CancellationToken cancellationToken) =>
        NumberAsync($"SELECT pg_database_size('{_database}')", cancellationToken);

    /// <summary>That were committed; the server learns of them with up to a second's delay. A statement alone is a transaction.</summary>
    public Task<long> TransactionsAsync(CancellationToken cancellationToken) =>
        NumberAsync($"SELECT xact_commit FROM pg_stat_database WHERE datname = '{_database}'", cancellationToken);

    /// <summary>Sessions, without the one that asks.</summary>
    public Task<long> SessionsAsync(CancellationToken cancellationToken) =>
        NumberAsync($"SELECT count(*) FROM pg_stat_activity WHERE datname = '{_database}'", cancellationToken);

    /// <summary>Of tables and indexes, with all that was changed in them on the disk.</summary>
    public async Task<IReadOnlyList<string>> FilesAsync(CancellationToken cancellationToken)
    {
        await _cluster.ExecuteAsync("postgres", "CHECKPOINT", cancellationToken);
        var folder = await _cluster.ExecuteAsync("postgres", "SHOW data_directory", cancellationToken);
        return [.. Directory.EnumerateFiles(Path.Combine(folder.Trim(), "base"), "*", SearchOption.AllDirectories)];
    }

    public ValueTask DisposeAsync() => _cluster.DisposeAsync();

    /// <summary>Asked in another database, so that asking does not count.</summary>
    private async Task<long> NumberAsync(string sql, CancellationToken cancellationToken) =>
        long.Parse(await _cluster.ExecuteAsync("postgres", sql, cancellationToken), CultureInfo.InvariantCulture);
}
