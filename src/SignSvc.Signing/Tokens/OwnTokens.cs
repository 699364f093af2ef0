using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tokens;

/// <summary>A token of this service that is genuine and has not expired.</summary>
/// <param name="Profile">The one that it was issued by, as it stands now.</param>
public sealed record OwnToken(CompactJws Jws, TokenProfile Profile, string TokenId, DateTimeOffset ExpiresAt);

/// <summary>Recognises the tokens that this service signed under a profile. No I/O: what was revoked one by one is the caller's to ask.</summary>
public sealed class OwnTokens(LiveSnapshot live, TokenIssuing tokens, TimeProvider time)
{
    /// <summary>Where a token was revoked; see <see cref="IUseOnce"/>.</summary>
    public const string RevokedScope = "revoked";

    /// <param name="issuer">The issuer that is asked, as profiles name it; tokens of the others are none.</param>
    /// <returns>
    /// Null where it is none of ours, altered, expired, of another issuer, or its key is no longer published; also where the
    /// profile that it was issued by was deleted, whichever others have the same key and issuer.
    /// </returns>
    public OwnToken? Recognise(string? token, string? issuer)
    {
        if (CompactJws.TryParseJwt(token) is not { Kid: { } kid } jws)
            return null;
        var snapshot = live.Current;
        if (!snapshot.KeySets.TryGetVersion(kid, out var key, out var version) || !jws.IsSignedBy(version.PublicKey, key.Algorithms[0]))
            return null;
        if (!string.Equals(jws.Text("iss"), tokens.UrlOf(issuer), StringComparison.Ordinal)
            || jws.Time("exp") is not { } expires || expires <= time.GetUtcNow() || jws.Text("jti") is not { Length: > 0 } id)
        {
            return null;
        }

        var profile = snapshot.Profiles.Values.FirstOrDefault(p => !p.Payloads && Signs(p, key, issuer) && TokenId.IsOf(p.Name, id));
        return profile is null ? null : new OwnToken(jws, profile, id, expires);
    }

    /// <summary>A profile of the same name that was made since, for another key or issuer, never issued it.</summary>
    private static bool Signs(TokenProfile profile, Key key, string? issuer) =>
        (string.Equals(profile.KeyId, key.Id, StringComparison.Ordinal) && string.Equals(profile.Issuer, issuer, StringComparison.Ordinal))
        || profile.Former.Any(f => string.Equals(f.KeyId, key.Id, StringComparison.Ordinal) && string.Equals(f.Issuer, issuer, StringComparison.Ordinal));
}
