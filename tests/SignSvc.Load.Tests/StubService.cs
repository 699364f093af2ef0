using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Tests;

/// <summary>Answers whatever it is asked as a test wants it, over HTTP/1.1 and HTTP/2.</summary>
internal sealed class StubService : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _asked;

    private StubService(WebApplication app) => _app = app;

    public Uri Http { get; private set; } = null!;

    public Uri Http2 { get; private set; } = null!;

    public int Asked => Volatile.Read(ref _asked);

    public ServiceTarget Target => ServiceTarget.At(Http, Http2, "any", allowRemote: false);

    public static async Task<StubService> StartAsync(RequestDelegate answer, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Loopback, 0);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, o => o.Protocols = HttpProtocols.Http2);
        });
        var app = builder.Build();
        var stub = new StubService(app);
        app.Run(async http =>
        {
            Interlocked.Increment(ref stub._asked);
            await answer(http);
        });
        await app.StartAsync(cancellationToken);
        var urls = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToList();
        (stub.Http, stub.Http2) = (new Uri(urls[0]), new Uri(urls[1]));
        return stub;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>It hears nobody any more.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => _app.StopAsync(cancellationToken);
}
