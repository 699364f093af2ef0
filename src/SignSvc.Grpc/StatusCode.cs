namespace SignSvc.Grpc;

/// <summary>How a call ended. Names and numbers are those of gRPC (github.com/grpc/grpc, doc/statuscodes.md).</summary>
public enum StatusCode
{
    Ok = 0,

    /// <summary>The caller gave up.</summary>
    Cancelled = 1,
    Unknown = 2,

    /// <summary>The request is wrong whatever the state of the server.</summary>
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,

    /// <summary>A quota, a rate or a size limit.</summary>
    ResourceExhausted = 8,

    /// <summary>The state has to change before the same request can succeed.</summary>
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,

    /// <summary>A broken invariant, or bytes that break the protocol.</summary>
    Internal = 13,

    /// <summary>Trying again later may help.</summary>
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}
