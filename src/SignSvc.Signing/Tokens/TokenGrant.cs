using System.Text.Json;

namespace SignSvc.Signing.Tokens;

/// <summary>What an OAuth 2 grant adds to a token, settled by the endpoint that checked it; never the caller's own word.</summary>
/// <param name="Type"><c>client_credentials</c> or <c>urn:ietf:params:oauth:grant-type:token-exchange</c>; for the audit.</param>
/// <param name="Scope">Scope tokens that were granted, joined by spaces (RFC 6749 section 3.3); null: none.</param>
/// <param name="Confirmation">The member of <c>cnf</c> and its value: <c>x5t#S256</c> (RFC 8705) or <c>jkt</c> (RFC 9449); null: a bearer token.</param>
/// <param name="Actor">The claim <c>act</c> (RFC 8693 section 4.1); null: nobody acts for the subject.</param>
/// <param name="SubjectClaims">The claims of the token that was exchanged.</param>
/// <param name="LatestExpiry">The token does not outlive what it was given for.</param>
public sealed record TokenGrant(
    string Type, string? Scope = null, (string Member, string Value)? Confirmation = null, JsonElement? Actor = null,
    JsonElement? SubjectClaims = null, DateTimeOffset? LatestExpiry = null)
{
    public const string ClientCredentials = "client_credentials";
    public const string TokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange";

    /// <summary>In a profile's <c>grants</c>: no grant at all, but <c>/v1/tokens</c> and gRPC. See <see cref="TokenProfile.Direct"/>.</summary>
    public const string Direct = "direct";

    /// <summary>Members of <c>cnf</c>: RFC 9449 section 6.1, RFC 8705 section 3.1.</summary>
    public const string OfKey = "jkt";
    public const string OfCertificate = "x5t#S256";

    /// <summary>RFC 6749 appendix A.4: printable ASCII without space, quote and backslash.</summary>
    public static bool IsScopeToken(string text) =>
        text is { Length: > 0 and <= TokenRequest.MaxTextLength } && text.All(c => c is '!' or (>= '#' and <= '[') or (>= ']' and <= '~'));
}
