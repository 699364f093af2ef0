using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using SignSvc.Grpc.Health;

[assembly: CaptureConsole]

namespace SignSvc.Grpc.Tests;

/// <summary>The test service on Kestrel: h2c on one port of the loopback, HTTP/1.1 on another.</summary>
public sealed class GrpcServer : IAsyncLifetime
{
    private WebApplication? _app;

    public TestService Service { get; } = new();

    public TestTime Time { get; } = new();

    /// <summary>What Kestrel asks of a request body; its own default unless a test is about it.</summary>
    public MinDataRate? RequestRate { get; init; }

    public GrpcHealth Health => _app!.Services.GetRequiredService<GrpcHealth>();

    public Uri Http2 { get; private set; } = null!;

    public Uri Http1 { get; private set; } = null!;

    /// <summary>Where gRPC's libraries find it.</summary>
    public string Target => Http2.Authority;

    public string UnixSocket { get; } = Path.Combine(Path.GetTempPath(), $"grpc-{RandomNumberGenerator.GetHexString(12)}.sock");

    public string AbstractSocket { get; } = $"grpc-{RandomNumberGenerator.GetHexString(12)}";

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MinRequestBodyDataRate = RequestRate ?? kestrel.Limits.MinRequestBodyDataRate;
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http1);
            kestrel.ListenUnixSocket(UnixSocket, listen => listen.Protocols = HttpProtocols.Http2);
            kestrel.Listen(new UnixDomainSocketEndPoint("\0" + AbstractSocket), listen => listen.Protocols = HttpProtocols.Http2);
        });
        builder.Services.AddSingleton<TimeProvider>(Time);
        builder.Services.AddGrpc(options => options.Faults = static (e, _) =>
            e is TimeZoneNotFoundException ? new GrpcException(StatusCode.FailedPrecondition, "Mapped by the host.") : null);
        _app = builder.Build();
        _app.UseRouting();
        _app.UseGrpcUnimplemented();
        Service.Map(_app);
        _app.MapGrpcHealth();
        _app.MapGrpcReflection();
        _app.MapGet("/plain", () => Results.Text("plain"));
        await _app.StartAsync();
        var urls = _app.Urls.Where(u => !u.Contains("unix", StringComparison.Ordinal)).Select(u => new Uri(u)).ToArray();
        (Http2, Http1) = (urls[0], urls[1]);
    }

    public Task StopAsync() => _app!.StopAsync();

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
            await _app.DisposeAsync();
    }

    /// <summary>Waits for what comes after an answer has left: the server clears away when the caller may have it already.</summary>
    public static async Task UntilAsync(Func<bool> isSo, string what)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (!isSo())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(from) < TimeSpan.FromSeconds(30), what);
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}

/// <summary>The system's clock, whose timers also run out when the test says so.</summary>
public sealed class TestTime : TimeProvider
{
    private TimeSpan _ahead;
    private readonly Lock _lock = new();
    private readonly List<TestTimer> _timers = [];

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + _ahead;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        lock (_lock)
        {
            // Inside the lock: a timer that runs out at once waits to be listed before it is taken off the list.
            var timer = new TestTimer(this, callback, state, dueTime);
            _timers.Add(timer);
            return timer;
        }
    }

    /// <summary>Timers that were started and neither ran out nor were disposed of.</summary>
    public int Timers
    {
        get
        {
            lock (_lock)
                return _timers.Count;
        }
    }

    public void Advance(TimeSpan by)
    {
        TestTimer[] due;
        lock (_lock)
        {
            _ahead += by;
            due = _timers.Where(t => t.Due <= GetUtcNow()).ToArray();
        }

        foreach (var timer in due)
            timer.Fire();
    }

    private void Remove(TestTimer timer)
    {
        lock (_lock)
            _timers.Remove(timer);
    }

    private sealed class TestTimer : ITimer
    {
        private readonly TestTime _time;
        private readonly TimerCallback _callback;
        private readonly object? _state;
        private readonly ITimer _real;
        private int _fired;

        public TestTimer(TestTime time, TimerCallback callback, object? state, TimeSpan dueTime)
        {
            (_time, _callback, _state) = (time, callback, state);
            Due = time.GetUtcNow() + dueTime;
            _real = System.CreateTimer(static t => ((TestTimer)t!).Fire(), this, dueTime, Timeout.InfiniteTimeSpan);
        }

        public DateTimeOffset Due { get; }

        public void Fire()
        {
            if (Interlocked.Exchange(ref _fired, 1) == 0)
            {
                _time.Remove(this);
                _callback(_state);
            }
        }

        public bool Change(TimeSpan dueTime, TimeSpan period) => _real.Change(dueTime, period);

        public void Dispose()
        {
            _time.Remove(this);
            _real.Dispose();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
