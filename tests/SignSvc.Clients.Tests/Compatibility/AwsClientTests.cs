using System.Security.Cryptography;
using System.Text.Json;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>AWS's own clients, unmodified, by nothing but an endpoint and an access key.</summary>
public sealed class AwsClientTests(RunningService service)
{
    private static readonly string[] Served =
    [
        "CancelKeyDeletion", "CreateAlias", "CreateKey", "DeleteAlias", "DescribeKey", "DisableKey", "EnableKey", "GetKeyRotationStatus", "GetPublicKey", "ListAliases",
        "ListKeys", "ListResourceTags", "ScheduleKeyDeletion", "Sign", "TagResource", "UntagResource", "UpdateAlias", "UpdateKeyDescription", "Verify",
    ];

    [Fact]
    public async Task Boto3_drives_every_operation_that_is_served()
    {
        var key = await AccessKeyOf.NewAsync(service, "operator", "signer");
        using var home = new TemporaryHome();
        var ended = await OutsideProgram.RunAsync(
            Checkout.Python, [Checkout.Script("Compatibility", "aws_kms.py")], home.Folder, cancellationToken: TestContext.Current.CancellationToken,
            environment: key.Environment(service));
        Assert.True(ended.Succeeded, $"{ended}");
        Assert.Equal(Served, ended.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task The_AWS_CLI_signs_and_verifies()
    {
        var key = await AccessKeyOf.NewAsync(service, "operator", "signer");
        using var home = new TemporaryHome();
        var created = await AwsAsync(home, key, "create-key", "--key-spec", "RSA_3072", "--key-usage", "SIGN_VERIFY");
        Assert.True(created.Succeeded, $"{created}");
        var id = JsonElement.Parse(created.Output).GetProperty("KeyMetadata").GetProperty("KeyId").GetString()!;
        var file = Path.Combine(home.Folder, "digest");
        await File.WriteAllBytesAsync(file, SHA384.HashData("hello"u8), TestContext.Current.CancellationToken);
        string[] what = ["--key-id", id, "--message", $"fileb://{file}", "--message-type", "DIGEST", "--signing-algorithm", "RSASSA_PSS_SHA_384"];
        var signed = await AwsAsync(home, key, ["sign", .. what]);
        Assert.True(signed.Succeeded, $"{signed}");
        var signature = JsonElement.Parse(signed.Output).GetProperty("Signature").GetString()!;
        await File.WriteAllBytesAsync(file + ".sig", Convert.FromBase64String(signature), TestContext.Current.CancellationToken);
        var verified = await AwsAsync(home, key, ["verify", .. what, "--signature", $"fileb://{file}.sig"]);
        Assert.True(verified.Succeeded && verified.Output.Contains("\"SignatureValid\": true", StringComparison.Ordinal), $"{verified}");
        var disabled = await AwsAsync(home, key, "disable-key", "--key-id", id);
        Assert.True(disabled.Succeeded, $"{disabled}");
        var refused = await AwsAsync(home, key, ["sign", .. what]);
        Assert.Contains("(DisabledException)", refused.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_AWS_SDK_for_NET_signs_verifies_and_throws_its_own_exceptions()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var key = await AccessKeyOf.NewAsync(service, "operator", "signer");
        using var kms = Client(key.Id, key.Secret);
        var created = (await kms.CreateKeyAsync(new CreateKeyRequest { KeySpec = KeySpec.ECC_NIST_P256, KeyUsage = KeyUsageType.SIGN_VERIFY }, cancellation)).KeyMetadata;
        var digest = SHA256.HashData("hello"u8);
        var signed = await kms.SignAsync(
            new SignRequest { KeyId = created.Arn, Message = new MemoryStream(digest), MessageType = MessageType.DIGEST, SigningAlgorithm = SigningAlgorithmSpec.ECDSA_SHA_256 },
            cancellation);
        var spki = (await kms.GetPublicKeyAsync(new GetPublicKeyRequest { KeyId = created.KeyId }, cancellation)).PublicKey.ToArray();
        using var publicKey = ECDsa.Create();
        publicKey.ImportSubjectPublicKeyInfo(spki, out _);
        Assert.True(publicKey.VerifyHash(digest, signed.Signature.ToArray(), DSASignatureFormat.Rfc3279DerSequence));

        var verify = new VerifyRequest
        {
            KeyId = created.KeyId,
            Message = new MemoryStream("else"u8.ToArray()),
            Signature = signed.Signature,
            SigningAlgorithm = SigningAlgorithmSpec.ECDSA_SHA_256,
        };
        await Assert.ThrowsAsync<KMSInvalidSignatureException>(() => kms.VerifyAsync(verify, cancellation));
        await Assert.ThrowsAsync<NotFoundException>(() => kms.DescribeKeyAsync(new DescribeKeyRequest { KeyId = "alias/nobody" }, cancellation));
        await Assert.ThrowsAsync<InvalidKeyUsageException>(() => kms.SignAsync(
            new SignRequest { KeyId = created.KeyId, Message = new MemoryStream(digest), SigningAlgorithm = SigningAlgorithmSpec.RSASSA_PSS_SHA_256 }, cancellation));
        await kms.DisableKeyAsync(created.KeyId, cancellation);
        await Assert.ThrowsAsync<DisabledException>(() => kms.SignAsync(
            new SignRequest { KeyId = created.KeyId, Message = new MemoryStream(digest), SigningAlgorithm = SigningAlgorithmSpec.ECDSA_SHA_256 }, cancellation));

        using var stranger = Client(key.Id, "wrong");
        var refused = await Assert.ThrowsAsync<AmazonKeyManagementServiceException>(() => stranger.ListKeysAsync(new ListKeysRequest(), cancellation));
        Assert.Equal("InvalidSignatureException", refused.ErrorCode);
        Assert.Contains("Secret Access Key", refused.Message, StringComparison.Ordinal);
    }

    private AmazonKeyManagementServiceClient Client(string id, string secret) => new(
        new BasicAWSCredentials(id, secret),
        new AmazonKeyManagementServiceConfig { ServiceURL = service.Url, AuthenticationRegion = "eu-central-1", MaxErrorRetry = 0 });

    private Task<Ended> AwsAsync(TemporaryHome home, AccessKeyOf key, params string[] arguments) => OutsideProgram.RunAsync(
        Checkout.AwsCli, ["--endpoint-url", service.Url, "--output", "json", "kms", .. arguments], home.Folder,
        cancellationToken: TestContext.Current.CancellationToken, environment: key.Environment(service));
}
