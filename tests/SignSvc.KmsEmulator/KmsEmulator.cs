using System.Net;
using SignSvc.Emulation.Control;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Keys;
using SignSvc.Emulation.Quotas;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation;

/// <summary>
/// A running stand-in for AWS KMS. Disposing it cuts open connections, as the end of a process would.
/// </summary>
public sealed class KmsEmulator : IAsyncDisposable
{
    /// <summary>Well above the largest request of the API, a policy of 128 KB.</summary>
    private const int MaxRequestBody = 1024 * 1024;

    private readonly WebApplication _app;
    private readonly StateFile? _state;
    private readonly Lock _drawing = new();
    private readonly Random _random;

    private KmsEmulator(KmsEmulatorOptions options)
    {
        Options = options;
        World = new World(options.World);
        Quotas = new RequestQuotas(options.RequestClock);
        Faults = new FaultScript(options.Seed);
        _random = new Random(options.Seed);
        if (options.StateFile is { } path)
        {
            _state = new StateFile(path);
            _state.LoadInto(World);
        }

        var sts = new Sts(options.RequestClock);
        var signatures = new SigV4(options.AccessKeys, sts, options.RequestClock);
        sts.Signatures = signatures;
        var service = new TrentService(this, signatures, sts);

        // Empty: settings and variables meant for the service under test must not reach its stand-in.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRouting();
        if (options.Log)
            builder.Logging.AddSimpleConsole().AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
        builder.WebHost.UseKestrelCore();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxRequestBody;
            kestrel.Listen(AddressOf(options.Url), options.Url.Port);
        });
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        _app = builder.Build();
        if (options.Control)
            _app.MapControl(this);
        _app.MapFallback("{**path}", service.InvokeAsync);
    }

    /// <summary>
    /// The endpoint for clients (<c>ServiceURL</c>, <c>--endpoint-url</c>), with the port it really has.
    /// </summary>
    public Uri Uri => new(_app.Urls.Single());

    public CallCounters Calls { get; } = new();

    public FaultScript Faults { get; }

    public RequestQuotas Quotas { get; }

    public Latency Latency { get; set; } = Latency.None;

    /// <summary>Delays and resource limits; they may be changed while it runs.</summary>
    public WorldSettings Settings => Options.World;

    public KmsEmulatorOptions Options { get; }

    internal World World { get; }

    public static async Task<KmsEmulator> StartAsync(
        KmsEmulatorOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        var emulator = new KmsEmulator(options ?? new KmsEmulatorOptions());
        await emulator._app.StartAsync(cancellationToken);
        return emulator;
    }

    public Task WaitForShutdownAsync(CancellationToken cancellationToken) =>
        _app.WaitForShutdownAsync(cancellationToken);

    public async ValueTask DisposeAsync()
    {
        Faults.Clear();
        await _app.StopAsync();
        await _app.DisposeAsync();
        _state?.Dispose();
    }

    internal Task SaveAsync() => _state?.SaveAsync(World) ?? Task.CompletedTask;

    internal TimeSpan DrawLatency()
    {
        lock (_drawing)
            return Latency.Draw(_random);
    }

    private static IPAddress AddressOf(Uri url) =>
        url.Host is "localhost" ? IPAddress.Loopback : IPAddress.Parse(url.Host);
}
