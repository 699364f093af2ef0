using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>What tokens a caller may get.</summary>
/// <remarks>Members that an older document lacks are read as absent, not as their type's default: hence the accessors.</remarks>
public sealed record TokenProfile
{
    public const string AccessTokenType = "at+jwt";

    private const int MaxClaims = 64;
    private const int MaxScopes = 256;
    private const int MaxTypeLength = 64;

    private static readonly SearchValues<char> TypeCharacters =
        SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_");

    /// <summary>What the service alone says, whatever a profile would like.</summary>
    private static readonly ImmutableArray<string> NotForTemplates = ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "cnf", "act"];

    /// <summary>See <see cref="Keys.KeyName"/>.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// The claim <c>iss</c>: an absolute URL; a name, for an issuer that this service hosts under <c>/issuers/NAME</c>
    /// with keys of its own; null: the service's own public URL.
    /// </summary>
    public string? Issuer { get; init; }

    /// <summary>Id of the key that signs; its purpose is <c>tokens</c>.</summary>
    public required string KeyId { get; init; }

    /// <summary>Audiences that may be asked for; <c>*</c> at the end of one stands for any rest. The first without <c>*</c> is the default.</summary>
    public required ImmutableArray<string> Audiences { get; init; }

    public required int DefaultLifetimeSeconds { get; init; }

    public required int MaxLifetimeSeconds { get; init; }

    /// <summary>The header <c>typ</c>: <c>at+jwt</c> (RFC 9068 section 2.1), <c>JWT</c>, or another media type without <c>application/</c>.</summary>
    public string Type { get; init; } = AccessTokenType;

    /// <summary>The claim <c>sub</c>, as a <see cref="ClaimTemplate"/>; null: the subject that is asked for, else the caller.</summary>
    public string? Subject { get; init; }

    /// <summary>Claims that every token has, as <see cref="ClaimTemplate"/>s by their names.</summary>
    public ImmutableSortedDictionary<string, JsonElement> Claims
    {
        get;
        init => field = value ?? ImmutableSortedDictionary<string, JsonElement>.Empty;
    } = ImmutableSortedDictionary<string, JsonElement>.Empty;

    /// <summary>The claims that a caller may set, and what they may be; null: any that is not reserved.</summary>
    public ImmutableSortedDictionary<string, ClaimRule>? CallerClaims { get; init; }

    /// <summary>Claims without which nothing is signed.</summary>
    public ImmutableArray<string> RequiredClaims { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>What claims have to be when all is settled, the registered ones too.</summary>
    public ImmutableSortedDictionary<string, ClaimRule> Lint
    {
        get;
        init => field = value ?? ImmutableSortedDictionary<string, ClaimRule>.Empty;
    } = ImmutableSortedDictionary<string, ClaimRule>.Empty;

    /// <summary>How tokens of it are had at the token endpoint; see <see cref="TokenGrant"/>.</summary>
    public ImmutableArray<string> Grants { get; init => field = value.IsDefault ? [TokenGrant.ClientCredentials] : value; } = [TokenGrant.ClientCredentials];

    /// <summary>Its tokens are had from the API, too, without a grant; null: in a document from before this was kept.</summary>
    public bool? Direct { get; init; }

    /// <summary>Scope tokens that may be asked for: at the token endpoint, and in the claim <c>scope</c> of who asks directly.</summary>
    public ImmutableArray<string> Scopes { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Its tokens can be introspected and revoked one by one.</summary>
    public bool Introspection { get; init; }

    /// <summary>Its tokens are bound to a DPoP key or a client certificate, which only the token endpoint sees; bearer tokens are refused.</summary>
    public bool RequireBinding { get; init; }

    /// <summary>
    /// It signs what callers give, as JWS, and no claims at all. Its key signs nothing else, and stands in no issuer's key
    /// set: a payload is the caller's word, and must not pass for a token of the service.
    /// </summary>
    public bool Payloads { get; init; }

    /// <summary>Since when its issuer's key set shows its key; null: since before this was kept. See <see cref="KeyAnnouncement"/>.</summary>
    public DateTimeOffset? KeySince { get; init; }

    /// <summary>Where tokens of this profile still may be alive that another key signed, or that name another issuer.</summary>
    public ImmutableArray<FormerSigning> Former { get; init => field = value.IsDefault ? [] : value; } = [];

    [JsonIgnore]
    public bool IsAccessToken => Type.Equals(AccessTokenType, StringComparison.OrdinalIgnoreCase);

    /// <summary>Documents that do not say it are of a time when every profile was; those that name a grant for themselves meant it.</summary>
    [JsonIgnore]
    public bool IsDirect => !Payloads && !RequireBinding && (Direct ?? Grants is [] or [TokenGrant.ClientCredentials]);

    /// <summary>The issuer's name, where it is one that this service hosts.</summary>
    [JsonIgnore]
    public string? HostedIssuer => NameOf(Issuer);

    public static string? NameOf(string? issuer) => KeyName.IsValid(issuer) ? issuer : null;

    public bool AllowsAudience(string audience)
    {
        foreach (var allowed in Audiences)
        {
            if (allowed.EndsWith('*')
                ? audience.AsSpan().StartsWith(allowed.AsSpan(0, allowed.Length - 1), StringComparison.Ordinal)
                : string.Equals(allowed, audience, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the first thing that is wrong.</exception>
    public void Check()
    {
        KeyName.Parse(Name);
        Require(
            Issuer is null || HostedIssuer is not null || (Uri.TryCreate(Issuer, UriKind.Absolute, out var uri)
                && uri.Scheme is "https" or "http" && Issuer.Length <= 512 && uri is { Query: "", Fragment: "" }),
            "The issuer must be the name of an issuer here, or an absolute http or https URL without query and fragment (RFC 8414 section 2).");
        Require(Audiences is { IsDefaultOrEmpty: false, Length: <= 64 }, "A profile allows from 1 to 64 audiences.");
        Require(Audiences.All(a => a is { Length: > 0 and <= TokenRequest.MaxTextLength }), "An audience has from 1 to 255 characters.");
        Require(MaxLifetimeSeconds is >= 1 and <= 86_400, "maxLifetimeSeconds is from 1 to 86400.");
        Require(DefaultLifetimeSeconds >= 1 && DefaultLifetimeSeconds <= MaxLifetimeSeconds, "defaultLifetimeSeconds is from 1 to maxLifetimeSeconds.");
        CheckType();
        CheckClaims();
        CheckGrants();
    }

    private void CheckType()
    {
        Require(
            Type is { Length: > 0 and <= MaxTypeLength } && !Type.AsSpan().ContainsAnyExcept(TypeCharacters),
            $"type has from 1 to {MaxTypeLength} letters, digits, dots, dashes, underscores and plus signs.");
        var isOfToken = Type.Equals("JWT", StringComparison.OrdinalIgnoreCase) || Type.EndsWith("+jwt", StringComparison.OrdinalIgnoreCase);
        if (Payloads)
            Require(!isOfToken, "The type of a profile for payloads must be none of a token: what callers give must not pass for one.");
        else
            Require(Type is AccessTokenType or "JWT" || (!IsAccessToken && Type.EndsWith("+jwt", StringComparison.Ordinal)), "type is at+jwt, JWT, or ends with +jwt.");
    }

    private void CheckClaims()
    {
        Require(Subject is null || (Subject.Length is > 0 and <= TokenRequest.MaxTextLength), "subject has from 1 to 255 characters.");
        if (Subject is not null)
            ClaimTemplate.Check("sub", JsonSerializer.SerializeToElement(Subject, SigningJson.Default.String));
        Require(Claims.Count <= MaxClaims && (CallerClaims?.Count ?? 0) <= MaxClaims && Lint.Count <= MaxClaims, $"A profile names at most {MaxClaims} claims of each kind.");
        Require(
            Claims.Keys.Concat(CallerClaims?.Keys ?? []).Concat(Lint.Keys).All(n => n.Length is > 0 and <= TokenRequest.MaxTextLength),
            $"A claim's name has from 1 to {TokenRequest.MaxTextLength} characters.");
        foreach (var (claim, template) in Claims)
        {
            Require(!NotForTemplates.Contains(claim, StringComparer.Ordinal), $"The claim {claim} is the service's own and has no template.");
            ClaimTemplate.Check(claim, template);
        }

        foreach (var (claim, rule) in CallerClaims ?? ImmutableSortedDictionary<string, ClaimRule>.Empty)
        {
            Require(!TokenRequest.IsReserved(claim), $"The claim {claim} is not the caller's to set.");
            Require(rule is not null, $"The claim {claim} has no rule.");
            rule!.Check(claim);
        }

        foreach (var (claim, rule) in Lint)
        {
            Require(rule is not null, $"The claim {claim} has no rule.");
            rule!.Check(claim);
        }

        Require(
            RequiredClaims.Length <= MaxClaims && RequiredClaims.All(c => c is { Length: > 0 and <= TokenRequest.MaxTextLength }),
            $"requiredClaims are at most {MaxClaims} names.");
    }

    private void CheckGrants()
    {
        Require(
            Grants.Length <= 8 && Grants.All(g => g is TokenGrant.ClientCredentials or TokenGrant.TokenExchange),
            $"grants are {TokenGrant.ClientCredentials}, {TokenGrant.TokenExchange} and {TokenGrant.Direct}.");
        Require(!(RequireBinding && Direct is true), $"A token that is had directly is bound to nothing: {TokenGrant.Direct} does not go with requireBinding.");
        Require(
            Scopes.Length <= MaxScopes && Scopes.All(TokenGrant.IsScopeToken),
            $"scopes are at most {MaxScopes} texts without spaces, quotes and backslashes (RFC 6749 section 3.3).");
        if (Payloads)
        {
            Require(
                Subject is null && Claims.IsEmpty && CallerClaims is null && RequiredClaims.IsEmpty && Lint.IsEmpty && Scopes.IsEmpty && !Introspection && !RequireBinding,
                "A profile for payloads has no claims, scopes, introspection or binding.");
        }
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
            throw new SigningException(SigningFault.InvalidRequest, message);
    }
}

/// <summary>What signed for a profile before its key or its issuer was changed.</summary>
/// <param name="Issuer">As <see cref="TokenProfile.Issuer"/>.</param>
/// <param name="Until">No token that it signed is alive after this.</param>
public sealed record FormerSigning(string KeyId, DateTimeOffset Until, string? Issuer = null);
