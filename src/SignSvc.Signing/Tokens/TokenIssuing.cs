using SignSvc.Signing.Access;

namespace SignSvc.Signing.Tokens;

/// <summary>Settles what a token says: the profile's rules over the caller's wishes.</summary>
/// <param name="defaultIssuer">The service's own public URL, for profiles without an issuer.</param>
public sealed class TokenIssuing(string defaultIssuer)
{
    public string DefaultIssuer => defaultIssuer;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: the profile does not allow it.</exception>
    public TokenClaims Settle(Caller caller, TokenProfile profile, TokenRequest request, DateTimeOffset now)
    {
        var lifetime = request.LifetimeSeconds ?? profile.DefaultLifetimeSeconds;
        if (lifetime < 1 || lifetime > profile.MaxLifetimeSeconds)
            throw Refused($"lifetimeSeconds is from 1 to {profile.MaxLifetimeSeconds} under the profile {profile.Name}.");
        // NumericDate has whole seconds here: what the answer says and what the claim says are the same.
        var issuedAt = DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds());
        return new TokenClaims(
            profile.Issuer ?? defaultIssuer,
            request.Subject ?? caller.Name,
            caller.Name,
            SettleAudiences(profile, request.Audiences),
            issuedAt,
            issuedAt.AddSeconds(lifetime),
            TokenWriter.NewTokenId(),
            request.Claims);
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

    private static SigningException Refused(string message) => new(SigningFault.InvalidRequest, message);
}
