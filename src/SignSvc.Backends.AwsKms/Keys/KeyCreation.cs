using System.Security.Cryptography;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using SignSvc.Backends.AwsKms.Calls;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SigningSpec = SignSvc.Signing.Keys.KeySpec;

namespace SignSvc.Backends.AwsKms.Keys;

/// <summary>Makes KMS keys, so that none is ever made that nobody knows: the intent first, the tags inside CreateKey.</summary>
internal sealed class KeyCreation(AwsKmsOptions options, KmsCalls calls, UnrecordedKeys unrecorded)
{
    public async Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken)
    {
        var (intent, arn) = await BeginAsync(request, isImport: false, cancellationToken);
        var pair = await ReadPairAsync(arn, request.Spec, cancellationToken);
        if (request.MultiRegion ?? true)
            await ReplicateAsync(arn, intent, request, cancellationToken);
        return pair;
    }

    /// <summary>The material goes to KMS under a one-time RSA key of its own; imported keys have no replicas.</summary>
    public async Task<BackendKeyPair> ImportAsync(KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var expected = PublicHalf(request.Spec, pkcs8.Span);
        var (_, arn) = await BeginAsync(request, isImport: true, cancellationToken);

        var parameters = await calls.WhenVisibleAsync(options.Region, (kms, cancel) => kms.GetParametersForImportAsync(
            new GetParametersForImportRequest
            {
                KeyId = arn,
                WrappingAlgorithm = AlgorithmSpec.RSA_AES_KEY_WRAP_SHA_256,
                WrappingKeySpec = WrappingKeySpec.RSA_3072,
            },
            cancel), cancellationToken);
        var wrapped = WrapForImport(parameters.PublicKey.ToArray(), pkcs8.Span);
        await calls.RepeatAsync(options.Region, (kms, cancel) => kms.ImportKeyMaterialAsync(
            new ImportKeyMaterialRequest
            {
                KeyId = arn,
                ImportToken = new MemoryStream(parameters.ImportToken.ToArray()),
                EncryptedKeyMaterial = new MemoryStream(wrapped),
                ExpirationModel = ExpirationModelType.KEY_MATERIAL_DOES_NOT_EXPIRE,
            },
            cancel), cancellationToken);

        var pair = await ReadPairAsync(arn, request.Spec, cancellationToken);
        return pair.PublicKey.Spki.Span.SequenceEqual(expected.Spki.Span)
            ? pair
            : throw new SigningException(SigningFault.BackendFailed, "AWS KMS holds another key than the one that was imported.");
    }

    public async Task<BackendKeyPair> AdoptAsync(KeyPairRequest request, string reference, CancellationToken cancellationToken)
    {
        var region = reference.StartsWith("arn:", StringComparison.Ordinal) ? reference.Split(':').ElementAtOrDefault(3) ?? "" : options.Region;
        if (!calls.Serves(region))
            throw new SigningException(SigningFault.InvalidRequest, $"This backend serves {options.Region} and its replicas, not the Region of that key.");
        KeyMetadata found;
        try
        {
            found = (await calls.RepeatAsync(
                region, (kms, cancel) => kms.DescribeKeyAsync(new DescribeKeyRequest { KeyId = reference }, cancel), cancellationToken)).KeyMetadata;
        }
        catch (SigningException e) when (e.Is("NotFoundException", "InvalidArnException", "ValidationException"))
        {
            throw new SigningException(SigningFault.NotFound, "AWS KMS knows no such key.", e);
        }

        if (found.KeyUsage != KeyUsageType.SIGN_VERIFY || !string.Equals(found.KeySpec, request.Spec.Name, StringComparison.Ordinal))
            throw new SigningException(SigningFault.InvalidRequest, $"That key is no {request.Spec} key for signing.");
        return found.KeyState == Amazon.KeyManagementService.KeyState.Enabled
            ? await ReadPairAsync(found.Arn, request.Spec, cancellationToken)
            : throw new SigningException(SigningFault.InvalidRequest, "That key is not enabled in AWS KMS.");
    }

    /// <summary>Its public half, once the key is visible. Stored now: a disabled key does not show it any more.</summary>
    public async Task<BackendKeyPair> ReadPairAsync(string arn, SigningSpec spec, CancellationToken cancellationToken)
    {
        var region = arn.Split(':')[3];
        var answer = await calls.WhenVisibleAsync(
            region, (kms, cancel) => kms.GetPublicKeyAsync(new GetPublicKeyRequest { KeyId = arn }, cancel), cancellationToken);
        var publicKey = PublicKey.FromSpki(answer.PublicKey.ToArray());
        if (publicKey.Spec != spec)
            throw new SigningException(SigningFault.BackendFailed, $"AWS KMS made no {spec} key.");
        return new BackendKeyPair(KmsHandle.Write(arn, publicKey), publicKey, Protection.Kms);
    }

    private async Task<(KeyIntent Intent, string Arn)> BeginAsync(KeyPairRequest request, bool isImport, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var intent = await unrecorded.BeginAsync(request, cancellationToken);
        string arn;
        try
        {
            arn = (await calls.RepeatIfThrottledAsync(options.Region, (kms, cancel) => kms.CreateKeyAsync(
                new CreateKeyRequest
                {
                    KeySpec = request.Spec.Name,
                    KeyUsage = KeyUsageType.SIGN_VERIFY,
                    Origin = isImport ? OriginType.EXTERNAL : OriginType.AWS_KMS,
                    MultiRegion = (request.MultiRegion ?? options.ReplicaRegions.Count > 0) && !isImport,
                    Description = $"SignSvc {options.Installation}: {request.KeyName}, version {request.Version}",
                    Policy = options.KeyPolicy,
                    Tags = [.. KmsTags.Of(options, intent, request.KeyName)],
                },
                cancel), cancellationToken)).KeyMetadata.Arn;
        }
        // An answer that refuses: nothing was made. Any other end leaves it open, and the intent stays.
        catch (SigningException e) when (e.Fault != SigningFault.BackendUnavailable)
        {
            await unrecorded.RemoveAsync(intent.Id, CancellationToken.None);
            throw;
        }

        return (await unrecorded.MadeAsync(intent, arn, cancellationToken), arn);
    }

    /// <summary>A Region that is down now gets its replica when the key is mirrored; making keys does not wait for it.</summary>
    private async Task ReplicateAsync(string arn, KeyIntent intent, KeyPairRequest request, CancellationToken cancellationToken)
    {
        foreach (var region in options.ReplicaRegions)
        {
            try
            {
                await ReplicateAsync(calls, options, arn, region, KmsTags.Of(options, intent, request.KeyName), cancellationToken);
            }
            catch (SigningException e) when (e.Fault is SigningFault.BackendUnavailable or SigningFault.Overloaded)
            {
                continue;
            }
        }
    }

    public static async Task ReplicateAsync(
        KmsCalls calls, AwsKmsOptions options, string arn, string region, IEnumerable<Tag> tags, CancellationToken cancellationToken)
    {
        try
        {
            await calls.WhenVisibleAsync(arn.Split(':')[3], (kms, cancel) => kms.ReplicateKeyAsync(
                new ReplicateKeyRequest { KeyId = arn, ReplicaRegion = region, Policy = options.KeyPolicy, Tags = [.. tags] }, cancel), cancellationToken);
        }
        catch (SigningException e) when (e.Is("AlreadyExistsException"))
        {
            // A lost answer was repeated.
        }
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    private static PublicKey PublicHalf(SigningSpec spec, ReadOnlySpan<byte> pkcs8)
    {
        using AsymmetricAlgorithm key = spec.Family == KeyFamily.Ecc ? ECDsa.Create() : RSA.Create();
        try
        {
            key.ImportPkcs8PrivateKey(pkcs8, out var read);
            var half = PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo());
            if (read == pkcs8.Length && half.Spec == spec)
                return half;
        }
        catch (CryptographicException e)
        {
            throw new SigningException(SigningFault.InvalidRequest, $"Not the PKCS#8 of a {spec} key.", e);
        }

        throw new SigningException(SigningFault.InvalidRequest, $"The private key is not a {spec} key.");
    }

    /// <summary>RSA_AES_KEY_WRAP_SHA_256: an AES key under RSA-OAEP, the material under AES key wrap with padding (RFC 5649).</summary>
    private static byte[] WrapForImport(byte[] importKey, ReadOnlySpan<byte> pkcs8)
    {
        using var rsa = RSA.Create();
        rsa.ImportSubjectPublicKeyInfo(importKey, out _);
        using var aes = Aes.Create();
        var secret = RandomNumberGenerator.GetBytes(32);
        try
        {
            aes.SetKey(secret);
            return [.. rsa.Encrypt(secret, RSAEncryptionPadding.OaepSHA256), .. aes.EncryptKeyWrapPadded(pkcs8)];
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }
}
