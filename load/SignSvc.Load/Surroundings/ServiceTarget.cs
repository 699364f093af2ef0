using System.Diagnostics;
using System.Text.Json;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;

namespace SignSvc.Load.Surroundings;

/// <summary>The service that is driven: one of our own, or one that runs somewhere.</summary>
internal sealed class ServiceTarget : IAsyncDisposable
{
    /// <summary>Of a call that has to succeed: the longest is an RSA key at a backend.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Of the first administrator, in the data folder.</summary>
    private const string Credential = "bootstrap.credential";

    private readonly ChildProcess? _process;
    private readonly string? _folder;

    private ServiceTarget(Uri http, Uri? grpc, string token, ChildProcess? process, string? folder)
    {
        (Http, Grpc, _process, _folder) = (http, grpc, process, folder);
        Admin = new ServiceCalls(token);
    }

    public Uri Http { get; }

    /// <summary>HTTP/2 without TLS; null: not known.</summary>
    public Uri? Grpc { get; }

    /// <summary>Calls as the first administrator, or as whoever's token was given.</summary>
    public ServiceCalls Admin { get; }

    /// <summary>From the launch of our own process until it had answered a signature.</summary>
    public TimeSpan StartToFirstSignature { get; private set; }

    /// <summary>Null where the service is not ours.</summary>
    public int? ProcessId => _process?.Id;

    /// <summary>Null where the service is not ours, or has ended.</summary>
    public ProcessUsage? Usage => _process is null ? null : ProcessUsage.Of(_process.Id);

    /// <summary>The exit code of our own service, which ended by itself; null: it runs, or is not ours.</summary>
    public int? EndedWith => _process?.EndedWith;

    /// <summary>Of SQLite; none where the service is not ours, or has another database.</summary>
    public IEnumerable<string> DatabaseFiles => _folder is null ? [] : Directory.EnumerateFiles(_folder, "signsvc.db*");

    public long? DatabaseBytes => _folder is null ? null : DatabaseFiles.Sum(f => new FileInfo(f) is { Exists: true } file ? file.Length : 0);

    /// <summary>Somebody else's service.</summary>
    /// <exception cref="UsageException">It is not on this machine, and nobody said that this is meant: load on a stranger is an attack.</exception>
    public static ServiceTarget At(Uri http, Uri? grpc, string token, bool allowRemote)
    {
        foreach (var url in new[] { http, grpc })
        {
            if (url is not null && !allowRemote && !url.IsLoopback)
                throw new UsageException($"{url} is not a loopback address. If you may load it, say --allow-remote.");
        }

        return new ServiceTarget(http, grpc, token, process: null, folder: null);
    }

    /// <summary>A service of our own, on loopback, with a folder of its own that goes with it.</summary>
    /// <param name="settings">Over the defaults; <c>SignSvc__…</c>.</param>
    /// <param name="beside">A node of ours on the same database: this one has its root key and administrator.</param>
    public static async Task<ServiceTarget> StartAsync(
        IReadOnlyDictionary<string, string> settings, CancellationToken cancellationToken, ServiceTarget? beside = null)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-load-").FullName;
        foreach (var secret in (ReadOnlySpan<string>)(beside is null ? [] : ["root.key", Credential]))
            File.Copy(Path.Combine(beside!._folder!, secret), Path.Combine(folder, secret));
        Uri? http = null;
        Uri? grpc = null;
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["SIGNSVC_DATA"] = folder,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["SignSvc__Grpc__Url"] = "http://127.0.0.1:0",
            ["SignSvc__PrintBootstrapCredential"] = "false",
        };
        foreach (var (name, value) in settings)
            environment[name] = value;
        var started = Stopwatch.GetTimestamp();
        ChildProcess? process = null;
        try
        {
            process = await ChildProcess.StartAsync("dotnet", [Checkout.Built("src/SignSvc", "SignSvc")], environment, IsReady, cancellationToken);
            var target = new ServiceTarget(http!, grpc, await File.ReadAllTextAsync(Path.Combine(folder, Credential), cancellationToken), process, folder);
            await target.MustAsync(target.Admin.Sign("release"), cancellationToken);
            target.StartToFirstSignature = Stopwatch.GetElapsedTime(started);
            return target;
        }
        catch
        {
            if (process is not null)
                await process.DisposeAsync();
            Directory.Delete(folder, recursive: true);
            throw;
        }

        // "SignSvc serves URL; …", then a line for each other address.
        bool IsReady(string line)
        {
            http ??= UrlAfter("SignSvc serves ", line);
            grpc ??= UrlAfter("gRPC on ", line);
            return http is not null && grpc is not null;
        }
    }

    public ITransport Open(Protocol protocol) => protocol switch
    {
        Protocol.Http1 => new Http1(Http),
        Protocol.Http2 => new Http2(Grpc ?? throw NoGrpc()),
        _ => new Calls.Grpc(Grpc ?? throw NoGrpc()),
    };

    /// <inheritdoc cref="AcceptedCalls.MustAsync"/>
    /// <exception cref="TargetLostException">There was no answer.</exception>
    public async Task<Answer> MustAsync(Call call, CancellationToken cancellationToken)
    {
        await using var transport = new Http1(Http);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            return await transport.MustAsync(call, patience.Token);
        }
        catch (Exception e) when (NoAnswer.Is(e))
        {
            throw new TargetLostException($"{Http} does not answer: {e.Message}", e);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TargetLostException($"{Http} does not answer within {Patience.TotalSeconds:0} s.", e);
        }
    }

    /// <summary>Calls as somebody new.</summary>
    public async Task<ServiceCalls> WithRoleAsync(string name, string role, CancellationToken cancellationToken)
    {
        using var made = JsonDocument.Parse((await MustAsync(Admin.CreateCredential(name, role), cancellationToken)).Body);
        return new ServiceCalls(made.RootElement.GetProperty("token").GetString()!);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        if (_folder is not null)
            Directory.Delete(_folder, recursive: true);
    }

    private static Uri? UrlAfter(string words, string line) =>
        line.StartsWith(words, StringComparison.Ordinal) ? new Uri(line[words.Length..].Split(' ', ';')[0]) : null;

    private static UsageException NoGrpc() => new("Name the service's gRPC address by --grpc-url.");
}
