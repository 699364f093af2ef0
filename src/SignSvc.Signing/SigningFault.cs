namespace SignSvc.Signing;

/// <summary>
/// Everything that can go wrong with a request, as the caller needs to know it. The name in kebab-case is the code of
/// the problem (<c>urn:signsvc:problem:&lt;code&gt;</c>) and is stable: rename nothing, add at the end of a group.
/// <c>docs/api.md</c> says for each who has to act.
/// </summary>
public enum SigningFault
{
    // The caller's request has to change.
    InvalidRequest,
    InvalidDigest,
    UnknownAlgorithm,
    AlgorithmMismatch,
    HardwareRequired,
    TooLarge,

    // The caller's standing has to change.
    Unauthenticated,
    Forbidden,
    NotFound,
    RateLimited,

    // The state of the key or of the store has to change.
    NameTaken,
    Conflict,
    KeyNotUsable,
    Unsupported,
    StillInUse,
    LocksOut,
    ApprovalRequired,
    PreconditionFailed,

    // Nothing is wrong with the request: try again later.
    Overloaded,
    BackendUnavailable,
    StoreUnavailable,
    AuditUnavailable,
    DeadlineExceeded,

    // An operator has to act.
    BackendFailed,
    StoreFailed,
    Internal,
}
