using SignSvc.Signing.Access.Approvals;

namespace SignSvc.Signing;

/// <summary>
/// The one exception of the domain. Its message is written for the caller and is shown to it: it never holds a secret,
/// a path or a stack. Only the process edge turns it into an answer (HTTP problem, gRPC status).
/// </summary>
public sealed class SigningException : Exception
{
    public SigningException(SigningFault fault, string message, Exception? inner = null) : base(message, inner) =>
        Fault = fault;

    public SigningFault Fault { get; }

    /// <summary>When it is worth trying again, where that is known; null leaves the choice to the edge.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>More words for the audit alone: what the caller is not to know.</summary>
    public string? Reason { get; init; }

    /// <summary>The approval that the request waits for (<see cref="SigningFault.ApprovalRequired"/>).</summary>
    public ApprovalStanding? Approval { get; init; }

    /// <summary>The statement whose limit refused it (<see cref="SigningFault.RateLimited"/>); null: no limit did.</summary>
    public string? Limit { get; init; }

    /// <summary>The audit record of this refusal, once one is durable; null also where another record tells of many like it.</summary>
    public string? AuditId { get; set; }

    /// <summary>The backend is there: the fault is of one of its keys, or of another place, and says nothing of what else is asked of it.</summary>
    public bool BackendAnswered { get; init; }

    /// <summary>The backend's own names of the calls that led to it, for the audit record.</summary>
    public string? BackendRequestId { get; set; }
}
