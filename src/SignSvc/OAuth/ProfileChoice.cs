using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>What a client asks for: scopes, audiences, and perhaps a profile by its name.</summary>
internal sealed record ProfileWish(string Grant, IReadOnlyList<string> Scopes, IReadOnlyList<string> Audiences, string? Profile)
{
    /// <exception cref="OAuthException"><c>invalid_scope</c>, <c>invalid_target</c>.</exception>
    public static ProfileWish Parse(OAuthForm form, string grant)
    {
        var scopes = form["scope"]?.Split(' ') ?? [];
        if (scopes.Length > 64 || !scopes.All(TokenGrant.IsScopeToken))
            throw OAuthException.InvalidScope("scope is a list of at most 64 scope tokens, joined by single spaces.");
        var resources = form.All("resource");
        if (!resources.All(IsResource))
            throw OAuthException.InvalidTarget("A resource is an absolute URI without a fragment.");
        var audiences = resources.Concat(form.All("audience")).Distinct(StringComparer.Ordinal).ToArray();
        if (audiences.Length > TokenRequest.MaxAudiences || audiences.Any(a => a.Length > TokenRequest.MaxTextLength))
            throw OAuthException.InvalidTarget($"A token has at most {TokenRequest.MaxAudiences} audiences of {TokenRequest.MaxTextLength} characters.");
        return new ProfileWish(grant, [.. scopes.Distinct(StringComparer.Ordinal)], audiences, form["profile"]);
    }

    /// <summary>RFC 8707 section 2, RFC 3986 section 4.3. A path counts as a URI of a file for .NET.</summary>
    private static bool IsResource(string text) =>
        text.IndexOf(':', StringComparison.Ordinal) is > 0 and var colon && Uri.CheckSchemeName(text[..colon])
        && Uri.TryCreate(text, UriKind.Absolute, out _) && !text.Contains('#', StringComparison.Ordinal);

    /// <summary>
    /// The profile of this issuer that allows all of it: the one that is named; else the one that lists every audience
    /// itself, before those that allow it by a <c>*</c>; among equals those that the client may use, and among these the
    /// one called <c>default</c>.
    /// </summary>
    /// <param name="mayUse">Whether policy lets the client have a profile's tokens. It decides between profiles, and is asked again before one is signed.</param>
    /// <param name="issuer">As profiles name it; null: the service's own.</param>
    /// <exception cref="OAuthException"><c>unauthorized_client</c>, <c>invalid_scope</c>, <c>invalid_target</c>, or <c>invalid_request</c> where several fit.</exception>
    public TokenProfile Choose(Snapshot snapshot, string? issuer, Func<TokenProfile, bool> mayUse)
    {
        var all = snapshot.Profiles.Values.Where(p =>
            !p.Payloads && string.Equals(p.Issuer, issuer, StringComparison.Ordinal)
            && (Profile is null || string.Equals(p.Name, Profile, StringComparison.Ordinal))).ToArray();
        var ofGrant = all.Where(p => p.Grants.Contains(Grant, StringComparer.Ordinal)).ToArray();
        if (ofGrant.Length == 0)
        {
            throw Profile is not null && all.Length == 0
                ? OAuthException.InvalidRequest("This issuer has no such token profile.")
                : new OAuthException("unauthorized_client", Signing.SigningFault.Forbidden, "No token profile that was asked for is for this grant type.");
        }

        var ofScope = ofGrant.Where(p => Scopes.All(s => p.Scopes.Contains(s, StringComparer.Ordinal))).ToArray();
        if (ofScope.Length == 0)
            throw OAuthException.InvalidScope("No token profile of this issuer has these scopes.");
        var fitting = ofScope.Where(p => Audiences.All(p.AllowsAudience)).ToArray();
        if (fitting.Length == 0)
            throw OAuthException.InvalidTarget("No token profile of this issuer has these audiences.");

        var best = fitting.Where(p => Audiences.All(a => p.Audiences.Contains(a, StringComparer.Ordinal))).ToArray();
        var equals = best.Length > 0 ? best : fitting;
        if (equals.Length > 1 && equals.Where(mayUse).ToArray() is { Length: > 0 } usable)
            equals = usable;
        var chosen = equals is [var only]
            ? only
            : equals.FirstOrDefault(p => p.Name is "default")
                ?? throw OAuthException.InvalidRequest("Several token profiles fit: name one by the parameter profile.");
        return Audiences.Count > 0 || chosen.Audiences.Any(a => !a.EndsWith('*'))
            ? chosen
            : throw OAuthException.InvalidTarget($"Name a resource or an audience: the token profile {chosen.Name} has none by default.");
    }
}
