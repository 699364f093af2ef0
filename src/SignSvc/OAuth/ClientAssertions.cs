using System.Net;
using SignSvc.Signing.Access;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;

namespace SignSvc.OAuth;

/// <summary>
/// <c>private_key_jwt</c> (RFC 7523 section 3, OpenID Connect Core section 9): <c>iss</c> and <c>sub</c> are the client,
/// <c>aud</c> is this issuer and nothing beside it, <c>exp</c> is near, and <c>jti</c> was never used before: on no node,
/// and not before a restart.
/// </summary>
internal sealed class ClientAssertions(LiveSnapshot live, UsedOnce used, TimeProvider time)
{
    public const string AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

    private const string Scope = "client_assertion";

    /// <summary>A longer one would have to be remembered for longer.</summary>
    private static readonly TimeSpan MaxLifetime = TimeSpan.FromMinutes(10);

    /// <summary>How far the client's clock may be from ours.</summary>
    private static readonly TimeSpan Skew = TimeSpan.FromSeconds(30);

    /// <exception cref="OAuthException"><c>invalid_client</c>, whatever is wrong with it.</exception>
    public async Task<Credential> RecogniseAsync(OAuthForm form, string issuer, IPAddress? from, CancellationToken cancellationToken)
    {
        if (!string.Equals(form["client_assertion_type"], AssertionType, StringComparison.Ordinal))
            throw OAuthException.InvalidRequest($"client_assertion_type is {AssertionType}.");
        var now = time.GetUtcNow();
        if (CompactJws.TryParseJwt(form["client_assertion"]) is not { } assertion
            || assertion.Type is not (null or "jwt" or "client-authentication+jwt")
            || assertion.Text("sub") is not { } subject
            || !string.Equals(assertion.Text("iss"), subject, StringComparison.Ordinal)
            || live.Current.Credential(subject) is not { } credential
            || (form["client_id"] is { } clientId && !ReferenceEquals(live.Current.Credential(clientId), credential))
            || !credential.IsUsable(now, from)
            || !IsSigned(assertion, credential)
            || !string.Equals(assertion.Text("aud"), issuer, StringComparison.Ordinal)
            || !IsTimely(assertion, now)
            || assertion.Text("jti") is not { Length: > 0 and <= 255 } id
            || !await used.TryUseAsync(Scope, [credential.Id, id], now + MaxLifetime + Skew, cancellationToken))
        {
            throw OAuthException.InvalidClient();
        }

        return credential;
    }

    /// <summary>By the key that the header's kid names, or by any of the algorithm where it names none.</summary>
    private static bool IsSigned(CompactJws assertion, Credential credential) => credential.ClientKeys
        .Where(k => assertion.Kid is null || k.Kid is null || string.Equals(k.Kid, assertion.Kid, StringComparison.Ordinal))
        .Any(k => assertion.IsSignedBy(k.PublicKey, k.Algorithm));

    private static bool IsTimely(CompactJws assertion, DateTimeOffset now) =>
        assertion.Time("exp") is { } expires && expires > now - Skew && expires <= now + MaxLifetime
        && IsPast(assertion, "iat", now) && IsPast(assertion, "nbf", now);

    private static bool IsPast(CompactJws assertion, string claim, DateTimeOffset now) =>
        !assertion.Claims.TryGetProperty(claim, out _) || assertion.Time(claim) <= now + Skew;
}
