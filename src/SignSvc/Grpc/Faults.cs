using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc.Rpc;
using SignSvc.Signing;

namespace SignSvc.Grpc;

/// <summary>The one place where faults become gRPC statuses; <see cref="Http.Problems"/> is its sibling.</summary>
public static class Faults
{
    /// <summary>Of every <see cref="ErrorInfo"/>; with the reason it names a fault for machines.</summary>
    public const string Domain = "signsvc";

    /// <summary>Trailer with the audit record of a refusal, and of an answer whose message has no place for it.</summary>
    public const string AuditIdTrailer = "signsvc-audit-id";

    /// <summary>Where nothing better is known. Jitter is added so that callers do not come back together.</summary>
    private static readonly TimeSpan DefaultRetryAfter = TimeSpan.FromSeconds(1);

    /// <summary>Null leaves the exception to the protocol: INTERNAL without a reason, and the exception in the log.</summary>
    public static GrpcException? Of(Exception e) => e is SigningException fault ? Of(fault) : null;

    public static GrpcException Of(SigningException fault)
    {
        var (status, mayRetry) = Describe(fault.Fault);
        var info = new ErrorInfo { Reason = Reason(fault.Fault), Domain = Domain };
        if (fault.AuditId is { } auditId)
            info.Metadata["auditId"] = auditId;
        if (fault.Approval is { } pending)
            info.Metadata["approvalId"] = pending.Approval.Id;
        if (Activity.Current?.TraceId.ToHexString() is { } traceId)
            info.Metadata["traceId"] = traceId;

        IMessage[] details = mayRetry
            ? [info, new RetryInfo { RetryDelay = Duration.FromTimeSpan(WithJitter(fault.RetryAfter ?? DefaultRetryAfter)) }]
            : [info];
        var answer = new GrpcException(status, fault.Message, fault) { Details = details };
        if (fault.AuditId is not null)
            answer.Trailers.Append(AuditIdTrailer, fault.AuditId);
        return answer;
    }

    /// <summary>The problem's code in capitals, as reasons are written: <c>KEY_NOT_USABLE</c>.</summary>
    private static string Reason(SigningFault fault) => JsonNamingPolicy.SnakeCaseUpper.ConvertName(fault.ToString());

    private static (StatusCode Status, bool MayRetry) Describe(SigningFault fault) => fault switch
    {
        SigningFault.InvalidRequest => (StatusCode.InvalidArgument, false),
        SigningFault.InvalidDigest => (StatusCode.InvalidArgument, false),
        SigningFault.UnknownAlgorithm => (StatusCode.InvalidArgument, false),
        SigningFault.AlgorithmMismatch => (StatusCode.InvalidArgument, false),
        SigningFault.HardwareRequired => (StatusCode.FailedPrecondition, false),
        SigningFault.TooLarge => (StatusCode.ResourceExhausted, false),
        SigningFault.Unauthenticated => (StatusCode.Unauthenticated, false),
        SigningFault.Forbidden => (StatusCode.PermissionDenied, false),
        SigningFault.NotFound => (StatusCode.NotFound, false),
        SigningFault.RateLimited => (StatusCode.ResourceExhausted, true),
        SigningFault.NameTaken => (StatusCode.AlreadyExists, false),
        SigningFault.Conflict => (StatusCode.Aborted, false),
        SigningFault.KeyNotUsable => (StatusCode.FailedPrecondition, false),
        SigningFault.StillInUse => (StatusCode.FailedPrecondition, false),
        SigningFault.LocksOut => (StatusCode.FailedPrecondition, false),
        SigningFault.PreconditionFailed => (StatusCode.Aborted, false),
        SigningFault.ApprovalRequired => (StatusCode.FailedPrecondition, false),
        // Not UNIMPLEMENTED, by which clients and proxies understand that the method is not there.
        SigningFault.Unsupported => (StatusCode.FailedPrecondition, false),
        SigningFault.Overloaded => (StatusCode.Unavailable, true),
        SigningFault.BackendUnavailable => (StatusCode.Unavailable, true),
        SigningFault.StoreUnavailable => (StatusCode.Unavailable, true),
        SigningFault.AuditUnavailable => (StatusCode.Unavailable, true),
        SigningFault.DeadlineExceeded => (StatusCode.DeadlineExceeded, false),
        SigningFault.BackendFailed => (StatusCode.Internal, false),
        SigningFault.StoreFailed => (StatusCode.Internal, false),
        _ => (StatusCode.Internal, false),
    };

    private static TimeSpan WithJitter(TimeSpan delay) => delay + TimeSpan.FromMilliseconds(RandomNumberGenerator.GetInt32(2000));
}
