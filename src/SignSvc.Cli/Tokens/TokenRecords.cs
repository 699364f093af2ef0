using System.Text.Json;
using System.Text.Json.Serialization;

namespace SignSvc.Cli.Tokens;

internal sealed record TokenBody(
    string Profile, string? Subject, string[]? Audience, int? LifetimeSeconds, Dictionary<string, JsonElement>? Claims);

internal sealed record TokenAnswer(string Token, DateTimeOffset ExpiresAt, string Kid, string TokenId, string AuditId);

internal sealed record TokenExplanation(string Profile, JsonElement Header, JsonElement Claims);

/// <summary>RFC 8414 section 2.</summary>
internal sealed record IssuerMetadata(
    [property: JsonPropertyName("issuer")] string? Issuer,
    [property: JsonPropertyName("jwks_uri")] string? JwksUri);

/// <param name="Reason">Why not; null where it is valid.</param>
internal sealed record TokenVerification(bool Valid, string? Reason = null, JsonElement? Header = null, JsonElement? Claims = null);
