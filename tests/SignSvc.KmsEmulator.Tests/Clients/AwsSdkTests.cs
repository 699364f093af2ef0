using System.Security.Cryptography;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Tests.Clients;

/// <summary>AWSSDK.KeyManagementService as SignSvc uses it, its signatures verified.</summary>
public sealed class AwsSdkTests : IAsyncLifetime
{
    private RunningEmulator _running = null!;
    private AmazonKeyManagementServiceClient _kms = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _running = await RunningEmulator.StartAsync(o =>
            o with
            {
                AccessKeys = [new AccessKey("AKIDEXAMPLE", "123456789012") { Secret = "secret" }],
            });
        _kms = NewClient(retries: 0);
    }

    [Theory]
    [InlineData("RSA_2048", "RSASSA_PSS_SHA_256")]
    [InlineData("RSA_3072", "RSASSA_PKCS1_V1_5_SHA_384")]
    [InlineData("RSA_4096", "RSASSA_PSS_SHA_512")]
    [InlineData("ECC_NIST_P256", "ECDSA_SHA_256")]
    [InlineData("ECC_NIST_P384", "ECDSA_SHA_384")]
    [InlineData("ECC_NIST_P521", "ECDSA_SHA_512")]
    public async Task A_digest_is_signed_as_given_and_verifies_with_the_public_key_alone(string spec, string algorithm)
    {
        var key = (
            await _kms.CreateKeyAsync(
                new CreateKeyRequest { KeySpec = spec, KeyUsage = KeyUsageType.SIGN_VERIFY },
                Cancellation)).KeyMetadata;
        Assert.Equal("123456789012", key.AWSAccountId);
        Assert.Contains(algorithm, key.SigningAlgorithms, StringComparer.Ordinal);
        var spki = (
            await _kms.GetPublicKeyAsync(new GetPublicKeyRequest { KeyId = key.Arn }, Cancellation)
        ).PublicKey.ToArray();
        var digest = CryptographicOperations.HashData(new HashAlgorithmName($"SHA{algorithm[^3..]}"), "artifact"u8);
        var signed = await _kms.SignAsync(
            new SignRequest
            {
                KeyId = key.Arn,
                Message = new MemoryStream(digest),
                MessageType = MessageType.DIGEST,
                SigningAlgorithm = algorithm,
            },
            Cancellation);
        Assert.True(PublicKeys.Verify(spki, algorithm, digest, signed.Signature.ToArray()));
        Assert.True(Guid.TryParse(signed.ResponseMetadata.RequestId, out _));
    }

    [Fact]
    public async Task Errors_arrive_as_the_SDK_s_own_exceptions()
    {
        await Assert.ThrowsAsync<NotFoundException>(() =>
            _kms.DescribeKeyAsync("134f2428-cec1-4b25-a1ae-9048164dba47", Cancellation));
        var key = (
            await _kms.CreateKeyAsync(
                new CreateKeyRequest { KeySpec = KeySpec.ECC_NIST_P256, KeyUsage = KeyUsageType.SIGN_VERIFY },
                Cancellation)).KeyMetadata;
        var sign = new SignRequest
        {
            KeyId = key.Arn,
            MessageType = MessageType.DIGEST,
            SigningAlgorithm = SigningAlgorithmSpec.RSASSA_PSS_SHA_256,
        };
        sign.Message = new MemoryStream(new byte[32]);
        await Assert.ThrowsAsync<InvalidKeyUsageException>(() => _kms.SignAsync(sign, Cancellation));
        await _kms.DisableKeyAsync(key.KeyId, Cancellation);
        await Assert.ThrowsAsync<DisabledException>(() =>
            _kms.GetPublicKeyAsync(new GetPublicKeyRequest { KeyId = key.Arn }, Cancellation));

        _running.Emulator.Faults.Add(Fault.Throttle("DescribeKey"));
        var throttled = await Assert.ThrowsAsync<AmazonKeyManagementServiceException>(() =>
            _kms.DescribeKeyAsync(key.Arn, Cancellation));
        Assert.Equal("ThrottlingException", throttled.ErrorCode);
        _running.Emulator.Faults.Add(Fault.Error("ListKeys"));
        await Assert.ThrowsAsync<KMSInternalException>(() => _kms.ListKeysAsync(new ListKeysRequest(), Cancellation));
    }

    [Fact]
    public async Task The_SDK_s_retries_get_past_throttles_and_resets()
    {
        using var retrying = NewClient(retries: 2);
        _running.Emulator.Faults.Add(Fault.Throttle("ListKeys") with { Times = 1 });
        _running.Emulator.Faults.Add(Fault.Reset("ListKeys") with { Times = 1 });
        await retrying.ListKeysAsync(new ListKeysRequest(), Cancellation);
        Assert.Equal(new OperationCalls(3, 1, 1, 0), _running.Emulator.Calls["ListKeys"]);
    }

    [Fact]
    public async Task A_hanging_emulator_runs_into_the_SDK_s_time_out()
    {
        using var impatient = NewClient(retries: 0, TimeSpan.FromMilliseconds(300));
        _running.Emulator.Faults.Add(Fault.Hang());
        await Assert.ThrowsAsync<TimeoutException>(() => impatient.ListKeysAsync(new ListKeysRequest(), Cancellation));
        _running.Emulator.Faults.Clear();
        await _kms.ListKeysAsync(new ListKeysRequest(), Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        _kms.Dispose();
        await _running.DisposeAsync();
    }

    private AmazonKeyManagementServiceClient NewClient(int retries, TimeSpan? timeout = null) =>
        new(
            new BasicAWSCredentials("AKIDEXAMPLE", "secret"),
            new AmazonKeyManagementServiceConfig
            {
                ServiceURL = _running.Emulator.Uri.ToString(),
                AuthenticationRegion = "eu-west-1",
                MaxErrorRetry = retries,
                Timeout = timeout ?? TimeSpan.FromSeconds(30),
            });
}
