using System.Diagnostics;

namespace SignSvc.Tests.Shared;

/// <summary>
/// A PostgreSQL server of Debian's package with data of its own in a temporary folder, on a free loopback port. Runs as
/// <c>postgres</c> where the tests run as root. It ends with the test process, however that ends.
/// </summary>
public sealed class PostgresCluster : IAsyncDisposable
{
    public const string User = "postgres";
    public const string Password = "correct-horse";

    private readonly string _binaries;
    private readonly string _folder;
    private readonly Process _keeper;
    private int _databases;

    private PostgresCluster(string binaries, string folder)
    {
        _binaries = binaries;
        _folder = folder;
        // Its input ends when this process does: then it stops the server and removes the folder. The signals that end
        // a whole process group (Ctrl+C, timeout) are not for it.
        _keeper = Begin("sh", "-c", "trap '' HUP INT TERM; cat >/dev/null; \"$0/pg_ctl\" -D \"$1/data\" -m immediate stop; rm -rf \"$1\"", binaries, folder);
    }

    public int Port { get; private init; }

    public static async Task<PostgresCluster> CreateAsync(CancellationToken cancellationToken)
    {
        var cluster = await InNewFolderAsync(cancellationToken);
        try
        {
            await RunAsync(
                cluster.Binary("initdb"), cancellationToken,
                "-D", cluster.Data, "-U", User, "--auth-local=trust", "--auth-host=scram-sha-256", "--locale=C", "--encoding=UTF8", "--no-sync");
            await cluster.ConfigureAsync(
                cancellationToken,
                "listen_addresses = '127.0.0.1'", $"port = {cluster.Port}", $"unix_socket_directories = '{cluster._folder}'",
                "shared_buffers = 32MB", "max_wal_size = 256MB", "max_connections = 100", "max_replication_slots = 4", "jit = off");
            await cluster.StartAsync(cancellationToken);
            await cluster.ExecuteAsync("postgres", $"ALTER USER {User} PASSWORD '{Password}'", cancellationToken);
            return cluster;
        }
        catch
        {
            await cluster.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// A hot standby with all that this server has. From then on a commit here is acknowledged only when it is flushed
    /// there too.
    /// </summary>
    public async Task<PostgresCluster> CreateStandbyAsync(CancellationToken cancellationToken)
    {
        var standby = await InNewFolderAsync(cancellationToken);
        try
        {
            await RunAsync(
                Binary("pg_basebackup"), cancellationToken,
                "-h", _folder, "-p", $"{Port}", "-U", User, "-D", standby.Data, "--write-recovery-conf", "--checkpoint=fast", "--no-sync");
            await standby.ConfigureAsync(
                cancellationToken, $"port = {standby.Port}", $"unix_socket_directories = '{standby._folder}'");
            await standby.StartAsync(cancellationToken);
            await ExecuteAsync("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'", cancellationToken);
            await ExecuteAsync("postgres", "SELECT pg_reload_conf()", cancellationToken);
            return standby;
        }
        catch
        {
            await standby.DisposeAsync();
            throw;
        }
    }

    /// <summary>Makes a standby a server of its own, which accepts writes.</summary>
    public Task PromoteAsync(CancellationToken cancellationToken) =>
        RunAsync(Binary("pg_ctl"), cancellationToken, "-D", Data, "-w", "-t", "60", "promote");

    /// <summary>In Npgsql's notation.</summary>
    public string ConnectionString(string database) => ConnectionString(database, Port);

    /// <summary>Through something that stands before the server.</summary>
    public static string ConnectionString(string database, int port) =>
        $"Host=127.0.0.1;Port={port};Database={database};Username={User};Password={Password}";

    /// <summary>An empty database.</summary>
    /// <returns>Its name.</returns>
    public async Task<string> CreateDatabaseAsync(CancellationToken cancellationToken)
    {
        var name = $"test{Interlocked.Increment(ref _databases)}";
        await ExecuteAsync("postgres", $"CREATE DATABASE {name}", cancellationToken);
        return name;
    }

    /// <returns>Rows as lines, columns divided by <c>|</c>.</returns>
    public Task<string> ExecuteAsync(string database, string sql, CancellationToken cancellationToken) => RunAsync(
        Binary("psql"), cancellationToken,
        "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", _folder, "-p", $"{Port}", "-U", User, "-d", database, "-c", sql);

    /// <summary>Lines of configuration that hold from the next start.</summary>
    public Task ConfigureAsync(CancellationToken cancellationToken, params string[] lines) =>
        RunAsync("sh", cancellationToken, ["-c", "f=$0; for line; do printf '%s\\n' \"$line\" >>\"$f\"; done", $"{Data}/postgresql.conf", .. lines]);

    public Task StartAsync(CancellationToken cancellationToken) =>
        RunAsync(Binary("pg_ctl"), cancellationToken, "-D", Data, "-l", $"{_folder}/log", "-w", "-t", "60", "start");

    public Task StopAsync(PostgresStop how, CancellationToken cancellationToken) =>
        RunAsync(Binary("pg_ctl"), cancellationToken, "-D", Data, "-m", how == PostgresStop.Fast ? "fast" : "immediate", "-w", "-t", "60", "stop");

    public async Task RestartAsync(PostgresStop how, CancellationToken cancellationToken)
    {
        await StopAsync(how, cancellationToken);
        await StartAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        _keeper.StandardInput.Close();
        await _keeper.WaitForExitAsync();
        _keeper.Dispose();
    }

    private string Data => $"{_folder}/data";

    private string Binary(string name) => $"{_binaries}/{name}";

    private static async Task<PostgresCluster> InNewFolderAsync(CancellationToken cancellationToken)
    {
        var folder = Path.Combine(Path.GetTempPath(), $"signsvc-postgres-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}");
        var cluster = new PostgresCluster(FindBinaries(), folder) { Port = FreePort.Next() };
        await RunAsync("mkdir", cancellationToken, "-m", "700", folder);
        return cluster;
    }

    private static string FindBinaries() =>
        (Directory.Exists("/usr/lib/postgresql") ? Directory.GetDirectories("/usr/lib/postgresql") : [])
        .Select(folder => $"{folder}/bin")
        .Where(folder => File.Exists($"{folder}/initdb"))
        .MaxBy(folder => int.TryParse(Path.GetFileName(Path.GetDirectoryName(folder)), out var version) ? version : 0)
        ?? throw new InvalidOperationException("PostgreSQL is missing: run tests/install-tools.sh, or apt-get install postgresql.");

    private static async Task<string> RunAsync(string program, CancellationToken cancellationToken, params string[] arguments)
    {
        using var process = Begin(program, arguments);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        var text = await output;
        return process.ExitCode == 0
            ? text.TrimEnd('\n')
            : throw new InvalidOperationException($"{Path.GetFileName(program)} ended with {process.ExitCode}: {text}{await errors}");
    }

    private static Process Begin(string program, params string[] arguments)
    {
        // initdb and postgres refuse to run as root.
        var isRoot = string.Equals(Environment.UserName, "root", StringComparison.Ordinal);
        string[] command = isRoot
            ? ["setpriv", $"--reuid={User}", $"--regid={User}", "--clear-groups", program, .. arguments]
            : [program, .. arguments];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = "/",
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start.");
    }
}

public enum PostgresStop
{
    /// <summary>Connections are ended, what they had begun is undone, everything is written.</summary>
    Fast,

    /// <summary>As after a crash: the next start recovers from the log.</summary>
    Immediate,
}
