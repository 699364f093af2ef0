using Microsoft.AspNetCore.Mvc;
using SignSvc.Embedded;
using SignSvc.Signing;

namespace SignSvc.Compatibility.Transit;

/// <summary>
/// Vault's Transit API under <c>/v1/transit</c> for clients that speak nothing else. Authentication is the house's own;
/// <c>X-Vault-Token</c> is another place for the bearer token. Not described: Vault does.
/// </summary>
public static class TransitEndpoints
{
    private static readonly string[] Get = [HttpMethods.Get];
    private static readonly string[] Writes = [HttpMethods.Post, HttpMethods.Put];
    private static readonly string[] GetAndHead = [HttpMethods.Get, HttpMethods.Head];

    public static void AddTransitCompatibility(this IServiceCollection services)
    {
        services.AddSingleton<TransitKeys>();
        services.AddSingleton<TransitSigning>();
        services.AddSingleton<TransitSystem>();
    }

    public static void MapTransit(this IEndpointRouteBuilder routes)
    {
        var services = routes.ServiceProvider;
        // Made with the first call: the issuer of tokens may be the first address served, which is not known before.
        var keys = new Lazy<TransitKeys>(services.GetRequiredService<TransitKeys>);
        var signing = new Lazy<TransitSigning>(services.GetRequiredService<TransitSigning>);
        var system = new Lazy<TransitSystem>(services.GetRequiredService<TransitSystem>);
        var batchBytes = services.GetRequiredService<Node>().Settings.Limits.BatchBodyBytes;

        var group = routes.MapGroup("/v1/transit").WithMetadata(new TransitMetadata()).ExcludeFromDescription();
        group.MapMethods("/keys", ["LIST"], Serve(call => keys.Value.ListAsync(call)));
        group.MapMethods("/keys", Get, Serve(call => IsList(call) ? keys.Value.ListAsync(call) : throw NothingHere()));
        group.MapMethods("/keys/{key}", Get, Serve(call => keys.Value.ReadAsync(call)));
        group.MapMethods("/keys/{key}", Writes, Serve(call => keys.Value.CreateAsync(call)));
        group.MapMethods("/keys/{key}", [HttpMethods.Delete], Serve(call => keys.Value.DeleteAsync(call)));
        group.MapMethods("/keys/{key}/rotate", Writes, Serve(call => keys.Value.RotateAsync(call)));
        group.MapMethods("/keys/{key}/config", Writes, Serve(call => keys.Value.ConfigureAsync(call)));
        group.MapMethods("/keys/{key}/trim", Writes, Serve(_ => TransitKeys.TrimAsync()));
        group.MapMethods("/export/{type}/{key}/{version?}", Get, Serve(call => keys.Value.ExportAsync(call)));
        group.MapMethods("/sign/{key}/{hash?}", Writes, Serve(call => signing.Value.SignAsync(call))).WithMetadata(new RequestSizeLimitAttribute(batchBytes));
        group.MapMethods("/verify/{key}/{hash?}", Writes, Serve(call => signing.Value.VerifyAsync(call))).WithMetadata(new RequestSizeLimitAttribute(batchBytes));
        group.Map("/{**rest}", Serve(_ => throw NothingHere()));

        var vault = routes.MapGroup("/v1").WithMetadata(new TransitMetadata()).ExcludeFromDescription();
        vault.MapMethods("/auth/token/lookup-self", Get, Serve(call => system.Value.LookupSelfAsync(call)));
        vault.MapMethods("/auth/jwt/login", Writes, (RequestDelegate)(http => system.Value.LoginAsync(http))).AllowAnonymous();
        vault.MapMethods("/sys/health", GetAndHead, (RequestDelegate)(http => system.Value.HealthAsync(http))).AllowAnonymous();
    }

    private static RequestDelegate Serve(Func<TransitCall, Task<TransitAnswer>> operation) => async http =>
    {
        RefuseUnserved(http.Request.Headers);
        var call = new TransitCall(http, ClientJson.Parse(await ClientJson.ReadBodyAsync(http)));
        var answer = await operation(call);
        await answer.WriteAsync(http);
    };

    /// <summary>Each changes what the rest of a request means: to go on without it would be an answer to another question.</summary>
    private static void RefuseUnserved(IHeaderDictionary headers)
    {
        foreach (var name in (ReadOnlySpan<string>)["X-Vault-Namespace", "X-Vault-Wrap-TTL"])
        {
            if (!string.IsNullOrEmpty(headers[name]))
                throw new SigningException(SigningFault.Unsupported, $"{name} is not served: there are no namespaces and no wrapped answers here.");
        }
    }

    private static bool IsList(TransitCall call) =>
        string.Equals(call.Http.Request.Query["list"].ToString(), "true", StringComparison.OrdinalIgnoreCase);

    private static SigningException NothingHere() =>
        new(SigningFault.NotFound, "There is nothing at this address: docs/compatibility.md lists what of Transit is served.");
}
