using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using SignSvc.Grpc.Health;
using SignSvc.Grpc.Reflection;
using SignSvc.Grpc.Wire;
using MethodDescriptor = Google.Protobuf.Reflection.MethodDescriptor;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace SignSvc.Grpc;

/// <summary>How a host takes gRPC calls: <c>AddGrpc</c>, then <c>MapGrpcService</c> for each service, then the rest.</summary>
public static class GrpcEndpoints
{
    public static IServiceCollection AddGrpc(this IServiceCollection services, Action<GrpcOptions>? configure = null)
    {
        services.AddOptions<GrpcOptions>()
            .Validate(o => o.MaxRequestBytes > 0 && o.MaxResponseBytes > 0, "gRPC's message limits must be positive.")
            .ValidateOnStart();
        if (configure is not null)
            services.Configure(configure);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<MappedServices>();
        services.TryAddSingleton<GrpcHealth>();
        return services;
    }

    /// <summary>Serves a service of a generated file: <c>SigningReflection.Descriptor.Services[0]</c>.</summary>
    public static IEndpointConventionBuilder MapGrpcService(
        this IEndpointRouteBuilder endpoints, ServiceDescriptor service, Action<GrpcMethods> methods)
    {
        ArgumentNullException.ThrowIfNull(service);
        ArgumentNullException.ThrowIfNull(methods);
        var provider = endpoints.ServiceProvider;
        var options = provider.GetRequiredService<IOptions<GrpcOptions>>().Value;
        var handlers = new GrpcMethods(service, options);
        methods(handlers);

        var settings = new CallSettings(
            handlers.MaxRequestBytes,
            handlers.MaxResponseBytes,
            options.Faults,
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILoggerFactory>().CreateLogger("SignSvc.Grpc"),
            provider.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping);
        var group = endpoints.MapGroup($"/{service.FullName}");
        foreach (var method in handlers.All)
        {
            group.Map($"/{method.Descriptor.Name}", (RequestDelegate)new Exchange(method, settings).ServeAsync)
                .WithDisplayName($"gRPC /{service.FullName}/{method.Descriptor.Name}")
                .WithMetadata(method.Descriptor);
        }

        provider.GetRequiredService<MappedServices>().Add(service);
        return group;
    }

    /// <summary>
    /// Ends calls that a later middleware refuses, such as authentication, with a status in place of a bare HTTP answer:
    /// what <paramref name="faults"/> maps. Stands after <c>UseRouting</c>; requests that are not for a gRPC method pass it by.
    /// </summary>
    public static IApplicationBuilder UseGrpcRefusals(this IApplicationBuilder app, Func<Exception, GrpcException?> faults) =>
        app.Use(next => http =>
            http.GetEndpoint()?.Metadata.GetMetadata<MethodDescriptor>() is null ? next(http) : RefuseOnFaultAsync(http, next, faults));

    private static async Task RefuseOnFaultAsync(HttpContext http, RequestDelegate next, Func<Exception, GrpcException?> faults)
    {
        try
        {
            await next(http);
        }
        catch (Exception e) when (!http.Response.HasStarted && faults(e) is { } fault)
        {
            if (WireFormat.TryAccept(http, out var format))
                Exchange.Refuse(http, format, fault);
        }
    }

    /// <summary>
    /// Answers UNIMPLEMENTED to calls that no mapped method takes. It stands behind routing and is no route, so that what
    /// is not gRPC keeps its own answer (404, 405).
    /// </summary>
    public static IApplicationBuilder UseGrpcUnimplemented(this IApplicationBuilder app) => app.Use(next => http =>
    {
        var isUnknownCall = http.GetEndpoint() is not RouteEndpoint
            && HttpMethods.IsPost(http.Request.Method)
            && WireFormat.Parse(http.Request.ContentType) is not null;
        if (!isUnknownCall)
            return next(http);
        if (WireFormat.TryAccept(http, out var format))
            Exchange.Refuse(http, format, new GrpcException(StatusCode.Unimplemented, $"There is no method {http.Request.Path}."));
        return Task.CompletedTask;
    });

    /// <summary><c>grpc.health.v1.Health</c>, which tells what <see cref="GrpcHealth"/> was told.</summary>
    public static IEndpointConventionBuilder MapGrpcHealth(this IEndpointRouteBuilder endpoints) =>
        endpoints.ServiceProvider.GetRequiredService<GrpcHealth>().Map(endpoints);

    /// <summary>Server reflection v1 and v1alpha over every mapped service.</summary>
    public static IEndpointConventionBuilder MapGrpcReflection(this IEndpointRouteBuilder endpoints) =>
        ServerReflection.Map(endpoints, endpoints.ServiceProvider.GetRequiredService<MappedServices>());
}

/// <summary>The services of this host, for reflection.</summary>
internal sealed class MappedServices
{
    private readonly ConcurrentQueue<ServiceDescriptor> _services = new();

    public void Add(ServiceDescriptor service) => _services.Enqueue(service);

    public IReadOnlyCollection<ServiceDescriptor> All => _services;
}
