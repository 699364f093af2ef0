using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Growth;

/// <summary>The database under the service that grows: SQLite in its folder, or a PostgreSQL of its own.</summary>
internal sealed class GrowthStore : IAsyncDisposable
{
    private readonly MeasuredPostgres? _postgres;

    private GrowthStore(MeasuredPostgres? postgres) => _postgres = postgres;

    public string Name => _postgres is null ? "SQLite" : "PostgreSQL";

    public IReadOnlyDictionary<string, string> Settings => _postgres?.Settings ?? new Dictionary<string, string>(StringComparer.Ordinal);

    public static async Task<GrowthStore> OpenAsync(bool onPostgres, CancellationToken cancellationToken) =>
        new(onPostgres ? await MeasuredPostgres.StartAsync(cancellationToken) : null);

    /// <summary>Tables and indexes; of SQLite the write-ahead log, too.</summary>
    public async Task<long> BytesAsync(ServiceTarget service, CancellationToken cancellationToken) =>
        _postgres is null ? service.DatabaseBytes!.Value : await _postgres.BytesAsync(cancellationToken);

    /// <summary>
    /// Takes the database's files out of the system's memory (posix_fadvise), so that what is asked next is read from the disk. What
    /// a database keeps in its own memory stays: of PostgreSQL up to 32 MB.
    /// </summary>
    public async Task ForgetAsync(ServiceTarget service, CancellationToken cancellationToken)
    {
        var files = _postgres is null ? service.DatabaseFiles : await _postgres.FilesAsync(cancellationToken);
        await ChildProcess.RunAsync(
            "sh", ["-c", "for file; do dd if=\"$file\" iflag=nocache count=0 status=none; done", "sh", .. files], cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_postgres is not null)
            await _postgres.DisposeAsync();
    }
}
