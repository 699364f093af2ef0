using System.Net.Sockets;

namespace SignSvc.Http;

/// <summary>A Unix socket to serve on.</summary>
internal static class UnixSocket
{
    /// <summary>
    /// The endpoint of a path, or of an abstract name behind <c>@</c>. A file that a process left which was killed is
    /// removed; one that somebody serves is not.
    /// </summary>
    /// <exception cref="StartException">Another process serves it, or the path is something else than a socket.</exception>
    public static UnixDomainSocketEndPoint Prepare(string name)
    {
        if (name.StartsWith('@'))
            return new UnixDomainSocketEndPoint($"\0{name[1..]}");
        var endpoint = new UnixDomainSocketEndPoint(name);
        if (File.Exists(name))
            RemoveIfAbandoned(name, endpoint);
        return endpoint;
    }

    private static void RemoveIfAbandoned(string path, UnixDomainSocketEndPoint endpoint)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(endpoint);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && new FileInfo(path) is { Length: 0 })
        {
            File.Delete(path);
            return;
        }
        catch (SocketException e)
        {
            throw new StartException($"{path} is there already and is no socket of ours: {e.Message}.", e);
        }

        throw new StartException($"Another process serves {path}.");
    }
}
