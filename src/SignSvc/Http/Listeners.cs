using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using SignSvc.Kubernetes;

namespace SignSvc.Http;

/// <summary>
/// Every address that the process serves. Kestrel ignores <c>ASPNETCORE_URLS</c> as soon as one endpoint is configured in
/// code, and gRPC without TLS needs such a one: so they are all made here, from the same words.
/// </summary>
public sealed class Listeners
{
    public const string DefaultUrl = "http://127.0.0.1:8080";

    private readonly List<ListenOptions> _grpc = [];
    private readonly List<ListenOptions> _kubernetes = [];
    private string? _grpcIsOff;

    /// <summary>The addresses that HTTP was asked to serve, as they were written.</summary>
    public string Asked { get; private set; } = DefaultUrl;

    public bool IsServing { get; internal set; }

    /// <summary>Whether an address has the form that Kestrel takes.</summary>
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

    /// <summary>Those of the bound addresses that are HTTP's own, in the order in which they were named.</summary>
    public ICollection<string> HttpOf(ICollection<string> bound)
    {
        var others = _grpc.Concat(_kubernetes).Select(l => l.ToString()).ToHashSet(StringComparer.Ordinal);
        return bound.Where(a => !others.Contains(a)).ToList();
    }

    /// <summary>What else is served, a line each, for the terminal.</summary>
    public IEnumerable<string> DescribeOthers() =>
    [
        .. _grpc.Select(l => $"gRPC on {l}"),
        .. _grpcIsOff is null ? [] : new[] { _grpcIsOff },
        .. _kubernetes.Select(l => $"Kubernetes' external signer on {l}"),
    ];

    internal void Listen(KestrelServerOptions kestrel, IConfiguration configuration, string? urls, Settings settings)
    {
        Asked = string.IsNullOrEmpty(urls) ? DefaultUrl : urls;
        // Endpoints in Kestrel's own section are its own affair; they take the place of the addresses, as ever.
        if (!configuration.GetSection("Kestrel:Endpoints").GetChildren().Any() || !string.IsNullOrEmpty(urls))
        {
            foreach (var url in Asked.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                var address = Parse(url);
                // On one TLS port ALPN tells HTTP/1.1 from HTTP/2, and so gRPC is served there, too.
                var protocols = IsTls(address) ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http1;
                Listen(kestrel, address, listen => listen.Protocols = protocols);
            }
        }

        ListenForGrpc(kestrel, configuration, settings.Grpc.Url);
        if (settings.Kubernetes.Socket.Length > 0)
        {
            KubernetesSocket.Listen(kestrel, settings.Kubernetes, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                _kubernetes.Add(listen);
            });
        }
    }

    private void ListenForGrpc(KestrelServerOptions kestrel, IConfiguration configuration, string url)
    {
        if (url.Length == 0)
            return;
        var address = Parse(url);
        // Nobody asked for the default by name: a second service on this machine goes without rather than not at all.
        if (configuration["SignSvc:Grpc:Url"] is null && IsTaken(address))
        {
            _grpcIsOff = $"gRPC is off: {url} is in use. Name another address in SignSvc__Grpc__Url, or turn it off there by an empty one.";
            return;
        }

        // Without TLS a client cannot say which HTTP it means: HTTP/2 alone is served, and HTTP/1.1 has its own addresses.
        var protocols = IsTls(address) ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http2;
        Listen(kestrel, address, listen =>
        {
            listen.Protocols = protocols;
            _grpc.Add(listen);
        });
    }

    private static void Listen(KestrelServerOptions kestrel, BindingAddress address, Action<ListenOptions> configure)
    {
        Action<ListenOptions> settle = listen =>
        {
            configure(listen);
            if (IsTls(address))
                listen.UseHttps();
        };
        if (address.IsUnixPipe)
            kestrel.Listen(UnixSocket.Prepare(address.UnixPipePath), settle);
        else if (IPAddress.TryParse(address.Host.Trim('[', ']'), out var ip))
            kestrel.Listen(ip, address.Port, settle);
        else if (string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase))
            kestrel.ListenLocalhost(address.Port, settle);
        else
            kestrel.ListenAnyIP(address.Port, settle);
    }

    private static BindingAddress Parse(string url) => CanParse(url)
        ? BindingAddress.Parse(url)
        : throw new StartException($"'{url}' is not an address that can be served: write http://127.0.0.1:8080, https://*:8443 or http://unix:/path.");

    private static bool IsTls(BindingAddress address) => string.Equals(address.Scheme, "https", StringComparison.OrdinalIgnoreCase);

    private static bool IsTaken(BindingAddress address)
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Bind(new IPEndPoint(IPAddress.Parse(address.Host), address.Port));
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }
}

public static class ListenerSetup
{
    public static void AddListeners(this WebApplicationBuilder builder, Settings settings)
    {
        var listeners = new Listeners();
        builder.Services.AddSingleton(listeners);
        builder.WebHost.UseKestrelHttpsConfiguration();
        var urls = builder.Configuration[WebHostDefaults.ServerUrlsKey];
        builder.WebHost.ConfigureKestrel(kestrel => listeners.Listen(kestrel, builder.Configuration, urls, settings));
        // Kestrel warns that endpoints in code win over these; they are the same, and the host's own copy of them cannot be taken away.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => level > LogLevel.Warning || (level == LogLevel.Warning && listeners.IsServing));
    }

    /// <summary>Starts to serve.</summary>
    /// <exception cref="StartException">An address is in use or may not be used; the message names it.</exception>
    public static async Task StartServingAsync(this WebApplication app)
    {
        try
        {
            await app.StartAsync();
            app.Services.GetRequiredService<Listeners>().IsServing = true;
        }
        catch (Exception e) when (e is IOException or SocketException or AddressInUseException)
        {
            var asked = app.Services.GetRequiredService<Listeners>().Asked;
            throw new StartException($"{asked} cannot be served: {e.Message}\nAddresses are set by ASPNETCORE_URLS, SignSvc__Grpc__Url and SignSvc__Kubernetes__Socket.", e);
        }
    }
}
