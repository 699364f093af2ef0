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
        if (Obstacle(name) is { } obstacle)
            throw new StartException(obstacle);
        File.Delete(name);
        return new UnixDomainSocketEndPoint(name);
    }

    /// <returns>Why a path cannot be served, and what to do; null where it can. Nothing is changed.</returns>
    public static string? Obstacle(string path)
    {
        if (!Directory.Exists(Path.GetDirectoryName(path)))
            return $"{path} cannot be served: its folder is not there. Make it first.";
        if (!Path.Exists(path))
            return null;
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return $"Another process serves {path}. Stop that one ('ss -lxp src {path}' shows it), or name another path.";
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && new FileInfo(path) is { Exists: true, Length: 0 })
        {
            // What a process left that was killed.
            return null;
        }
        catch (SocketException e)
        {
            return $"{path} is there already and is no socket of ours: {e.Message}. Name another path, or take that file away.";
        }
    }
}
