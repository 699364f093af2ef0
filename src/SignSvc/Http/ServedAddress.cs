using System.Net;
using System.Net.Sockets;

namespace SignSvc.Http;

/// <summary>An address that is to be served, the setting that names it, and what stands in its way.</summary>
internal sealed record ServedAddress(string Setting, string Url, BindingAddress Binding)
{
    public bool IsTls => string.Equals(Binding.Scheme, "https", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a URL has the form that Kestrel takes.</summary>
    public static bool CanParse(string url)
    {
        try
        {
            var address = BindingAddress.Parse(url);
            // Kestrel takes 127.0.0.1:8o80 for the name of a host, and for a host that it does not know it serves every interface.
            var isMisspelt = !address.IsUnixPipe && !address.Host.StartsWith('[') && address.Host.Contains(':', StringComparison.Ordinal);
            return !isMisspelt && address is { Scheme: "http" or "https", PathBase.Length: 0, IsNamedPipe: false };
        }
        catch (FormatException)
        {
            return false;
        }
    }

    /// <exception cref="StartException">It cannot be parsed; <see cref="ServedAddresses.Faults"/> says so before.</exception>
    public static ServedAddress Parse(string setting, string url) => CanParse(url)
        ? new ServedAddress(setting, url, BindingAddress.Parse(url))
        : throw new StartException($"{setting}: {NotOne(url)}");

    public static string NotOne(string url) =>
        $"'{url}' is not an address that can be served: write http://127.0.0.1:8080, https://*:8443 or http://unix:/path.";

    /// <summary>Whether two addresses cannot be served at once.</summary>
    public bool Overlaps(ServedAddress other)
    {
        if (Binding.IsUnixPipe || other.Binding.IsUnixPipe)
            return Binding.IsUnixPipe && other.Binding.IsUnixPipe && string.Equals(Binding.UnixPipePath, other.Binding.UnixPipePath, StringComparison.Ordinal);
        return Binding.Port != 0 && Binding.Port == other.Binding.Port
            && Hosts().Any(mine => other.Hosts().Any(its => mine.Equals(its) || Covers(mine, its) || Covers(its, mine)));
    }

    /// <returns>Why it cannot be served now, and what to do; null where it can.</returns>
    public string? Obstacle()
    {
        if (Binding.IsUnixPipe)
            return UnixSocket.Obstacle(Binding.UnixPipePath) is { } obstacle ? $"{Setting}: {obstacle}" : null;
        if (Binding.Port == 0)
            return null;
        var errors = Hosts().Select(h => ErrorOfBinding(new IPEndPoint(h, Binding.Port))).ToArray();
        // Of localhost's two addresses one may be missing, but none may be another's.
        return errors.Contains(SocketError.AddressAlreadyInUse) ? InWords(SocketError.AddressAlreadyInUse)
            : errors.Contains(SocketError.Success) ? null
            : InWords(errors[0]);
    }

    private string InWords(SocketError error) => $"{Setting}: {Url} " + error switch
    {
        SocketError.AddressAlreadyInUse =>
            $"is in use. Stop what serves it ('ss -ltnp sport = :{Binding.Port}' shows the process), or name another address in {Setting}.",
        SocketError.AccessDenied =>
            $"may not be served by this user. Name a port above 1023 in {Setting}, or grant CAP_NET_BIND_SERVICE.",
        SocketError.AddressNotAvailable => $"is no address of this machine ('ip address' shows them). Name another one in {Setting}.",
        _ => $"cannot be served: {new SocketException((int)error).Message}. Name another address in {Setting}.",
    };

    /// <summary>As Kestrel understands a host: an address, localhost, and every interface for whatever else there is.</summary>
    private IPAddress[] Hosts() =>
        IPAddress.TryParse(Binding.Host.Trim('[', ']'), out var ip) ? [ip]
        : string.Equals(Binding.Host, "localhost", StringComparison.OrdinalIgnoreCase) ? [IPAddress.Loopback, IPAddress.IPv6Loopback]
        : Socket.OSSupportsIPv6 ? [IPAddress.IPv6Any]
        : [IPAddress.Any];

    /// <summary>[::] is served for IPv4, too.</summary>
    private static bool Covers(IPAddress all, IPAddress one) =>
        all.Equals(IPAddress.IPv6Any) || (all.Equals(IPAddress.Any) && one.AddressFamily == AddressFamily.InterNetwork);

    private static SocketError ErrorOfBinding(IPEndPoint place)
    {
        try
        {
            using var probe = new Socket(place.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (place.Address.Equals(IPAddress.IPv6Any))
                probe.DualMode = true;
            probe.Bind(place);
            return SocketError.Success;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode;
        }
    }
}
