using System.Diagnostics;
using Microsoft.AspNetCore.Authorization;
using SignSvc.Signing;
using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <summary>
/// Names the caller of every request before its endpoint runs. Deny by default: an endpoint is open to strangers only
/// where it says so itself (<c>AllowAnonymous</c>).
/// </summary>
public static class CallerAuthentication
{
    private const string Scheme = "Bearer ";

    public static void AddAccess(this IServiceCollection services) => services.AddSingleton<StrangerLog>();

    public static void UseCallers(this WebApplication app)
    {
        var credentials = app.Services.GetRequiredService<Credentials>();
        var strangers = app.Services.GetRequiredService<StrangerLog>();
        app.Use(next => http =>
        {
            var endpoint = http.GetEndpoint();
            // Routing's own answers (405, 415) are no routes and do nothing.
            if (endpoint is not RouteEndpoint || endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
                return next(http);
            if (Recognise(http, credentials) is not { } caller)
                return RefuseAsync(http, strangers);
            http.Features.Set(caller);
            return next(http);
        });
    }

    /// <summary>The caller of this request. Only endpoints that are not open to strangers may ask.</summary>
    public static Caller Caller(this HttpContext http) => http.Features.Get<Caller>()
        ?? throw new InvalidOperationException("This endpoint is open to strangers and has no caller.");

    /// <summary>The caller of a call that lasts, as of now.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Unauthenticated"/>: the credential was revoked or has expired since.</exception>
    internal static async ValueTask<Caller> RecogniseAgainAsync(this HttpContext http)
    {
        var services = http.RequestServices;
        if (Recognise(http, services.GetRequiredService<Credentials>()) is { } caller)
            return caller;
        await RefuseAsync(http, services.GetRequiredService<StrangerLog>());
        throw new InvalidOperationException("A refusal always throws.");
    }

    private static Caller? Recognise(HttpContext http, Credentials credentials)
    {
        var header = http.Request.Headers.Authorization;
        if (header.Count != 1 || header[0] is not { } value || !value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return null;
        return credentials.Recognise(value.AsSpan(Scheme.Length)) is { } credential
            ? CallerOf(http, credential)
            : null;
    }

    internal static Caller CallerOf(HttpContext http, Credential credential) =>
        new(credential.Principal, credential.Roles, Address(http), Activity.Current?.TraceId.ToHexString());

    private static async Task RefuseAsync(HttpContext http, StrangerLog strangers)
    {
        var refusal = new SigningException(
            SigningFault.Unauthenticated, "Send the header 'Authorization: Bearer' with a credential that is neither expired nor revoked.");
        await strangers.RecordAsync(refusal, Address(http), http.RequestAborted);
        throw refusal;
    }

    internal static string? Address(HttpContext http) => http.Connection.RemoteIpAddress?.ToString();
}
