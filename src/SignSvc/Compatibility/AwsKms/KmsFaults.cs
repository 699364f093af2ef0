using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Compatibility.AwsKms;

/// <param name="Status">400 for all but the service's own failures, as AWS KMS has it; a 500 or 503 makes its clients try again.</param>
internal sealed record KmsFault(string Type, string Message, int Status);

/// <summary>The one place where faults become AWS KMS's errors, in its words where it has some; <see cref="Http.Problems"/> is its sibling.</summary>
internal static class KmsFaults
{
    /// <param name="call">Null: it was refused before it was read.</param>
    /// <param name="key">The key that was asked for, where there is one: a fault of its state has several types there.</param>
    public static KmsFault Of(SigningException fault, KmsCall? call, Key? key) => fault.Fault switch
    {
        SigningFault.InvalidRequest or SigningFault.UnknownAlgorithm or SigningFault.TooLarge => Caller("ValidationException", fault.Message),
        SigningFault.InvalidDigest => Caller("ValidationException", fault.Message),
        SigningFault.AlgorithmMismatch => Caller("InvalidKeyUsageException", OfAlgorithm(fault, call, key)),
        SigningFault.HardwareRequired or SigningFault.Unsupported => Caller("UnsupportedOperationException", fault.Message),
        SigningFault.Unauthenticated => Caller("UnrecognizedClientException", fault.Message),
        SigningFault.Forbidden or SigningFault.ApprovalRequired => Caller("AccessDeniedException", fault.Message),
        SigningFault.NotFound => Of(Unknown(fault, call, key)),
        SigningFault.NameTaken => Caller(
            "AlreadyExistsException",
            call?.AliasReference is { } alias ? $"An alias with the name {KeyNames.AliasArnOf(alias, call.Region)} already exists" : fault.Message),
        SigningFault.Conflict => Caller("ConflictException", fault.Message),
        SigningFault.KeyNotUsable => OfState(fault, call, key),
        SigningFault.StillInUse => Caller("KMSInvalidStateException", fault.Message),
        SigningFault.RateLimited or SigningFault.Overloaded => Caller("ThrottlingException", fault.Message),
        SigningFault.BackendUnavailable => new KmsFault("KeyUnavailableException", fault.Message, 500),
        SigningFault.StoreUnavailable or SigningFault.AuditUnavailable or SigningFault.DeadlineExceeded =>
            new KmsFault("DependencyTimeoutException", fault.Message, 503),
        _ => new KmsFault("KMSInternalException", fault.Message, 500),
    };

    public static KmsFault Of(KmsException refusal) => Caller(refusal.Type, refusal.Message);

    /// <summary>AWS says what does not fit the spec; that the key has fewer algorithms than its spec is ours to say.</summary>
    private static string OfAlgorithm(SigningException fault, KmsCall? call, Key? key)
    {
        if (call is null || key is null)
            return fault.Message;
        return SigningAlgorithm.TryParse(call.Text("SigningAlgorithm") ?? "", out var algorithm) && !key.Spec.CanSignWith(algorithm)
            ? $"Algorithm {algorithm.KmsName} is incompatible with key spec {key.Spec.Name}."
            : $"{KeyNames.ArnOf(key, call.Region)} signs with {string.Join(", ", key.Algorithms.Select(a => a.KmsName))} only.";
    }

    private static KmsException Unknown(SigningException fault, KmsCall? call, Key? key) => call switch
    {
        { KeyReference: { } reference } when key is null => KeyNames.Unknown(reference, call.Region),
        { AliasReference: { } alias } => KeyNames.UnknownAlias(alias, call.Region),
        _ => KmsException.NotFound(fault.Message),
    };

    private static KmsFault OfState(SigningException fault, KmsCall? call, Key? key)
    {
        if (call is null || key is null)
            return Caller("KMSInvalidStateException", fault.Message);
        var arn = KeyNames.ArnOf(key, call.Region);
        return key.State switch
        {
            not KeyState.PendingDeletion when call.Operation is "CancelKeyDeletion" => Caller("KMSInvalidStateException", $"{arn} is not pending deletion."),
            KeyState.PendingDeletion => Caller("KMSInvalidStateException", $"{arn} is pending deletion."),
            _ when key.Versions.IsEmpty => Caller("KMSInvalidStateException", $"{arn} is pending import."),
            KeyState.Disabled => Caller("DisabledException", $"{arn} is disabled."),
            KeyState.Enabled when key.Purpose == KeyPurpose.Tokens => Caller("InvalidKeyUsageException", fault.Message),
            _ => Caller("KMSInvalidStateException", fault.Message),
        };
    }

    private static KmsFault Caller(string type, string message) => new(type, message, StatusCodes.Status400BadRequest);
}
