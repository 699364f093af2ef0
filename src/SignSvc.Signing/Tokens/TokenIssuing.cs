using System.Buffers;
using System.Text.Json;
using SignSvc.Signing.Access;

namespace SignSvc.Signing.Tokens;

/// <summary>Settles what a token says: the profile's rules over the caller's wishes.</summary>
/// <param name="defaultIssuer">The service's own public URL, for profiles without an issuer.</param>
public sealed class TokenIssuing(string defaultIssuer)
{
    public string DefaultIssuer => defaultIssuer;

    /// <summary>The claim <c>iss</c> of an issuer as profiles name it.</summary>
    public string UrlOf(string? issuer) => issuer is null
        ? defaultIssuer
        : TokenProfile.NameOf(issuer) is { } name ? $"{defaultIssuer}/issuers/{name}" : issuer;

    /// <summary>The claims <c>iss</c> that tokens of these profiles have, or had while some may be alive; the service's own among them.</summary>
    public IEnumerable<string> IssuersOf(IEnumerable<TokenProfile> profiles) =>
        profiles.Where(p => !p.Payloads).SelectMany(p => p.Former.Select(f => f.Issuer).Append(p.Issuer)).Append(null).Select(UrlOf).Distinct(StringComparer.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: the profile does not allow it.</exception>
    public TokenClaims Settle(Caller caller, TokenProfile profile, TokenRequest request, DateTimeOffset now)
    {
        if (profile.Payloads)
            throw Refused($"The profile {profile.Name} signs payloads and issues no tokens.");
        if (request.Grant is null)
            RequireDirect(profile, request.Claims);
        // NumericDate has whole seconds here: what the answer says and what the claim says are the same.
        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        var claims = new TokenClaims(
            UrlOf(profile.Issuer),
            SettleSubject(caller, profile, request),
            caller.Name,
            SettleAudiences(profile, request.Audiences),
            issuedAt,
            issuedAt.AddSeconds(SettleLifetime(profile, request, issuedAt)),
            TokenId.New(profile.Name),
            SettleFurther(caller, profile, request));
        TokenLint.Check(profile, claims);
        return claims;
    }

    /// <summary>Who asks without a grant shows no proof of a key and no token to exchange: what a profile demands of the token endpoint's clients, it demands of all.</summary>
    private void RequireDirect(TokenProfile profile, JsonElement? claims)
    {
        if (!profile.IsDirect)
        {
            var what = profile.RequireBinding ? "are bound to a key or a certificate and cannot be had directly" : "are not had directly";
            // The token endpoint speaks for issuers that are hosted here.
            var where = profile.Grants.IsEmpty || (profile.Issuer is not null && profile.HostedIssuer is null)
                ? $"its grants would have to name {TokenGrant.Direct}"
                : $"ask at {UrlOf(profile.Issuer)}/oauth2/token, by {string.Join(" or ", profile.Grants)}";
            throw Refused($"Tokens of the profile {profile.Name} {what}: {where}.");
        }

        if (!profile.Scopes.IsEmpty && claims is { } wishes && wishes.TryGetProperty("scope", out var scope)
            && !(scope.ValueKind == JsonValueKind.String && scope.GetString()!.Split(' ').All(s => profile.Scopes.Contains(s, StringComparer.Ordinal))))
        {
            throw Refused($"The claim scope is a text of scopes of the profile {profile.Name}, joined by single spaces: {string.Join(' ', profile.Scopes)}.");
        }
    }

    private static long SettleLifetime(TokenProfile profile, TokenRequest request, DateTimeOffset issuedAt)
    {
        var lifetime = request.LifetimeSeconds ?? profile.DefaultLifetimeSeconds;
        if (lifetime < 1 || lifetime > profile.MaxLifetimeSeconds)
            throw Refused($"lifetimeSeconds is from 1 to {profile.MaxLifetimeSeconds} under the profile {profile.Name}.");
        if (request.Grant?.LatestExpiry is not { } latest)
            return lifetime;
        var left = (long)(latest - issuedAt).TotalSeconds;
        return left >= 1 ? Math.Min(lifetime, left) : throw Refused("The token that is exchanged has expired.");
    }

    private static string SettleSubject(Caller caller, TokenProfile profile, TokenRequest request)
    {
        if (profile.Subject is null)
            return request.Subject ?? caller.Name;
        var subject = ClaimTemplate.Text("sub", profile.Subject, new ClaimSources(caller, request));
        return subject is { Length: > 0 and <= TokenRequest.MaxTextLength }
            ? subject
            : throw Refused($"The subject of the profile {profile.Name} is empty or too long for this request.");
    }

    private static IReadOnlyList<string> SettleAudiences(TokenProfile profile, IReadOnlyList<string> wishes)
    {
        if (wishes.Count == 0)
        {
            return profile.Audiences.FirstOrDefault(a => !a.EndsWith('*')) is { } audience
                ? [audience]
                : throw Refused($"The profile {profile.Name} has no default audience: name one.");
        }

        return wishes.FirstOrDefault(a => !profile.AllowsAudience(a)) is { } stranger
            ? throw Refused($"The profile {profile.Name} does not allow the audience {stranger}.")
            : wishes;
    }

    /// <summary>The caller's claims, the profile's, and the grant's. The profile's win over the caller's, the grant's over both.</summary>
    private static JsonElement? SettleFurther(Caller caller, TokenProfile profile, TokenRequest request)
    {
        if (request.Claims is { } wishes && profile.CallerClaims is { } rules)
        {
            foreach (var wish in wishes.EnumerateObject())
            {
                if (!rules.TryGetValue(wish.Name, out var rule))
                    throw Refused($"The profile {profile.Name} does not let a caller set the claim {wish.Name}.");
                if (rule.Fault(wish.Name, wish.Value) is { } fault)
                    throw Refused(fault);
            }
        }

        // The usual token says nothing but what its caller sent.
        if (profile.Claims.IsEmpty && request.Grant is null)
            return request.Claims;

        var buffer = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            var sources = new ClaimSources(caller, request);
            foreach (var (claim, template) in profile.Claims)
            {
                if (!IsOfGrant(request.Grant, claim))
                    ClaimTemplate.Write(writer, claim, template, sources);
            }

            if (request.Claims is { } given)
            {
                foreach (var claim in given.EnumerateObject().Where(c => !profile.Claims.ContainsKey(c.Name)))
                    claim.WriteTo(writer);
            }

            WriteGrant(writer, request.Grant);
            writer.WriteEndObject();
        }

        using var json = JsonDocument.Parse(buffer.WrittenMemory);
        return json.RootElement.Clone();
    }

    private static bool IsOfGrant(TokenGrant? grant, string claim) => claim is "scope" && grant?.Scope is not null;

    private static void WriteGrant(Utf8JsonWriter writer, TokenGrant? grant)
    {
        if (grant?.Scope is { } scope)
            writer.WriteString("scope", scope);
        if (grant?.Confirmation is var (member, value))
        {
            writer.WriteStartObject("cnf");
            writer.WriteString(member, value);
            writer.WriteEndObject();
        }

        if (grant?.Actor is { } actor)
        {
            writer.WritePropertyName("act");
            actor.WriteTo(writer);
        }
    }

    private static SigningException Refused(string message) => new(SigningFault.InvalidRequest, message);
}
