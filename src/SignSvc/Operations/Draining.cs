using Microsoft.Extensions.Options;
using Microsoft.Net.Http.Headers;

namespace SignSvc.Operations;

/// <summary>
/// Between SIGTERM and the end: this node says that it is not ready, so that balancers look elsewhere, and ends each
/// HTTP/1.1 connection after its answer, so that no client sends on one that is about to close. HTTP/2 has GOAWAY for that.
/// </summary>
public sealed class Draining(ShutdownSettings configured, IOptions<HostOptions> host, TimeProvider time) : IHostedLifecycleService, ITakesSettings
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Looks in a row, a second in all, without a request between them mean that nobody asks any more: a client on a busy machine
    /// may take its time. A machine that stands still makes them late; a clock would call it quiet.
    /// </summary>
    private const int QuietLooks = 20;

    private volatile ShutdownSettings _settings = configured;
    private int _requests;
    private volatile bool _hasBegun;

    public bool HasBegun => _hasBegun;

    /// <summary>Before every request; while the service lives it costs one comparison.</summary>
    public void Note(HttpContext http)
    {
        if (!_hasBegun)
            return;
        Interlocked.Increment(ref _requests);
        if (HttpProtocol.IsHttp11(http.Request.Protocol))
            http.Response.Headers[HeaderNames.Connection] = "close";
    }

    /// <summary>The host asks for its bound when it stops.</summary>
    public Action Prepare(Settings settings) => () =>
    {
        _settings = settings.Shutdown;
        host.Value.ShutdownTimeout = BoundOf(settings.Shutdown);
    };

    internal static TimeSpan BoundOf(ShutdownSettings settings) => TimeSpan.FromSeconds(settings.DrainSeconds + settings.GraceSeconds);

    /// <summary>Before Kestrel stops to listen.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _hasBegun = true;
        var began = time.GetTimestamp();
        for (var quiet = 0; quiet < QuietLooks && time.GetElapsedTime(began).TotalSeconds < _settings.DrainSeconds;)
        {
            await Task.Delay(BetweenLooks, time, cancellationToken);
            quiet = Interlocked.Exchange(ref _requests, 0) == 0 ? quiet + 1 : 0;
        }
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

public static class DrainingSetup
{
    public static void AddShutdown(this WebApplicationBuilder builder, ShutdownSettings settings)
    {
        builder.Services.AddSingleton(provider => new Draining(settings, provider.GetRequiredService<IOptions<HostOptions>>(), provider.GetRequiredService<TimeProvider>()));
        builder.Services.AddHostedService(provider => provider.GetRequiredService<Draining>());
        builder.Services.AddSingleton<ITakesSettings>(provider => provider.GetRequiredService<Draining>());
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = Draining.BoundOf(settings));
    }

    public static void UseDraining(this WebApplication app)
    {
        var draining = app.Services.GetRequiredService<Draining>();
        app.Use(next => http =>
        {
            draining.Note(http);
            return draining.HasBegun && http.Request.Path.Equals("/healthz/ready", StringComparison.Ordinal)
                ? TypedResults.Json(new Health("This node is shutting down."), statusCode: StatusCodes.Status503ServiceUnavailable).ExecuteAsync(http)
                : next(http);
        });
    }
}
