using System.Net;
using System.Net.Sockets;

namespace SignSvc.Operations.Tests;

/// <summary>Callers from elsewhere: all of 127.0.0.0/8 is this machine.</summary>
internal static class Addresses
{
    public static HttpClient From(string address, ServiceProcess service, string token)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (context, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                socket.Bind(new IPEndPoint(IPAddress.Parse(address), 0));
                await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            },
        };
        var client = new HttpClient(handler) { BaseAddress = service.Url };
        client.DefaultRequestHeaders.Authorization = new("Bearer", token);
        return client;
    }
}
