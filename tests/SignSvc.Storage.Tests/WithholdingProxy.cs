using System.Net;
using System.Net.Sockets;

namespace SignSvc.Storage.Tests;

/// <summary>Stands between a store and the server, and loses or delays what a network does.</summary>
internal sealed class WithholdingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _gate = new();
    private readonly List<Route> _routes = [];
    private readonly int _server;
    private readonly Task _accepting;

    public WithholdingProxy(int serverPort)
    {
        _server = serverPort;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>From now on the server hears nothing more on the connections that there are; new ones are not affected.</summary>
    public void Withhold()
    {
        foreach (var route in Routes())
            route.Withheld = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>What was withheld reaches the server after all.</summary>
    public void Release()
    {
        foreach (var route in Routes())
            route.Withheld?.TrySetResult();
    }

    /// <summary>The clients lose their connections; the server hears nothing of it.</summary>
    public void CutClients()
    {
        foreach (var route in Routes())
            route.Client.Close(0);
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        _listener.Stop();
        Release();
        await _accepting;
        foreach (var route in Routes())
        {
            route.Client.Dispose();
            route.Server.Dispose();
        }

        _ending.Dispose();
    }

    private Route[] Routes()
    {
        lock (_gate)
            return [.. _routes];
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_ending.Token);
                var server = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                await server.ConnectAsync(IPAddress.Loopback, _server, _ending.Token);
                client.NoDelay = true;
                var route = new Route(client, server);
                lock (_gate)
                    _routes.Add(route);
                _ = PumpAsync(route, client, server, isToServer: true);
                _ = PumpAsync(route, server, client, isToServer: false);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The proxy ends.
        }
    }

    private static async Task PumpAsync(Route route, Socket from, Socket to, bool isToServer)
    {
        var buffer = new byte[64 * 1024];
        try
        {
            while (await from.ReceiveAsync(buffer.AsMemory()) is var read and > 0)
            {
                if (isToServer && route.Withheld is { } withheld)
                    await withheld.Task;
                for (var sent = 0; sent < read;)
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent));
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // One side is gone; the other is told only by what it sends.
        }
    }

    private sealed class Route(Socket client, Socket server)
    {
        private volatile TaskCompletionSource? _withheld;

        public Socket Client => client;

        public Socket Server => server;

        public TaskCompletionSource? Withheld
        {
            get => _withheld;
            set => _withheld = value;
        }
    }
}
