namespace SignSvc.Signing.Keys;

public enum KeyPurpose
{
    Artifacts,
    Tokens,
}

/// <summary><c>assured</c>: the private key lives in a backend and every signature is a call to it. <c>volume</c>: a short-lived key, stored wrapped, used in memory.</summary>
public enum KeyTier
{
    Assured,
    Volume,
}

/// <summary>What guards the private key; never more than is true. Ordered from the weakest.</summary>
public enum Protection
{
    Software,
    Kms,
    Hsm,
}

public enum KeyState
{
    Enabled,
    Disabled,
    PendingDeletion,
    Deleted,
}

/// <summary>States of one version (NIST SP 800-57 part 1 section 7, in our words).</summary>
public enum VersionState
{
    /// <summary>Published, not signing yet.</summary>
    Announced,

    /// <summary>Signs.</summary>
    Active,

    /// <summary>Verifies and is published; signs no more.</summary>
    Retired,

    /// <summary>No longer published.</summary>
    Removed,

    /// <summary>The private key is gone for good.</summary>
    Destroyed,

    /// <summary>Compromised or withdrawn: neither signs nor verifies nor is published.</summary>
    Revoked,
}

/// <summary>Why a version was revoked (RFC 5280 section 5.3.1 has the same words).</summary>
public enum RevocationReason
{
    Compromised,
    Superseded,
    Ceased,
}

/// <summary>Where the key material was made.</summary>
public enum KeyOrigin
{
    /// <summary>In the backend.</summary>
    Generated,

    /// <summary>Elsewhere, and brought here: somebody else may hold it still.</summary>
    Imported,

    /// <summary>In the backend, by somebody else, before SignSvc was told of it.</summary>
    Adopted,
}
