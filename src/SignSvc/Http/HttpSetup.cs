using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using SignSvc.Access.Certificates;

namespace SignSvc.Http;

/// <summary>How HTTP is spoken here: addresses, limits, and a strict reading of JSON.</summary>
public static class HttpSetup
{
    /// <summary>The kernel keeps at most twice as much of answers that a connection does not read; by itself it would keep 4 MB.</summary>
    private const int UnreadBytes = 64 * 1024;

    public static void AddHttp(this WebApplicationBuilder builder, Settings settings)
    {
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = settings.Limits.BodyBytes;
            kestrel.Limits.MaxConcurrentConnections = settings.Limits.Connections;
            kestrel.Limits.MaxRequestHeadersTotalSize = 16 * 1024;
            // Beyond it Kestrel refuses without a problem: long names in a URL still come through to one.
            kestrel.Limits.MaxRequestLineSize = 16 * 1024;
            kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
            // Who reads more slowly holds buffers for nothing: Kestrel counts it for each piece that is sent.
            kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 4096, gracePeriod: TimeSpan.FromSeconds(5));
            // Before the first address: it counts for those that are named after it.
            kestrel.ConfigureHttpsDefaults(https =>
            {
                kestrel.ApplicationServices.GetRequiredService<ClientCertificates>().Configure(https);
                kestrel.ApplicationServices.GetRequiredService<ServedCertificate>().Configure(https);
            });
        });
        builder.WebHost.UseSockets(sockets => sockets.CreateBoundListenSocket = endpoint =>
        {
            var listener = SocketTransportOptions.CreateDefaultBoundListenSocket(endpoint);
            listener.SendBufferSize = UnreadBytes;
            return listener;
        });
        builder.AddListeners(settings);
        builder.Services.AddSingleton<ServedCertificate>();
        builder.Services.AddHostedService(provider => provider.GetRequiredService<ServedCertificate>());
        builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(json => Configure(json.SerializerOptions));
        // By a literal: the generator that takes descriptions from the XML comments passes over a constant.
        builder.Services.AddOpenApi("v1", options => options.AddOperationTransformer(ProblemMetadata.DescribeRetryAfter));
        builder.Services.AddSingleton<ApiDescription>();
        builder.Services.AddSingleton<ProblemWriter>();
    }

    /// <summary>Routing leaves an encoded slash as it is; in <c>{key}</c> it stands for the slash of an alias (<c>prod%2Fapp</c>).</summary>
    public static void UseAliasesInPaths(this WebApplication app) => app.Use(next => http =>
    {
        if (http.Request.RouteValues.TryGetValue("key", out var value) && value is string key && key.Contains('%', StringComparison.Ordinal))
            http.Request.RouteValues["key"] = key.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        return next(http);
    });

    /// <summary>Unknown members, members given twice, numbers as text, deep nesting and halves of characters are refused rather than read somehow.</summary>
    public static void Configure(JsonSerializerOptions options)
    {
        options.TypeInfoResolverChain.Clear();
        options.TypeInfoResolverChain.Add(WireJson.Default);
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.PropertyNameCaseInsensitive = false;
        options.UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow;
        options.AllowDuplicateProperties = false;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.MaxDepth = 16;
        options.RespectNullableAnnotations = true;
        options.RespectRequiredConstructorParameters = true;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull;
        options.Converters.Add(new UnicodeJson());
        WireEnums.AddTo(options);
    }
}
