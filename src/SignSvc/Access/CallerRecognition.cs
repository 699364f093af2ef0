using System.Collections.Immutable;
using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using SignSvc.Access.Certificates;
using SignSvc.Access.Issuers;
using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.Access;

/// <summary>
/// Settles who a request is from: by its bearer, which is a service credential or a token of a trusted issuer, or, where
/// it has none, by the client certificate of its connection. A bearer that is refused is not made good by a certificate.
/// Headers that a proxy may have set count for nothing: neither <c>X-Forwarded-For</c> nor a certificate in a header.
/// </summary>
internal sealed class CallerRecognition(Credentials credentials, TrustedIssuers issuers, ClientCertificates certificates)
{
    private const string Scheme = "Bearer ";

    /// <returns>The caller, or, for the operator's eyes, why there is none.</returns>
    public ValueTask<(CallerIdentity? Identity, string Refusal)> RecogniseAsync(HttpContext http)
    {
        var header = http.Request.Headers.Authorization;
        if (header.Count == 0)
            return http.Connection.ClientCertificate is { } certificate ? ValueTask.FromResult(OfCertificate(http, certificate)) : Refused("it showed nothing");
        if (header.Count != 1 || header[0] is not { } value || !value.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return Refused("its Authorization header is no bearer");
        var bearer = value.AsSpan(Scheme.Length);
        if (CompactJws.LooksLikeOne(bearer))
            return OfTokenAsync(http, bearer.ToString());
        return credentials.Recognise(bearer, http.Connection.RemoteIpAddress) is { } credential
            ? ValueTask.FromResult<(CallerIdentity?, string)>((OfCredential(http, credential), ""))
            : Refused("its bearer is no credential that is valid");
    }

    private async ValueTask<(CallerIdentity?, string)> OfTokenAsync(HttpContext http, string jwt)
    {
        var verdict = await issuers.VerifyAsync(jwt, http.RequestAborted);
        if (verdict.Token is not { } token)
            return (null, $"its token is refused: {verdict.Refusal}");
        var caller = Caller(http, token.Principal, token.Roles) with { Claims = token.Claims };
        return (new CallerIdentity(caller, CallerKind.Oidc, token.Issuer, token.ExpiresAt), "");
    }

    private (CallerIdentity?, string) OfCertificate(HttpContext http, X509Certificate2 certificate)
    {
        var (identity, why) = certificates.Recognise(certificate);
        if (identity is null)
            return (null, why);
        var caller = Caller(http, identity.Principal, identity.Roles) with { Claims = identity.Claims };
        return (new CallerIdentity(caller, CallerKind.Certificate, identity.Fingerprint, identity.ExpiresAt), "");
    }

    internal static CallerIdentity OfCredential(HttpContext http, Credential credential) =>
        new(Caller(http, credential.Principal, credential.Roles), CallerKind.Credential, credential.Name, credential.ExpiresAt);

    private static Caller Caller(HttpContext http, string principal, ImmutableArray<Role> roles) =>
        new(principal, roles, http.Connection.RemoteIpAddress?.ToString(), Activity.Current?.TraceId.ToHexString())
        {
            KnownAs = http.RequestServices.GetRequiredService<People>().NameOf(principal),
        };

    private static ValueTask<(CallerIdentity?, string)> Refused(string why) => ValueTask.FromResult<(CallerIdentity?, string)>((null, why));
}
