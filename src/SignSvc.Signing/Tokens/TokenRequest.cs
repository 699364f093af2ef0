using System.Text.Json;

namespace SignSvc.Signing.Tokens;

/// <summary>A token as a caller asks for it, checked for form; whether the profile allows it is decided later.</summary>
public sealed record TokenRequest
{
    public const int MaxTextLength = 255;
    public const int MaxAudiences = 10;
    public const int MaxClaims = 64;

    /// <summary>Claims that SignSvc sets, or that mean more than a caller may say of itself (RFC 7519, 8693, 8705, 9068, 9449).</summary>
    private static readonly HashSet<string> Reserved = new(StringComparer.Ordinal)
    {
        "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "cnf", "act", "may_act", "auth_time", "acr", "amr", "azp",
    };

    /// <summary>The claim <c>sub</c>; null: the caller.</summary>
    public string? Subject { get; private init; }

    /// <summary>Empty: the profile's default.</summary>
    public required IReadOnlyList<string> Audiences { get; init; }

    public int? LifetimeSeconds { get; private init; }

    /// <summary>An object of further claims; null: none.</summary>
    public JsonElement? Claims { get; private init; }

    /// <summary>What an OAuth 2 grant adds; null where the token is asked for directly.</summary>
    public TokenGrant? Grant { get; private init; }

    public static bool IsReserved(string claim) => Reserved.Contains(claim);

    /// <summary>A token that an OAuth 2 grant was given for.</summary>
    /// <param name="subject">Of the exchanged token; null: the client.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static TokenRequest Of(TokenGrant grant, string? subject, IReadOnlyList<string> audiences)
    {
        if (audiences.Count > MaxAudiences)
            throw Invalid($"A token has at most {MaxAudiences} audiences.");
        return new TokenRequest
        {
            Subject = subject is null ? null : RequireText("sub", subject),
            Audiences = [.. audiences.Select(a => RequireText("audience", a))],
            Grant = grant,
        };
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static TokenRequest Parse(string? subject, JsonElement? audience, int? lifetimeSeconds, JsonElement? claims)
    {
        if (subject is not null)
            RequireText("subject", subject);
        return new TokenRequest
        {
            Subject = subject,
            Audiences = ParseAudiences(audience),
            LifetimeSeconds = lifetimeSeconds,
            Claims = ParseClaims(claims),
        };
    }

    private static string[] ParseAudiences(JsonElement? audience)
    {
        RequireUnicode("audience", audience);
        switch (audience?.ValueKind)
        {
            case null or JsonValueKind.Null or JsonValueKind.Undefined:
                return [];
            case JsonValueKind.String:
                return [RequireText("audience", audience.Value.GetString())];
            case JsonValueKind.Array when audience.Value.GetArrayLength() is > 0 and <= MaxAudiences:
                return audience.Value.EnumerateArray()
                    .Select(a => RequireText("audience", a.ValueKind == JsonValueKind.String ? a.GetString() : null))
                    .ToArray();
            default:
                throw Invalid($"audience is a string or an array of 1 to {MaxAudiences} strings.");
        }
    }

    private static JsonElement? ParseClaims(JsonElement? claims)
    {
        if (claims is null or { ValueKind: JsonValueKind.Null or JsonValueKind.Undefined })
            return null;
        if (claims.Value.ValueKind != JsonValueKind.Object)
            throw Invalid("claims is an object.");
        RequireUnicode("claims", claims);
        var count = 0;
        foreach (var claim in claims.Value.EnumerateObject())
        {
            if (Reserved.Contains(claim.Name))
                throw Invalid($"The claim {claim.Name} is not the caller's to set.");
            if (claim.Name is not { Length: > 0 and <= MaxTextLength } || ++count > MaxClaims)
                throw Invalid($"claims holds at most {MaxClaims} claims, with names of 1 to {MaxTextLength} characters.");
        }

        return claims;
    }

    private static string RequireText(string name, string? text) =>
        text is { Length: > 0 and <= MaxTextLength } && !HasControls(text)
            ? text
            : throw Invalid($"{name} has from 1 to {MaxTextLength} characters, none of them a control character.");

    /// <summary>C0, DEL and C1: what <see cref="char.IsControl(char)"/> says of each character.</summary>
    private static bool HasControls(ReadOnlySpan<char> text) =>
        text.ContainsAnyInRange('\0', '\x1f') || text.ContainsAnyInRange('\x7f', '\x9f');

    private static void RequireUnicode(string name, JsonElement? element)
    {
        if (element is { } given && !ForeignJson.IsUnicode(given))
            throw Invalid($"{name} holds text that is not Unicode.");
    }

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}
