using Npgsql;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// Connections to one database, in pools that cannot starve each other, each session with the settings that
/// durability and bounded waiting need. Whatever the driver throws leaves here as a fault.
/// </summary>
internal sealed class PostgresConnections : IAsyncDisposable
{
    private readonly PostgresOptions _options;
    private readonly NpgsqlDataSource _serving;
    private readonly NpgsqlDataSource _searching;
    private readonly NpgsqlDataSource _listening;

    public PostgresConnections(PostgresOptions options)
    {
        options.Validate();
        _options = options;
        _serving = Build(options.CommandTimeout, settings =>
        {
            settings.MaxPoolSize = options.MaxConnections;
            settings.MaxAutoPrepare = 20;
            settings.AutoPrepareMinUsages = 2;
        });
        _searching = Build(options.SearchTimeout, settings => settings.MaxPoolSize = options.MaxSearchConnections);
        _listening = Build(options.CommandTimeout, settings => settings.Pooling = false);
    }

    /// <summary>For what a node cannot do without: commits, snapshots, heads, leases, heartbeats.</summary>
    public Task<T> ServeAsync<T>(Func<NpgsqlConnection, Task<T>> work, CancellationToken cancellationToken) =>
        RunAsync(_serving, work, cancellationToken);

    /// <summary>For reads of the audit.</summary>
    public Task<T> SearchAsync<T>(Func<NpgsqlConnection, Task<T>> work, CancellationToken cancellationToken) =>
        RunAsync(_searching, work, cancellationToken, triesAgain: true);

    /// <summary>A connection of its own for a listener.</summary>
    public ValueTask<NpgsqlConnection> OpenListeningAsync(CancellationToken cancellationToken) =>
        _listening.OpenConnectionAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _serving.DisposeAsync();
        await _searching.DisposeAsync();
        await _listening.DisposeAsync();
    }

    private static async Task<T> RunAsync<T>(
        NpgsqlDataSource source, Func<NpgsqlConnection, Task<T>> work, CancellationToken cancellationToken, bool triesAgain = false)
    {
        var isOpen = false;
        try
        {
            await using var connection = await source.OpenConnectionAsync(cancellationToken);
            isOpen = true;
            return await work(connection);
        }
        catch (Exception e) when (PostgresFaults.Of(e) is not null)
        {
            // A restart or a failover ends all pooled connections; each would cost one more failed call.
            if (isOpen && PostgresFaults.IsOfConnection(e))
            {
                source.Clear();
                // A pooled connection that died in its sleep says nothing of the server; a read may ask again.
                if (triesAgain && !cancellationToken.IsCancellationRequested)
                    return await RunAsync(source, work, cancellationToken);
            }

            throw PostgresFaults.Of(e)!;
        }
    }

    private NpgsqlDataSource Build(TimeSpan statementTimeout, Action<NpgsqlConnectionStringBuilder> configure)
    {
        var settings = new NpgsqlConnectionStringBuilder(_options.ConnectionString)
        {
            SearchPath = PostgresSchema.Name,
            Timeout = (int)_options.ConnectTimeout.TotalSeconds,
            // The server gives up first, and says so; the client's own limit is for a server that says nothing.
            CommandTimeout = (int)statementTimeout.TotalSeconds + 1,
            // After its limit the client drops the connection and waits for nothing: a cancelled wait for a standby
            // would be reported as a commit (PostgreSQL documentation, 27.2.8.3).
            CancellationTimeout = -1,
            IncludeErrorDetail = false,
            PersistSecurityInfo = false,
            Enlist = false,
        };
        settings.ApplicationName ??= "SignSvc";
        // Startup options outrank what is set for the role and the database, and survive the pool's DISCARD ALL.
        settings.Options = FormattableString.Invariant(
            $"""
             {settings.Options} -c synchronous_commit=on -c statement_timeout={statementTimeout.TotalMilliseconds} -c lock_timeout={statementTimeout.TotalMilliseconds / 2} -c idle_in_transaction_session_timeout={_options.CommandTimeout.TotalMilliseconds}
             """).Trim();
        configure(settings);

        var hasSeveralHosts = settings.Host?.Contains(',', StringComparison.Ordinal) ?? false;
        if (hasSeveralHosts)
        {
            settings.TargetSessionAttributes = null;
            settings.HostRecheckSeconds = 1;
        }

        var builder = new NpgsqlDataSourceBuilder(settings.ToString());
        if (_options.PasswordFile is { } file)
        {
            // The driver asks the first one on synchronous opens only; there are none.
            builder.UsePasswordProvider(
                _ => throw new NotSupportedException(), (_, cancellationToken) => ReadPasswordAsync(file, cancellationToken));
        }

        return hasSeveralHosts
            ? builder.BuildMultiHost().WithTargetSession(TargetSessionAttributes.Primary)
            : builder.Build();
    }

    private static async ValueTask<string> ReadPasswordAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            return (await File.ReadAllTextAsync(file, cancellationToken)).TrimEnd('\r', '\n');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw PostgresFaults.Unavailable("The file with the database's password cannot be read.", e);
        }
    }
}
