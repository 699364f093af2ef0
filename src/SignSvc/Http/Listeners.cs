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

    public bool IsServing { get; internal set; }

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

    internal void Listen(KestrelServerOptions kestrel, IConfiguration configuration, Settings settings)
    {
        // Endpoints in Kestrel's own section are its own affair.
        var http = ServedAddresses.HttpUrls(configuration).Select(url => ServedAddress.Parse(ServedAddresses.HttpVariable, url)).ToArray();
        foreach (var address in http)
        {
            // On one TLS port ALPN tells HTTP/1.1 from HTTP/2, and so gRPC is served there, too.
            var protocols = address.IsTls ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http1;
            Listen(kestrel, address, listen => listen.Protocols = protocols);
        }

        if (settings.Grpc.Url.Length > 0)
            ListenForGrpc(kestrel, configuration, ServedAddress.Parse(ServedAddresses.GrpcVariable, settings.Grpc.Url), http);
        if (settings.Kubernetes.Socket.Length > 0)
        {
            KubernetesSocket.Listen(kestrel, settings.Kubernetes, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                _kubernetes.Add(listen);
            });
        }
    }

    private void ListenForGrpc(KestrelServerOptions kestrel, IConfiguration configuration, ServedAddress address, ServedAddress[] http)
    {
        // Nobody asked for the default by name: a second service on this machine goes without rather than not at all.
        if (ServedAddresses.IsGrpcDefault(configuration) && (http.Any(address.Overlaps) || address.Obstacle() is not null))
        {
            _grpcIsOff = $"gRPC is off: {address.Url} is in use. Name another address in {ServedAddresses.GrpcVariable}, or turn it off there by an empty one.";
            return;
        }

        // Without TLS a client cannot say which HTTP it means: HTTP/2 alone is served, and HTTP/1.1 has its own addresses.
        var protocols = address.IsTls ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http2;
        Listen(kestrel, address, listen =>
        {
            listen.Protocols = protocols;
            _grpc.Add(listen);
        });
    }

    private static void Listen(KestrelServerOptions kestrel, ServedAddress address, Action<ListenOptions> configure)
    {
        Action<ListenOptions> settle = listen =>
        {
            configure(listen);
            if (address.IsTls)
                listen.UseHttps();
        };
        var binding = address.Binding;
        if (binding.IsUnixPipe)
            kestrel.Listen(UnixSocket.Prepare(binding.UnixPipePath), settle);
        else if (IPAddress.TryParse(binding.Host.Trim('[', ']'), out var ip))
            kestrel.Listen(ip, binding.Port, settle);
        else if (string.Equals(binding.Host, "localhost", StringComparison.OrdinalIgnoreCase))
            kestrel.ListenLocalhost(binding.Port, settle);
        else
            kestrel.ListenAnyIP(binding.Port, settle);
    }
}

public static class ListenerSetup
{
    public static void AddListeners(this WebApplicationBuilder builder, Settings settings)
    {
        var listeners = new Listeners();
        builder.Services.AddSingleton(listeners);
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => listeners.Listen(kestrel, builder.Configuration, settings));
        // Kestrel warns that endpoints in code win over these; they are the same, and the host's own copy of them cannot be taken away.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Server.Kestrel", level => level > LogLevel.Warning || (level == LogLevel.Warning && listeners.IsServing));
        // What keeps the host from starting is said once, by the process, and without its stack. A part that fails by itself is critical.
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", level => level == LogLevel.Critical || (level >= LogLevel.Information && listeners.IsServing));
    }

    /// <summary>Starts to serve.</summary>
    /// <exception cref="StartException">An address is in use or may not be used; the message names it.</exception>
    public static async Task StartServingAsync(this WebApplication app, Settings settings)
    {
        try
        {
            await app.StartAsync();
            app.Services.GetRequiredService<Listeners>().IsServing = true;
        }
        catch (Exception e)
        {
            // What was started is ended in order, and has nothing to complain of.
            await app.StopAsync();
            if (e is not (IOException or SocketException or AddressInUseException))
                throw;
            // All were free a moment ago: somebody was faster, or Kestrel knows of more.
            ServedAddresses.RequireFree(app.Configuration, settings);
            throw new StartException($"{e.Message}\nAddresses are set by {ServedAddresses.HttpVariable}, {ServedAddresses.GrpcVariable} and {ServedAddresses.KubernetesVariable}.", e);
        }
    }
}
