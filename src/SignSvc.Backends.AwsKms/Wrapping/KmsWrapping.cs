using System.Security.Cryptography;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Wrapping;

/// <summary>
/// Secrets of the volume tier under a symmetric KMS key. The encryption context names key, version and purpose: KMS
/// binds it, demands it again to the letter, and writes it into CloudTrail.
/// </summary>
internal sealed class KmsWrapping(AwsKmsOptions options, KmsCalls calls)
{
    /// <summary>The most that Encrypt takes; an RSA-4096 private key in PKCS#8 has about 2,400 bytes.</summary>
    private const int MostPlaintext = 4096;

    private const int MostCiphertext = 6144;

    public async Task<byte[]> WrapAsync(ReadOnlyMemory<byte> secret, WrappingContext context, CancellationToken cancellationToken)
    {
        if (secret.Length is 0 or > MostPlaintext)
            throw new SigningException(SigningFault.TooLarge, $"AWS KMS wraps secrets of 1 to {MostPlaintext} bytes.");
        var plaintext = secret.ToArray();
        try
        {
            var answer = await AskAsync((kms, cancel) => kms.EncryptAsync(
                new EncryptRequest { KeyId = WrappingKey, Plaintext = new MemoryStream(plaintext), EncryptionContext = ContextOf(context) }, cancel), cancellationToken);
            return answer.CiphertextBlob.ToArray();
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plaintext);
        }
    }

    public async Task<byte[]> UnwrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken)
    {
        var answer = await WithItsKeyAsync(wrapped, key => AskAsync((kms, cancel) => kms.DecryptAsync(
            new DecryptRequest { KeyId = key, CiphertextBlob = new MemoryStream(wrapped.ToArray()), EncryptionContext = ContextOf(context) }, cancel),
            cancellationToken));
        var secret = answer.Plaintext.ToArray();
        if (answer.Plaintext.TryGetBuffer(out var copy))
            CryptographicOperations.ZeroMemory(copy);
        return secret;
    }

    /// <summary>Under the wrapping key's newest material; what a former wrapping key wrapped comes under the present one.</summary>
    public async Task<byte[]> RewrapAsync(ReadOnlyMemory<byte> wrapped, WrappingContext context, CancellationToken cancellationToken)
    {
        var answer = await WithItsKeyAsync(wrapped, key => AskAsync((kms, cancel) => kms.ReEncryptAsync(
            new ReEncryptRequest
            {
                CiphertextBlob = new MemoryStream(wrapped.ToArray()),
                SourceKeyId = key,
                SourceEncryptionContext = ContextOf(context),
                DestinationKeyId = WrappingKey,
                DestinationEncryptionContext = ContextOf(context),
            },
            cancel), cancellationToken));
        return answer.CiphertextBlob.ToArray();
    }

    public async Task<WrappedKeyPair> MakeWrappedAsync(KeyPairRequest request, CancellationToken cancellationToken)
    {
        var context = new WrappingContext(request.KeyId, request.Version, request.Purpose);
        var answer = await AskAsync((kms, cancel) => kms.GenerateDataKeyPairWithoutPlaintextAsync(
            new GenerateDataKeyPairWithoutPlaintextRequest
            {
                KeyId = WrappingKey,
                KeyPairSpec = request.Spec.Name,
                EncryptionContext = ContextOf(context),
            },
            cancel), cancellationToken);
        var publicKey = PublicKey.FromSpki(answer.PublicKey.ToArray());
        return publicKey.Spec == request.Spec
            ? new WrappedKeyPair(publicKey, answer.PrivateKeyCiphertextBlob.ToArray())
            : throw new SigningException(SigningFault.BackendFailed, $"AWS KMS made no {request.Spec} key pair.");
    }

    /// <summary>Turns automatic rotation on. KMS keeps old material, so that what was wrapped is unwrapped as before.</summary>
    public async Task EnsureRotationAsync(CancellationToken cancellationToken)
    {
        if (options.WrappingKey is null || options.WrappingKeyRotationDays is not { } days)
            return;
        // Rotation is asked for by id; an alias is not taken.
        var key = (await calls.RepeatAsync(
            options.Region, (kms, cancel) => kms.DescribeKeyAsync(new DescribeKeyRequest { KeyId = WrappingKey }, cancel), cancellationToken)).KeyMetadata;
        if (key.KeySpec != Amazon.KeyManagementService.KeySpec.SYMMETRIC_DEFAULT || key.KeyUsage != KeyUsageType.ENCRYPT_DECRYPT)
            throw new SigningException(SigningFault.BackendFailed, $"{nameof(AwsKmsOptions.WrappingKey)} is no symmetric key for encryption.");
        if (key.Origin != OriginType.AWS_KMS)
            return;
        var status = await calls.RepeatAsync(
            options.Region, (kms, cancel) => kms.GetKeyRotationStatusAsync(new GetKeyRotationStatusRequest { KeyId = key.KeyId }, cancel), cancellationToken);
        if (status.KeyRotationEnabled != true || status.RotationPeriodInDays != days)
        {
            await calls.RepeatAsync(
                options.Region,
                (kms, cancel) => kms.EnableKeyRotationAsync(new EnableKeyRotationRequest { KeyId = key.KeyId, RotationPeriodInDays = days }, cancel),
                cancellationToken);
        }
    }

    private string WrappingKey => options.WrappingKey
        ?? throw new SigningException(
            SigningFault.Unsupported,
            $"This backend wraps no volume keys: its setting {nameof(AwsKmsOptions.WrappingKey)} names no KMS key. Set it, or choose another backend.");

    /// <summary>What is wrong with a wrapping key is the operator's to mend, and no fault of the key that it wraps.</summary>
    private async Task<T> AskAsync<T>(Func<IAmazonKeyManagementService, CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        try
        {
            return await calls.OnceAsync(options.Region, call, cancellationToken);
        }
        catch (SigningException e) when (e.Is("NotFoundException"))
        {
            throw Unusable($"does not exist in AWS KMS in {options.Region}", e);
        }
        catch (SigningException e) when (e.Is("DisabledException", "KMSInvalidStateException"))
        {
            throw Unusable($"is disabled or pending deletion in AWS KMS in {options.Region}", e);
        }
        catch (SigningException e) when (e.Is("InvalidKeyUsageException", "UnsupportedOperationException"))
        {
            throw Unusable("is no symmetric key for encryption", e);
        }
    }

    private static SigningException Unusable(string why, SigningException inner) => new(
        SigningFault.BackendFailed,
        $"The wrapping key that the setting {nameof(AwsKmsOptions.WrappingKey)} of this backend names {why}.", inner.InnerException);

    private static Dictionary<string, string> ContextOf(WrappingContext context) => new(StringComparer.Ordinal)
    {
        ["signsvc:key-id"] = context.KeyId,
        ["signsvc:version"] = $"{context.Version}",
        ["signsvc:purpose"] = context.Purpose == KeyPurpose.Tokens ? "tokens" : "artifacts",
    };

    /// <summary>The key is always named, so that a ciphertext of some other key that this service may use opens nothing.</summary>
    private async Task<T> WithItsKeyAsync<T>(ReadOnlyMemory<byte> wrapped, Func<string, Task<T>> call)
    {
        if (wrapped.Length is 0 or > MostCiphertext)
            throw NotOurs(inner: null);
        SigningException? last = null;
        foreach (var key in options.FormerWrappingKeys.Prepend(WrappingKey))
        {
            try
            {
                return await call(key);
            }
            catch (SigningException e) when (e.Is("IncorrectKeyException"))
            {
                last = e;
            }
            catch (SigningException e) when (e.Is("InvalidCiphertextException"))
            {
                throw NotOurs(e);
            }
        }

        throw NotOurs(last);
    }

    private static SigningException NotOurs(SigningException? inner) =>
        new(SigningFault.BackendFailed, "The wrapped key was changed, or belongs to another key, version or wrapping key.", inner);
}
