using Microsoft.AspNetCore.Authorization;
using SignSvc.Access.Certificates;
using SignSvc.Access.Issuers;
using SignSvc.Operations;
using SignSvc.Signing;
using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <summary>
/// Names the caller of every request before its endpoint runs. Deny by default: an endpoint is open to strangers only
/// where it says so itself (<c>AllowAnonymous</c>).
/// </summary>
public static class CallerAuthentication
{
    public static void AddAccess(this IServiceCollection services, Settings settings)
    {
        services.AddSingleton<StrangerLog>();
        services.AddSingleton(new People(settings.Access.People));
        services.AddSingleton<ITakesSettings>(provider => provider.GetRequiredService<People>());
        services.AddSingleton<ITakesSettings>(provider => provider.GetRequiredService<TrustedIssuers>());
        services.AddSingleton<ITakesSettings>(provider => provider.GetRequiredService<ClientCertificates>());
        services.AddSingleton(provider => new TrustedIssuers(
            settings.Access.Issuers, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<TrustedIssuers>>()));
        services.AddHostedService(provider => provider.GetRequiredService<TrustedIssuers>());
        services.AddSingleton(provider => new ClientCertificates(
            settings.Access.ClientCertificates, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<ClientCertificates>>()));
        services.AddHostedService(provider => provider.GetRequiredService<ClientCertificates>());
        services.AddSingleton<CallerRecognition>();
    }

    public static void UseCallers(this WebApplication app)
    {
        var recognition = app.Services.GetRequiredService<CallerRecognition>();
        var strangers = app.Services.GetRequiredService<StrangerLog>();
        app.Use(next => http =>
        {
            var endpoint = http.GetEndpoint();
            // Routing's own answers (405, 415) are no routes and do nothing.
            if (endpoint is not RouteEndpoint || endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
                return next(http);
            var recognised = recognition.RecogniseAsync(http);
            return recognised.IsCompletedSuccessfully
                ? GoOnAsync(http, recognised.Result, next, strangers)
                : WaitAsync(http, recognised, next, strangers);
        });
    }

    /// <summary>The caller of this request. Only endpoints that are not open to strangers may ask.</summary>
    public static Caller Caller(this HttpContext http) => http.Features.Get<Caller>()
        ?? throw new InvalidOperationException("This endpoint is open to strangers and has no caller.");

    /// <summary>How the caller of this request was recognised; null where an endpoint has ways of its own.</summary>
    public static CallerIdentity? CallerIdentity(this HttpContext http) => http.Features.Get<CallerIdentity>();

    /// <summary>The caller of a call that lasts, as of now.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Unauthenticated"/>: what it showed was revoked or has expired since.</exception>
    internal static async ValueTask<Caller> RecogniseAgainAsync(this HttpContext http)
    {
        var services = http.RequestServices;
        var (identity, why) = await services.GetRequiredService<CallerRecognition>().RecogniseAsync(http);
        if (identity is not null)
            return identity.Caller;
        await RefuseAsync(http, services.GetRequiredService<StrangerLog>(), why);
        throw new InvalidOperationException("A refusal always throws.");
    }

    private static Task GoOnAsync(
        HttpContext http, (CallerIdentity? Identity, string Refusal) recognised, RequestDelegate next, StrangerLog strangers)
    {
        if (recognised.Identity is not { } identity)
            return RefuseAsync(http, strangers, recognised.Refusal);
        http.Features.Set(identity);
        http.Features.Set(identity.Caller);
        return next(http);
    }

    private static async Task WaitAsync(
        HttpContext http, ValueTask<(CallerIdentity? Identity, string Refusal)> recognised, RequestDelegate next, StrangerLog strangers) =>
        await GoOnAsync(http, await recognised, next, strangers);

    /// <summary>The caller hears the same whatever was wrong; the audit and the log say what.</summary>
    private static async Task RefuseAsync(HttpContext http, StrangerLog strangers, string why)
    {
        var refusal = new SigningException(
            SigningFault.Unauthenticated,
            "Send the header 'Authorization: Bearer' with a credential that is neither expired nor revoked, with a token of an issuer that is trusted here, or show a client certificate that is.");
        await strangers.RecordAsync(refusal, why, http.Connection.RemoteIpAddress?.ToString(), http.RequestAborted);
        throw refusal;
    }
}
