using SignSvc.Keys;
using SignSvc.Kubernetes;
using SignSvc.Signing;
using SignSvc.Tokens;

namespace SignSvc.Grpc;

/// <summary>How gRPC is spoken here: what is served, to whom, and within which limits.</summary>
public static class GrpcSetup
{
    public static void AddGrpcCalls(this IServiceCollection services, Settings settings)
    {
        services.AddGrpc(options =>
        {
            options.MaxRequestBytes = settings.Grpc.MessageBytes;
            options.Faults = static (e, _) => Faults.Of(e);
        });
        services.AddHostedService<GrpcHealthService>();
        services.AddSingleton<ServiceAccountKeys>();
    }

    /// <summary>Callers that authentication refuses get a status, too. Stands between routing and authentication.</summary>
    public static void UseGrpcFaults(this WebApplication app) => app.UseGrpcRefusals(Faults.Of).UseGrpcUnimplemented();

    /// <summary>Deny by default holds here as for HTTP: what is open to strangers says so itself.</summary>
    public static void MapGrpcCalls(this WebApplication app, Settings settings)
    {
        app.MapGrpcSigning(settings);
        app.MapGrpcTokens();
        app.MapGrpcKeys();
        if (settings.Kubernetes.Socket.Length > 0)
            app.MapExternalSigner(settings.Kubernetes);
        app.MapGrpcHealth().AllowAnonymous();
        if (settings.Grpc.Reflection)
            app.MapGrpcReflection().AllowAnonymous();
    }
}
