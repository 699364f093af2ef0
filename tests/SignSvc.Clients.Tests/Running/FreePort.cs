using System.Net;
using System.Net.Sockets;

namespace SignSvc.Clients.Tests.Running;

/// <summary>For programs that cannot be told to take any port.</summary>
internal static class FreePort
{
    public static int Find()
    {
        using var listener = new TcpListener(IPAddress.Loopback, port: 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
