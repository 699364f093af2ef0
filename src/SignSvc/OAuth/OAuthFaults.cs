using System.Text.Json.Serialization;
using SignSvc.Signing;

namespace SignSvc.OAuth;

/// <summary>RFC 6749 section 5.2.</summary>
/// <param name="AuditId">The record of this refusal, where there is one.</param>
public sealed record OAuthError(
    [property: JsonPropertyName("error")] string Error,
    [property: JsonPropertyName("error_description")] string Description,
    [property: JsonPropertyName("audit_id")] string? AuditId = null);

/// <summary>A fault with the code that OAuth 2 has for it.</summary>
public sealed class OAuthException(string error, SigningFault fault, string message)
    : Exception(message, new SigningException(fault, message))
{
    public string Error => error;

    public SigningException Fault => (SigningException)InnerException!;

    public static OAuthException InvalidRequest(string message) => new("invalid_request", SigningFault.InvalidRequest, message);

    public static OAuthException InvalidTarget(string message) => new("invalid_target", SigningFault.InvalidRequest, message);

    public static OAuthException InvalidScope(string message) => new("invalid_scope", SigningFault.InvalidRequest, message);

    public static OAuthException InvalidProof(string message) => new("invalid_dpop_proof", SigningFault.InvalidRequest, message);

    /// <summary>The words are the same whatever was wrong, so that nobody learns which clients there are.</summary>
    public static OAuthException InvalidClient() => new(
        "invalid_client", SigningFault.Unauthenticated, "The client is not authenticated: its id, secret, assertion or certificate is missing, wrong, expired or revoked.");
}

/// <summary>Faults as the token endpoint answers them: in RFC 6749's shape instead of RFC 9457's, and nowhere else.</summary>
internal static class OAuthFaults
{
    public static Task WriteAsync(HttpContext http, OAuthException e) => WriteAsync(http, e.Error, e.Fault);

    public static Task WriteAsync(HttpContext http, SigningException e) => WriteAsync(http, ErrorOf(e.Fault), e);

    private static async Task WriteAsync(HttpContext http, string error, SigningException fault)
    {
        var status = fault.Fault switch
        {
            SigningFault.Unauthenticated => StatusCodes.Status401Unauthorized,
            SigningFault.RateLimited => StatusCodes.Status429TooManyRequests,
            SigningFault.TooLarge => StatusCodes.Status413PayloadTooLarge,
            _ when error is "temporarily_unavailable" => StatusCodes.Status503ServiceUnavailable,
            _ when error is "server_error" => StatusCodes.Status500InternalServerError,
            _ => StatusCodes.Status400BadRequest,
        };
        http.Response.StatusCode = status;
        if (status == StatusCodes.Status401Unauthorized)
            http.Response.Headers.WWWAuthenticate = "Basic realm=\"signsvc\", charset=\"UTF-8\"";
        // When a key can be used again, nobody knows.
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable && fault.Fault != SigningFault.KeyNotUsable)
            http.Response.Headers.RetryAfter = Math.Ceiling((fault.RetryAfter ?? TimeSpan.FromSeconds(1)).TotalSeconds + Random.Shared.Next(3)).ToString();
        await TypedResults.Json(new OAuthError(error, Describe(fault.Message), fault.AuditId), statusCode: status).ExecuteAsync(http);
    }

    private static string ErrorOf(SigningFault fault) => fault switch
    {
        SigningFault.Unauthenticated => "invalid_client",
        SigningFault.Forbidden => "unauthorized_client",
        SigningFault.InvalidRequest or SigningFault.TooLarge or SigningFault.NotFound => "invalid_request",
        SigningFault.RateLimited or SigningFault.Overloaded or SigningFault.KeyNotUsable or SigningFault.BackendUnavailable
            or SigningFault.StoreUnavailable or SigningFault.AuditUnavailable or SigningFault.DeadlineExceeded => "temporarily_unavailable",
        _ => "server_error",
    };

    /// <summary>RFC 6749 appendix A.8: printable ASCII without quote and backslash.</summary>
    private static string Describe(string message) =>
        string.Create(message.Length, message, static (text, from) =>
        {
            for (var i = 0; i < from.Length; i++)
                text[i] = from[i] is >= ' ' and <= '~' and not ('"' or '\\') ? from[i] : '?';
        });
}
