using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tokens;

/// <summary>What would be signed; there is no signature.</summary>
public sealed record TokenExplanation(string Profile, JsonElement Header, JsonElement Claims);

/// <param name="Profile">Name of a profile for payloads.</param>
/// <param name="Payload">Base64 of any bytes.</param>
/// <param name="Detached">The answer leaves the payload out (RFC 7515 appendix F).</param>
public sealed record PayloadBody(string Profile, string Payload, bool Detached = false);

/// <param name="Jws">Compact serialization.</param>
public sealed record PayloadAnswer(string Jws, string Kid, string AuditId);

/// <summary><c>/v1/tokens/explain</c> and <c>/v1/tokens/jws</c>.</summary>
public static class PayloadEndpoints
{
    public static void MapPayloads(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/tokens").WithTags("Tokens").WithProblems();
        group.MapPost("/explain", ExplainAsync).WithName("ExplainToken");
        group.MapPost("/jws", SignAsync).WithName("SignPayload");
    }

    private static async Task<Ok<TokenExplanation>> ExplainAsync(
        HttpContext http, TokenBody body, Signer signer, CancellationToken cancellationToken)
    {
        var request = TokenRequest.Parse(body.Subject, body.Audience, body.LifetimeSeconds, body.Claims);
        var explained = await signer.ExplainAsync(http.Caller(), new TokenOrder(body.Profile, request), cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Ok(new TokenExplanation(explained.Profile.Name, explained.Header, explained.Claims));
    }

    private static async Task<Created<PayloadAnswer>> SignAsync(
        HttpContext http, PayloadBody body, Signer signer, CancellationToken cancellationToken)
    {
        var order = new PayloadOrder(body.Profile, Decode(body.Payload), body.Detached);
        var signed = await signer.SignPayloadAsync(http.Caller(), order, cancellationToken);
        http.Response.Headers.CacheControl = "no-store";
        return TypedResults.Created((string?)null, new PayloadAnswer(signed.Jws, signed.Kid, signed.AuditId));
    }

    private static byte[] Decode(string payload)
    {
        var bytes = new byte[payload.Length];
        return Convert.TryFromBase64String(payload, bytes, out var length)
            ? bytes[..length]
            : throw new SigningException(SigningFault.InvalidRequest, "payload is standard base64.");
    }
}
