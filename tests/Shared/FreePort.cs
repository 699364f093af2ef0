using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace SignSvc.Tests.Shared;

/// <summary>
/// Ports of the loopback for programs that cannot be told to take any, and for those that come back to the port they had.
/// The system gives none of them to whoever asks for any port: they lie below the range from which it chooses
/// (net.ipv4.ip_local_port_range), so that nobody takes one between the moment it is found free and the one it is used.
/// </summary>
public static class FreePort
{
    private const int First = 12_000;

    private static readonly ConcurrentDictionary<int, bool> Given = new();
    private static readonly int Last = FirstOfTheSystem() - 1;

    /// <summary>Each time another one, which nobody listens on now.</summary>
    public static int Next()
    {
        // Several test processes at once begin at different places.
        for (var i = 0; i <= Last - First; i++)
        {
            var port = First + (((Environment.ProcessId * 97) + i) % (Last - First + 1));
            if (IsFree(port) && Given.TryAdd(port, true))
                return port;
        }

        throw new InvalidOperationException($"No port from {First} to {Last} is free.");
    }

    private static bool IsFree(int port)
    {
        using var probe = new TcpListener(IPAddress.Loopback, port);
        try
        {
            probe.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FirstOfTheSystem()
    {
        var range = File.ReadAllText("/proc/sys/net/ipv4/ip_local_port_range").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        var first = int.Parse(range[0], System.Globalization.CultureInfo.InvariantCulture);
        // Where the system takes all ports for itself, these are as good as any.
        return first > First + 1_000 ? first : 32_768;
    }
}
