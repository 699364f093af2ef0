using System.Collections.Immutable;

namespace SignSvc.Signing.Keys;

/// <summary>One piece of key material under a key. Immutable; a change makes a new record in a new snapshot.</summary>
public sealed record KeyVersion
{
    /// <summary>The key this version belongs to; with <see cref="Number"/> it binds wrapped material to its place.</summary>
    public required string KeyId { get; init; }

    /// <summary>From 1, without gaps.</summary>
    public required int Number { get; init; }

    public required PublicKey PublicKey { get; init; }

    /// <summary>
    /// What the backend needs to find the private key again: an ARN, a token's CKA_ID, or the wrapped key itself.
    /// Only the backend that made it reads it; it is never shown to a caller. Null once the material is destroyed.
    /// </summary>
    public string? Handle { get; init; }

    public required Protection Protection { get; init; }

    public required VersionState State { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Since when every live node has served its public key; null: not known yet.</summary>
    public DateTimeOffset? ServedAt { get; init; }

    /// <summary>It signs from this moment on, if it is active.</summary>
    public required DateTimeOffset SignsFrom { get; init; }

    /// <summary>When its successor shall take over; null: when it is rotated.</summary>
    public DateTimeOffset? RetiresAt { get; init; }

    /// <summary>The hard stop: it signs until this moment, exclusive, successor or not; null: until it is retired.</summary>
    public DateTimeOffset? SignsUntil { get; init; }

    /// <summary>It was made by a rotation on demand and does not wait for its predecessor's period to end.</summary>
    public bool TakesOverEarly { get; init; }

    public DateTimeOffset? RetiredAt { get; init; }

    public DateTimeOffset? RevokedAt { get; init; }

    public RevocationReason? RevocationReason { get; init; }

    /// <summary>Whether it was revoked while it was announced; null: it is not revoked, or was before this was recorded.</summary>
    public bool? RevokedUnused { get; init; }

    public KeyOrigin Origin { get; init; }

    /// <summary>Certificates for <c>x5c</c>, leaf first, each as base64 of its DER; see <see cref="CertificateChains"/>.</summary>
    public ImmutableArray<string> CertificateChain { get; init => field = value.IsDefault ? [] : value; } = [];

    public string Kid => PublicKey.Kid;

    /// <summary>Published versions stand in the JWKS and verify.</summary>
    public bool IsPublished => State is VersionState.Announced or VersionState.Active or VersionState.Retired;

    /// <summary>It was revoked before it ever signed.</summary>
    public bool NeverSigned => RevokedUnused ?? (State == VersionState.Revoked && RetiredAt is null && RevokedAt < SignsFrom);

    /// <summary>Invariant 2: active, and the clock inside its period.</summary>
    public bool MaySignAt(DateTimeOffset now) =>
        State == VersionState.Active && now >= SignsFrom && (SignsUntil is null || now < SignsUntil);
}
