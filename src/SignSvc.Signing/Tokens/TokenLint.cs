using System.Text.Json;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// The last look at a token before it is signed: what RFC 9068 section 2.2 demands of every access token, then what its
/// profile demands. Nothing that fails here is signed; where the fault lies in the service or the profile, and not in
/// the request, it is still the request that is refused.
/// </summary>
public static class TokenLint
{
    /// <summary>22 characters of base64url are 128 bits.</summary>
    private const int MinTokenIdLength = 22;

    private static volatile string? _lastIssuer;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the first rule that is broken.</exception>
    public static void Check(TokenProfile profile, TokenClaims claims)
    {
        if (profile.IsAccessToken)
            CheckAccessToken(claims);
        foreach (var required in profile.RequiredClaims)
        {
            if (Find(claims, required) is null)
                throw Refused($"The profile {profile.Name} requires the claim {required}.");
        }

        foreach (var (claim, rule) in profile.Lint)
        {
            if (Find(claims, claim) is { } value && rule.Fault(claim, value) is { } fault)
                throw Refused(fault);
        }
    }

    private static void CheckAccessToken(TokenClaims claims)
    {
        Require(IsAbsoluteUrl(claims.Issuer), "iss is an absolute URL.");
        Require(claims.Subject.Length > 0, "sub is not empty.");
        Require(claims.ClientId.Length > 0, "client_id is not empty.");
        Require(claims.Audiences.Count > 0 && claims.Audiences.All(a => a.Length > 0), "aud names an audience.");
        Require(claims.IssuedAt < claims.ExpiresAt, "exp lies after iat.");
        Require(claims.TokenId.Length >= MinTokenIdLength, "jti cannot be guessed.");
        if (claims.Further is not { } further)
            return;
        foreach (var claim in further.EnumerateObject())
        {
            Require(
                claim.Name switch
                {
                    "iss" or "sub" or "aud" or "exp" or "iat" or "jti" or "client_id" => false,
                    "nbf" or "auth_time" => claim.Value.ValueKind == JsonValueKind.Number,
                    "acr" or "azp" => claim.Value.ValueKind == JsonValueKind.String,
                    "amr" => claim.Value.ValueKind == JsonValueKind.Array && claim.Value.EnumerateArray().All(m => m.ValueKind == JsonValueKind.String),
                    "scope" => claim.Value.ValueKind == JsonValueKind.String && claim.Value.GetString()!.Split(' ').All(TokenGrant.IsScopeToken),
                    "cnf" or "act" or "may_act" => claim.Value.ValueKind == JsonValueKind.Object,
                    _ => true,
                },
                $"the claim {claim.Name} is of another type, or is there twice.");
        }
    }

    /// <summary>One issuer usually issues token after token.</summary>
    private static bool IsAbsoluteUrl(string issuer)
    {
        if (string.Equals(issuer, _lastIssuer, StringComparison.Ordinal))
            return true;
        var isUrl = Uri.TryCreate(issuer, UriKind.Absolute, out _);
        if (isUrl)
            _lastIssuer = issuer;
        return isUrl;
    }

    private static JsonElement? Find(TokenClaims claims, string name) => name switch
    {
        "iss" => Json(claims.Issuer),
        "sub" => Json(claims.Subject),
        "client_id" => Json(claims.ClientId),
        "jti" => Json(claims.TokenId),
        "aud" => claims.Audiences.Count == 1
            ? Json(claims.Audiences[0])
            : JsonSerializer.SerializeToElement([.. claims.Audiences], SigningJson.Default.StringArray),
        "iat" => JsonSerializer.SerializeToElement(claims.IssuedAt.ToUnixTimeSeconds(), SigningJson.Default.Int64),
        "exp" => JsonSerializer.SerializeToElement(claims.ExpiresAt.ToUnixTimeSeconds(), SigningJson.Default.Int64),
        _ => claims.Further is { } further && further.TryGetProperty(name, out var value) ? value : null,
    };

    private static JsonElement Json(string text) => JsonSerializer.SerializeToElement(text, SigningJson.Default.String);

    private static void Require(bool holds, string rule)
    {
        if (!holds)
            throw Refused($"RFC 9068: {rule}");
    }

    private static SigningException Refused(string message) => new(SigningFault.InvalidRequest, message);
}
