using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;

namespace SignSvc.Tests.Shared;

/// <summary>How a service is started.</summary>
public sealed record ServiceOptions
{
    /// <summary>The data folder; null: a new one in a temporary folder, removed in the end.</summary>
    public string? Data { get; init; }

    /// <summary>Set over the test's own environment, of which nothing of SignSvc or ASP.NET Core is passed on.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public IReadOnlyList<string> Arguments { get; init; } = [];

    /// <summary>Another build of the service; null: the one that the tests were built with.</summary>
    public string? Program { get; init; }
}

/// <summary>What a service left that ended by itself.</summary>
public sealed record EndedProcess(int ExitCode, string Output, string Error);

/// <summary>
/// The built service as a process of its own, on a port that the system chose and a data folder of its own. It can be
/// killed and started again on the same folder; whatever happens, disposing it leaves no process and no folder.
/// </summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    /// <summary>Far above what a start takes, so that it is reached only where something hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>
    /// The longest that the settings allow: a disk that is busy with others is no fault of the service. A test of what a
    /// hanging disk does sets the bound that it is about.
    /// </summary>
    private const string CommitTimeoutMilliseconds = "10000";

    private static readonly SocketsHttpHandler Handler = new()
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        MaxConnectionsPerServer = 1024,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(20),
        // A test that asks before it sends wants the answer first, however busy the machine is.
        Expect100ContinueTimeout = Patience,
    };

    /// <summary>Of the running test, so that no call has to carry it.</summary>
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private readonly ServiceOptions _options;
    private readonly string? _temporary;
    private readonly List<HttpClient> _clients = [];
    private Running _running = null!;

    private ServiceProcess(ServiceOptions options)
    {
        _options = options;
        if (options.Data is null)
            _temporary = Directory.CreateTempSubdirectory("signsvc-test-").FullName;
        Data = options.Data ?? Path.Combine(_temporary!, "data");
    }

    public string Data { get; }

    /// <summary>The address of the process that runs now; another one after a restart.</summary>
    public Uri Url => _running.Url;

    public int ProcessId => _running.Process.Id;

    /// <summary>Calls the process that runs now as the first administrator.</summary>
    public HttpClient Client { get; private set; } = null!;

    public string AdminToken => File.ReadAllText(Path.Combine(Data, "bootstrap.credential"));

    /// <summary>Of all processes so far.</summary>
    public string Output => _running.Output;

    public string Error => _running.Error;

    public bool HasExited => _running.Process.HasExited;

    /// <exception cref="InvalidOperationException">It ended instead of serving; the message holds what it wrote.</exception>
    public static async Task<ServiceProcess> StartAsync(ServiceOptions? options = null)
    {
        var service = new ServiceProcess(options ?? new ServiceOptions());
        try
        {
            await service.LaunchAsync();
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    /// <summary>For starts that must fail. One that serves instead is ended, and is a fault.</summary>
    public static async Task<EndedProcess> RefuseToStartAsync(ServiceOptions options)
    {
        var running = Running.Launch(options, options.Data ?? throw new ArgumentException("Name the data folder.", nameof(options)));
        try
        {
            if (await running.ServesAsync())
                throw new InvalidOperationException($"The service started although it must not:\n{running.Output}");
            return new EndedProcess(running.Process.ExitCode, running.Output, running.Error);
        }
        finally
        {
            await running.EndAsync();
        }
    }

    /// <summary>Starts a process and does not wait for anything. The caller ends it by <see cref="KillAsync"/>.</summary>
    public static ServiceProcess Launch(ServiceOptions options)
    {
        var service = new ServiceProcess(options);
        service._running = Running.Launch(options, service.Data);
        return service;
    }

    /// <summary>A client of the process that runs now, with another credential or with none.</summary>
    public HttpClient As(string? token)
    {
        var client = new HttpClient(Handler, disposeHandler: false) { BaseAddress = Url, Timeout = Patience };
        if (token is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        lock (_clients)
            _clients.Add(client);
        return client;
    }

    /// <summary>kill -9.</summary>
    public Task KillAsync() => _running.EndAsync();

    /// <summary>Starts again on the same folder; what runs now is killed before.</summary>
    public async Task RestartAsync()
    {
        await KillAsync();
        await LaunchAsync();
    }

    /// <summary>SIGTERM, as an orchestrator stops it.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync()
    {
        using (var kill = Process.Start("kill", ["-TERM", $"{ProcessId}"]))
            await kill.WaitForExitAsync(Cancellation);
        await _running.Process.WaitForExitAsync(Cancellation).WaitAsync(Patience, TimeProvider.System, Cancellation);
        return _running.Process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (_running is not null)
            await _running.EndAsync();
        lock (_clients)
            _clients.ForEach(c => c.Dispose());
        if (_temporary is not null)
            Directory.Delete(_temporary, recursive: true);
    }

    private async Task LaunchAsync()
    {
        _running = Running.Launch(_options, Data);
        if (!await _running.ServesAsync())
            throw new InvalidOperationException($"The service did not start ({_running.Process.ExitCode}):\n{_running.Error}\n{_running.Output}");
        Client = As(AdminToken);
    }

    /// <summary>One process and what it wrote.</summary>
    private sealed class Running
    {
        private const string Greeting = "SignSvc serves ";

        private readonly StringBuilder _output = new();
        private readonly StringBuilder _error = new();
        private readonly TaskCompletionSource<Uri> _url = new(TaskCreationOptions.RunContinuationsAsynchronously);

        private Running(Process process)
        {
            Process = process;
            process.OutputDataReceived += (_, line) => Read(line.Data);
            process.ErrorDataReceived += (_, line) => Keep(_error, line.Data);
        }

        public Process Process { get; }

        public Uri Url => _url.Task.IsCompletedSuccessfully
            ? _url.Task.GetAwaiter().GetResult()
            : throw new InvalidOperationException("The service does not serve yet.");

        public string Output => Text(_output);

        public string Error => Text(_error);

        public static Running Launch(ServiceOptions options, string data)
        {
            var start = new ProcessStartInfo("dotnet", [options.Program ?? ServiceDll(), .. options.Arguments])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                RedirectStandardInput = true,
            };
            foreach (var name in start.Environment.Keys.Where(IsOfTheService).ToArray())
                start.Environment.Remove(name);
            start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
            start.Environment["SignSvc__Grpc__Url"] = "http://127.0.0.1:0";
            start.Environment["SignSvc__Audit__CommitTimeoutMilliseconds"] = CommitTimeoutMilliseconds;
            start.Environment["SIGNSVC_DATA"] = data;
            foreach (var (name, value) in options.Environment)
                start.Environment[name] = value;

            var running = new Running(new Process { StartInfo = start });
            running.Process.Start();
            running.Process.BeginOutputReadLine();
            running.Process.BeginErrorReadLine();
            return running;
        }

        /// <returns>False where it ended before it served.</returns>
        public async Task<bool> ServesAsync()
        {
            var exit = Process.WaitForExitAsync(Cancellation);
            await Task.WhenAny(_url.Task, exit).WaitAsync(Patience, TimeProvider.System, Cancellation);
            return _url.Task.IsCompletedSuccessfully;
        }

        public async Task EndAsync()
        {
            if (!Process.HasExited)
                Process.Kill();
            await Process.WaitForExitAsync();
        }

        private static bool IsOfTheService(string name) =>
            name.StartsWith("SIGNSVC", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("ASPNETCORE_", StringComparison.OrdinalIgnoreCase)
            || name is "URLS";

        /// <summary>Test folder and service have the same place under the root and the same configuration.</summary>
        private static string ServiceDll()
        {
            var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
            var root = own;
            while (root is not null && !File.Exists(Path.Combine(root.FullName, "SignSvc.sln")))
                root = root.Parent;
            var dll = Path.Combine(root?.FullName ?? "", "src", "SignSvc", "bin", own.Parent!.Name, own.Name, "SignSvc.dll");
            return File.Exists(dll) ? dll : throw new FileNotFoundException($"The service is not built: dotnet build src/SignSvc -c {own.Parent.Name}", dll);
        }

        private void Read(string? line)
        {
            Keep(_output, line);
            if (line?.StartsWith(Greeting, StringComparison.Ordinal) == true)
                _url.TrySetResult(new Uri(line[Greeting.Length..].Split(' ', ';')[0]));
        }

        private static void Keep(StringBuilder text, string? line)
        {
            lock (text)
                text.AppendLine(line);
        }

        private static string Text(StringBuilder text)
        {
            lock (text)
                return text.ToString();
        }
    }
}
