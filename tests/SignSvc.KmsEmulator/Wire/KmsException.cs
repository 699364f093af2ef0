namespace SignSvc.Emulation.Wire;

/// <summary>
/// An error as AWS KMS answers it: a code, a message (null where AWS sends none, as for InvalidCiphertextException),
/// and the HTTP status, which is 400 for all but the service's own failures.
/// </summary>
internal sealed class KmsException(string code, string? message = null, int status = StatusCodes.Status400BadRequest)
    : Exception($"{code}: {message}")
{
    public string Code { get; } = code;

    public string? WireMessage { get; } = message;

    public int Status { get; } = status;

    public static KmsException Validation(string message) => new("ValidationException", message);

    /// <summary>A constraint of the API model that one member breaks, in the service framework's words.</summary>
    /// <param name="path">The member as the framework names it: <c>tags.1.member.tagKey</c>.</param>
    /// <param name="value">Null where the member is sensitive and its value is not repeated.</param>
    /// <param name="constraint">What the member must be.</param>
    public static KmsException Constraint(string path, string? value, string constraint) =>
        Validation(
            $"1 validation error detected: Value {(value is null ? "" : $"'{value}' ")}at '{path}' failed to satisfy constraint: {constraint}");

    public static KmsException NotFound(string message) => new("NotFoundException", message);

    public static KmsException InvalidState(string message) => new("KMSInvalidStateException", message);

    public static KmsException Unsupported(string? message = null) => new("UnsupportedOperationException", message);

    public static KmsException LimitExceeded(string message) => new("LimitExceededException", message);

    public static KmsException InvalidKeyUsage(string message) => new("InvalidKeyUsageException", message);

    public static KmsException InvalidCiphertext() => new("InvalidCiphertextException");

    public static KmsException Throttling() =>
        new(
            "ThrottlingException",
            "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.");

    public static KmsException AccessDenied(Caller caller, string operation, string resource) =>
        new(
            "AccessDeniedException",
            $"User: {caller.PrincipalArn} is not authorized to perform: kms:{operation} on resource: {resource} "
                + $"because no resource-based policy allows the kms:{operation} action");
}
