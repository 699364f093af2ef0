using System.Collections.Frozen;
using System.Collections.Immutable;
using SignSvc.Signing.Access;

namespace SignSvc.Access.Issuers;

/// <summary>What a trusted issuer's token says, after everything about it was checked. Immutable.</summary>
/// <param name="Issuer">The issuer's name here (<c>github</c>), not its URL.</param>
/// <param name="IssuerUrl">The claim <c>iss</c>.</param>
/// <param name="Subject">The claim <c>sub</c>.</param>
/// <param name="Claims">As <see cref="Caller.Claims"/> has them.</param>
/// <param name="Payload">The claims as the issuer wrote them: JSON, an object without members twice.</param>
/// <param name="ExpiresAt">The claim <c>exp</c>, without skew.</param>
/// <param name="TokenId">The claim <c>jti</c>.</param>
/// <param name="Roles">Those that the settings of the issuer map; mostly none, because policies decide.</param>
public sealed record VerifiedToken(
    string Issuer, string IssuerUrl, string Subject, FrozenDictionary<string, ImmutableArray<string>> Claims, string Payload,
    DateTimeOffset ExpiresAt, string? TokenId, ImmutableArray<Role> Roles)
{
    /// <summary>See <see cref="Caller.Principal"/>.</summary>
    public string Principal => $"oidc:{Issuer}:{Subject}";
}

/// <summary>A token and, where it is not believed, why: for the operator's eyes, never in an answer.</summary>
public readonly record struct TokenVerdict(VerifiedToken? Token, string Refusal)
{
    internal static TokenVerdict Good(VerifiedToken token) => new(token, "");

    internal static TokenVerdict Refused(string why) => new(Token: null, why);
}
