using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <param name="Status">400 for all but the service's own failures, as AWS KMS has it; a 500 or 503 makes its clients try again.</param>
internal sealed record KmsFault(string Type, string Message, int Status);

/// <summary>The one place where faults become AWS KMS's errors; <see cref="Http.Problems"/> is its sibling.</summary>
internal static class KmsFaults
{
    /// <param name="key">The key that was asked for, where it is known: a fault of its state has several types there.</param>
    public static KmsFault Of(SigningException fault, Key? key, string keyArn) => fault.Fault switch
    {
        SigningFault.InvalidRequest or SigningFault.UnknownAlgorithm or SigningFault.TooLarge => Validation(fault.Message),
        SigningFault.InvalidDigest => Validation(fault.Message),
        SigningFault.AlgorithmMismatch => Caller(
            "InvalidKeyUsageException",
            key is null ? fault.Message : $"{keyArn} signs with {string.Join(", ", key.Algorithms.Select(a => a.KmsName))} only."),
        SigningFault.HardwareRequired or SigningFault.Unsupported => Caller("UnsupportedOperationException", fault.Message),
        SigningFault.Unauthenticated => Caller("UnrecognizedClientException", fault.Message),
        SigningFault.Forbidden => Caller("AccessDeniedException", fault.Message),
        SigningFault.NotFound => Caller("NotFoundException", fault.Message),
        SigningFault.NameTaken => Caller("AlreadyExistsException", fault.Message),
        SigningFault.Conflict => Caller("ConflictException", fault.Message),
        SigningFault.KeyNotUsable => OfState(fault, key, keyArn),
        SigningFault.StillInUse => Caller("KMSInvalidStateException", fault.Message),
        SigningFault.RateLimited or SigningFault.Overloaded => Caller("ThrottlingException", fault.Message),
        SigningFault.BackendUnavailable => new KmsFault("KeyUnavailableException", fault.Message, 500),
        SigningFault.StoreUnavailable or SigningFault.AuditUnavailable or SigningFault.DeadlineExceeded =>
            new KmsFault("DependencyTimeoutException", fault.Message, 503),
        _ => new KmsFault("KMSInternalException", fault.Message, 500),
    };

    private static KmsFault OfState(SigningException fault, Key? key, string keyArn) => key?.State switch
    {
        KeyState.Disabled => Caller("DisabledException", $"{keyArn} is disabled."),
        KeyState.PendingDeletion => Caller("KMSInvalidStateException", $"{keyArn} is pending deletion."),
        KeyState.Enabled when key.Purpose == KeyPurpose.Tokens => Caller("InvalidKeyUsageException", fault.Message),
        _ => Caller("KMSInvalidStateException", fault.Message),
    };

    private static KmsFault Validation(string message) => Caller("ValidationException", message);

    private static KmsFault Caller(string type, string message) => new(type, message, StatusCodes.Status400BadRequest);
}
