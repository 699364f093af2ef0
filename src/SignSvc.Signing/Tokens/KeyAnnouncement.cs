using System.Globalization;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tokens;

/// <summary>
/// Since when an issuer's key set shows a key. A version waits out its lead before it signs; a profile that is moved to
/// another key, or a key that is moved to another issuer, waits as long, because verifiers of that issuer have the key set
/// of before in their caches. Whoever is new has nothing to wait for: the first keys of an issuer, and profiles that no
/// caller has had a token of.
/// </summary>
internal static class KeyAnnouncement
{
    /// <returns>Null: it is not shown.</returns>
    /// <param name="issuer">As <see cref="TokenProfile.HostedIssuer"/> has it; null: the service itself.</param>
    public static DateTimeOffset? Since(Snapshot basis, Key key, string? issuer)
    {
        var named = basis.Profiles.Values.Where(p => !p.Payloads).SelectMany(p => UsesOf(p, key)).ToArray();
        if (named.Length == 0 && issuer is null && !key.SignedPayloads)
            return key.CreatedAt;
        var here = named.Where(u => string.Equals(u.Issuer, issuer, StringComparison.Ordinal)).ToArray();
        return here.Length == 0 ? null : here.Min(u => u.Since);
    }

    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: verifiers may not know the key yet.</exception>
    public static void RefuseUnannounced(Snapshot basis, TokenProfile? before, TokenProfile next, Key key, DateTimeOffset now)
    {
        var issuer = next.HostedIssuer;
        if (before is null || next.Payloads || IsSame(before, next) || !HasVerifiers(basis, issuer))
            return;
        var lead = SigningPeriod.LeadOf(key) + KeySchedule.Convergence;
        var whose = issuer is null ? "the service" : $"the issuer {issuer}";
        if (Since(basis, key, issuer) is not { } since)
        {
            throw new SigningException(
                SigningFault.KeyNotUsable,
                string.Create(CultureInfo.InvariantCulture, $"The key set of {whose} does not show {key.Name}, and its verifiers refuse what it signs. Put it on a further profile of the issuer, with the grants {TokenGrant.Direct} alone, and move this one {lead.TotalSeconds} seconds later; or ask for it with force."));
        }

        if (now - lead < since)
        {
            throw new SigningException(
                SigningFault.KeyNotUsable,
                $"The key set of {whose} shows {key.Name} since {since:u}: its verifiers may not know it before {since + lead:u}. Move the profile then, or ask for it with force.");
        }
    }

    public static bool IsSame(TokenProfile before, TokenProfile next) =>
        string.Equals(before.KeyId, next.KeyId, StringComparison.Ordinal) && string.Equals(before.HostedIssuer, next.HostedIssuer, StringComparison.Ordinal);

    private static bool HasVerifiers(Snapshot basis, string? issuer) =>
        issuer is null || basis.Profiles.Values.Any(p => !p.Payloads
            && p.Former.Select(f => TokenProfile.NameOf(f.Issuer)).Append(p.HostedIssuer).Contains(issuer, StringComparer.Ordinal));

    /// <summary>What signed for an issuer is known to its verifiers, so that a move can be taken back at once.</summary>
    private static IEnumerable<(string? Issuer, DateTimeOffset Since)> UsesOf(TokenProfile profile, Key key)
    {
        if (string.Equals(profile.KeyId, key.Id, StringComparison.Ordinal))
            yield return (profile.HostedIssuer, profile.KeySince ?? DateTimeOffset.MinValue);
        foreach (var former in profile.Former.Where(f => string.Equals(f.KeyId, key.Id, StringComparison.Ordinal)))
            yield return (TokenProfile.NameOf(former.Issuer), DateTimeOffset.MinValue);
    }
}
