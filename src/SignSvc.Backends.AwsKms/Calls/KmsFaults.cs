using System.Net;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Signing;

namespace SignSvc.Backends.AwsKms.Calls;

/// <summary>
/// What AWS KMS and its SDK say, in SignSvc's words (AWS KMS API reference, "Common Errors" and each operation's).
/// Messages are ours: AWS's name accounts and ARNs, and callers see ours.
/// </summary>
internal static class KmsFaults
{
    /// <summary>
    /// Not the caller's cancellation, nor a defect. AmazonClientException is no ancestor of AmazonServiceException. The
    /// SDK's own time-outs are TimeoutException, or look like a cancellation that nobody asked for.
    /// </summary>
    public static bool IsFault(Exception exception, CancellationToken cancellationToken) => exception switch
    {
        AmazonServiceException { ErrorCode.Length: > 0 } => true,
        AmazonServiceException or AmazonClientException or HttpRequestException or IOException or TimeoutException or WebException
            or OperationCanceledException => !cancellationToken.IsCancellationRequested,
        _ => false,
    };

    /// <summary>
    /// The SDK leaves null what an answer does not have. Whether it has what is read of it here; of an empty one, which
    /// AWS does not send and a proxy may, nothing is known.
    /// </summary>
    public static bool IsWhole(object? answer) => answer switch
    {
        CreateKeyResponse made => made.KeyMetadata?.Arn is not null,
        DescribeKeyResponse described => described.KeyMetadata is { Arn: not null, KeyState: not null },
        GetPublicKeyResponse half => half.PublicKey is not null,
        SignResponse signed => signed.Signature is not null,
        GetParametersForImportResponse import => import is { PublicKey: not null, ImportToken: not null },
        EncryptResponse wrapped => wrapped.CiphertextBlob is not null,
        ReEncryptResponse rewrapped => rewrapped.CiphertextBlob is not null,
        DecryptResponse unwrapped => unwrapped.Plaintext is not null,
        GenerateDataKeyPairWithoutPlaintextResponse pair => pair is { PublicKey: not null, PrivateKeyCiphertextBlob: not null },
        _ => answer is not null,
    };

    /// <summary>No refusal: a key that was to be made may have been.</summary>
    public static SigningException Hollow(string place) =>
        new(SigningFault.BackendUnavailable, $"AWS KMS in {place} answered without what was asked for.");

    /// <param name="isYoung">The key, alias or replica was made just now: that it is not found there yet passes.</param>
    /// <param name="isReplica">It was asked for in another Region than its own: missing there, it is not gone.</param>
    public static SigningException From(Exception exception, string place, bool isYoung, bool isReplica) => exception switch
    {
        AmazonServiceException { ErrorCode: { Length: > 0 } code } service => FromCode(code, service, place, isYoung, isReplica),
        AmazonServiceException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError } =>
            new SigningException(SigningFault.BackendFailed, $"AWS KMS in {place} refused the call.", exception),
        // The SDK has no type for it.
        AmazonClientException { Message: { } words } when words.Contains("credentials", StringComparison.OrdinalIgnoreCase) =>
            new SigningException(SigningFault.BackendUnavailable, $"No AWS credentials were found for {place}, or they could not be renewed.", exception),
        _ => new SigningException(SigningFault.BackendUnavailable, $"AWS KMS in {place} does not answer.", exception),
    };

    private static SigningException FromCode(string code, AmazonServiceException exception, string place, bool isYoung, bool isReplica)
    {
        switch (code)
        {
            // Not modelled, so there is no .NET type for it.
            case "ThrottlingException" or "Throttling" or "ThrottledException" or "TooManyRequestsException" or "RequestLimitExceeded" or "SlowDown":
                return new SigningException(SigningFault.Overloaded, $"AWS KMS in {place} is throttling.", exception)
                {
                    RetryAfter = TimeSpan.FromSeconds(1),
                };
            case "KMSInternalException" or "DependencyTimeoutException" or "KeyUnavailableException" or "InternalFailure"
                or "InternalServerError" or "ServiceUnavailable" or "ServiceUnavailableException" or "RequestTimeout":
            // Credentials are renewed before the next try.
            case "ExpiredTokenException" or "ExpiredToken":
                return new SigningException(SigningFault.BackendUnavailable, $"AWS KMS in {place} could not answer.", exception);
            case "NotFoundException" when isYoung || isReplica:
            case "KMSInvalidStateException" when isYoung:
                return new SigningException(SigningFault.BackendUnavailable, $"The key is not in {place} yet.", exception) { BackendAnswered = true };
            case "NotFoundException":
                return new SigningException(SigningFault.KeyNotUsable, $"The key is gone from AWS KMS in {place}.", exception);
            case "DisabledException" or "KMSInvalidStateException":
                return new SigningException(SigningFault.KeyNotUsable, $"The key is disabled or pending deletion in AWS KMS in {place}.", exception);
            case "LimitExceededException":
                return new SigningException(SigningFault.BackendFailed, $"AWS KMS in {place} has reached a resource quota of the account.", exception);
            case "AccessDeniedException" or "AccessDenied":
                return new SigningException(SigningFault.BackendFailed, $"AWS KMS in {place} denies this service the call: its policies have to change.", exception);
            default:
                return new SigningException(
                    (int)exception.StatusCode >= 500 ? SigningFault.BackendUnavailable : SigningFault.BackendFailed,
                    $"AWS KMS in {place} refused the call ({code}).", exception);
        }
    }

    public static bool Is(this SigningException exception, params ReadOnlySpan<string> codes) =>
        exception.InnerException is AmazonServiceException { ErrorCode: { } code } && codes.Contains(code);
}
