using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace SignSvc.Cluster.Tests;

/// <summary>One node's way to the database. It can be cut, as a network is, and it can lose the server's notifications.</summary>
internal sealed class DatabaseProxy : IAsyncDisposable
{
    /// <summary>NotificationResponse (PostgreSQL documentation, 55.7).</summary>
    private const byte Notification = (byte)'A';

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _ending = new();
    private readonly Lock _gate = new();
    private readonly List<Socket> _sockets = [];
    private readonly int _server;
    private readonly Task _accepting;
    private volatile bool _isCut;
    private volatile bool _losesNotifications;
    private long _lost;

    public DatabaseProxy(int serverPort)
    {
        _server = serverPort;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Notifications that did not arrive.</summary>
    public long Lost => Interlocked.Read(ref _lost);

    public void LoseNotifications() => _losesNotifications = true;

    /// <summary>Nothing passes any more, and nobody is told: connections stay open, new ones are accepted and lead nowhere.</summary>
    public void Cut() => _isCut = true;

    /// <summary>What was under way while it was cut is lost; new connections pass.</summary>
    public void Heal()
    {
        lock (_gate)
        {
            foreach (var socket in _sockets)
                socket.Dispose();
            _sockets.Clear();
        }

        _isCut = false;
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        _listener.Stop();
        Heal();
        await _accepting;
        _ending.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var client = await _listener.AcceptSocketAsync(_ending.Token);
                Keep(client);
                if (!_isCut)
                    await ConnectAsync(client);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The proxy ends.
        }
    }

    private async Task ConnectAsync(Socket client)
    {
        var server = new Socket(SocketType.Stream, ProtocolType.Tcp);
        Keep(server);
        try
        {
            await server.ConnectAsync(IPAddress.Loopback, _server, _ending.Token);
        }
        catch (SocketException)
        {
            // The server is down: so is the connection.
            client.Dispose();
            return;
        }

        server.NoDelay = client.NoDelay = true;
        _ = PumpAsync(client, server, CopyAsync);
        _ = PumpAsync(server, client, CopyMessagesAsync);
    }

    private void Keep(Socket socket)
    {
        lock (_gate)
            _sockets.Add(socket);
    }

    private static async Task PumpAsync(Socket from, Socket to, Func<NetworkStream, NetworkStream, Task> copy)
    {
        try
        {
            await using var source = new NetworkStream(from);
            await using var target = new NetworkStream(to);
            await copy(source, target);
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // A side is gone.
        }
        finally
        {
            from.Dispose();
            to.Dispose();
        }
    }

    private async Task CopyAsync(NetworkStream source, NetworkStream target)
    {
        var buffer = new byte[64 * 1024];
        while (await source.ReadAsync(buffer) is var read and > 0)
        {
            if (!_isCut)
                await target.WriteAsync(buffer.AsMemory(0, read));
        }
    }

    /// <summary>Message by message: a type, a length that counts itself, and so many bytes. (The tests ask for no TLS, so no other answers come.)</summary>
    private async Task CopyMessagesAsync(NetworkStream source, NetworkStream target)
    {
        var head = new byte[5];
        while (await source.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false) == head.Length)
        {
            var message = new byte[1 + BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(1))];
            head.CopyTo(message, 0);
            await source.ReadExactlyAsync(message.AsMemory(head.Length));
            if (_losesNotifications && head[0] == Notification)
                Interlocked.Increment(ref _lost);
            else if (!_isCut)
                await target.WriteAsync(message);
        }
    }
}
