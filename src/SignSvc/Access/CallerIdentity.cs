using SignSvc.Signing.Access;

namespace SignSvc.Access;

/// <summary>By what a caller was recognised.</summary>
public enum CallerKind
{
    /// <summary>A service credential.</summary>
    Credential,

    /// <summary>A bearer token of a trusted issuer.</summary>
    Oidc,

    /// <summary>A client certificate.</summary>
    Certificate,
}

/// <summary>A caller, and how it was understood.</summary>
/// <param name="Source">The credential's name, the issuer's, or the certificate's SHA-256 in hex.</param>
/// <param name="ExpiresAt">From then on what it showed is refused; null: never.</param>
public sealed record CallerIdentity(Caller Caller, CallerKind Kind, string Source, DateTimeOffset? ExpiresAt);
