using System.Security.Cryptography;
using SignSvc.Emulation;
using SignSvc.Emulation.Faults;
using SignSvc.Signing;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Backends.AwsKms.Tests;

public sealed class FaultTests : IAsyncLifetime
{
    private EmulatedKms _kms = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _kms = await EmulatedKms.StartAsync();

    [Theory]
    [InlineData("ThrottlingException", 400, SigningFault.Overloaded)]
    [InlineData("KMSInternalException", 500, SigningFault.BackendUnavailable)]
    [InlineData("DependencyTimeoutException", 503, SigningFault.BackendUnavailable)]
    [InlineData("KeyUnavailableException", 500, SigningFault.BackendUnavailable)]
    [InlineData("InternalFailure", 500, SigningFault.BackendUnavailable)]
    [InlineData("SomethingNew", 503, SigningFault.BackendUnavailable)]
    [InlineData("ExpiredTokenException", 400, SigningFault.BackendUnavailable)]
    // A key that may sign, as DescribeKey has it: one of KMS's nodes is behind.
    [InlineData("DisabledException", 409, SigningFault.BackendUnavailable)]
    [InlineData("KMSInvalidStateException", 409, SigningFault.BackendUnavailable)]
    [InlineData("NotFoundException", 400, SigningFault.KeyNotUsable)]
    [InlineData("InvalidKeyUsageException", 400, SigningFault.BackendFailed)]
    [InlineData("UnsupportedOperationException", 400, SigningFault.BackendFailed)]
    [InlineData("LimitExceededException", 400, SigningFault.BackendFailed)]
    [InlineData("AccessDeniedException", 400, SigningFault.BackendFailed)]
    [InlineData("ValidationException", 400, SigningFault.BackendFailed)]
    [InlineData("UnrecognizedClientException", 400, SigningFault.BackendFailed)]
    [InlineData("SomethingElse", 418, SigningFault.BackendFailed)]
    public async Task An_error_of_AWS_is_one_of_our_faults_after_one_call(string code, int status, SigningFault expected)
    {
        using var backend = _kms.Open();
        var key = await KeyAsync(backend);
        _kms.Emulator.Faults.Add(Fault.Error("Sign") with { Code = code, Status = status });
        var failed = await Assert.ThrowsAsync<SigningException>(async () => await backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], Cancel));
        Assert.Equal(expected, failed.Fault);
        Assert.Equal(1, _kms.Emulator.Calls["Sign"].Received);
        Assert.DoesNotContain(EmulatedKms.Account, failed.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_key_that_was_stopped_in_KMS_is_known_to_be_so_by_its_first_refusal(bool isPendingDeletion)
    {
        using var backend = _kms.Open();
        using var kms = _kms.Client();
        var key = await KeyAsync(backend);
        var arn = key.Handle!.Split('#')[0];
        await (isPendingDeletion ? (Task)kms.ScheduleKeyDeletionAsync(arn, Cancel) : kms.DisableKeyAsync(arn, Cancel));
        Assert.Null(backend.StateOf(key));
        var failed = await Assert.ThrowsAsync<SigningException>(async () => await backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], Cancel));
        Assert.Equal(SigningFault.KeyNotUsable, failed.Fault);
        Assert.Equal((isPendingDeletion ? "pendingDeletion" : "disabled", false), (backend.StateOf(key)!.Name, backend.StateOf(key)!.Signs));
    }

    [Fact]
    public async Task A_wrapping_key_that_is_missing_or_stopped_is_named_as_what_is_wrong()
    {
        using var none = _kms.Open();
        await MustFailAsync(none, SigningFault.Unsupported, "its setting WrappingKey names no KMS key");
        using var missing = _kms.Open(o => o.WrappingKey = "alias/nobodys");
        await MustFailAsync(missing, SigningFault.BackendFailed, "The wrapping key that the setting WrappingKey of this backend names does not exist");
        using var kms = _kms.Client();
        var symmetric = (await kms.CreateKeyAsync(new(), Cancel)).KeyMetadata.KeyId;
        await kms.DisableKeyAsync(symmetric, Cancel);
        using var stopped = _kms.Open(o => o.WrappingKey = symmetric);
        await MustFailAsync(stopped, SigningFault.BackendFailed, "is disabled or pending deletion");

        static async Task MustFailAsync(AwsKmsBackend backend, SigningFault fault, string words)
        {
            var context = new SignSvc.Signing.Backends.WrappingContext("key", 1, KeyPurpose.Tokens);
            var failed = await Assert.ThrowsAsync<SigningException>(() => backend.WrapAsync(new byte[32], context, Cancel));
            Assert.Equal(fault, failed.Fault);
            Assert.Contains(words, failed.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_reset_and_a_time_out_of_the_SDK_count_as_unavailable()
    {
        using var unhurried = _kms.Open();
        var key = await KeyAsync(unhurried);
        using var backend = _kms.Open(o => o.CallTimeoutMilliseconds = 2000);
        foreach (var fault in new[] { Fault.Reset("Sign"), Fault.Hang("Sign") })
        {
            _kms.Emulator.Faults.Add(fault with { Times = 1 });
            var failed = await Assert.ThrowsAsync<SigningException>(async () => await backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], Cancel));
            Assert.Equal(SigningFault.BackendUnavailable, failed.Fault);
        }

        Assert.Equal(2, _kms.Emulator.Calls["Sign"].Received);
    }

    [Fact]
    public async Task A_key_that_is_not_known_everywhere_yet_is_waited_for()
    {
        var clock = new ManualClock(TimeProvider.System.GetUtcNow());
        await using var kms = await EmulatedKms.StartAsync(new KmsEmulatorOptions { Clock = clock });
        kms.Emulator.Settings.ConsistencyDelay = TimeSpan.FromMilliseconds(700);
        using var backend = kms.Open();
        var creating = backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        while (kms.Emulator.Calls["GetPublicKey"].Failed == 0 && !creating.IsCompleted)
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancel);
        Assert.False(creating.IsCompleted, "It was not waited for.");
        clock.Advance(TimeSpan.FromMilliseconds(700));
        var pair = await creating;
        await backend.SignAsync(ActiveVersion.Of(pair), SigningAlgorithm.ES256, new byte[32], Cancel);

        // Another node may still meet the old world: for a new key that passes.
        var young = ActiveVersion.Of(pair) with { CreatedAt = TimeProvider.System.GetUtcNow() };
        kms.Emulator.Faults.Add(Fault.Error("Sign") with { Code = "NotFoundException", Status = 400, Times = 1 });
        var failed = await Assert.ThrowsAsync<SigningException>(async () => await backend.SignAsync(young, SigningAlgorithm.ES256, new byte[32], Cancel));
        Assert.Equal(SigningFault.BackendUnavailable, failed.Fault);
    }

    [Fact]
    public async Task A_key_that_is_not_known_everywhere_yet_does_not_make_its_Region_look_down()
    {
        using var backend = _kms.OpenBudgeted();
        var other = await KeyAsync(backend);
        var young = await KeyAsync(backend) with { CreatedAt = TimeProvider.System.GetUtcNow() };
        _kms.Emulator.Faults.Add(Fault.Error("Sign") with { Code = "NotFoundException", Status = 400, Times = 6 });
        for (var i = 0; i < 2; i++)
            Assert.Equal(SigningFault.BackendUnavailable, (await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, young))).Fault);
        Assert.Equal(6, _kms.Emulator.Calls["Sign"].Received);
        Assert.All(backend.Budgets, b => Assert.Equal(BreakerState.Closed, b.Breaker));
        await SignAsync(backend, other);
    }

    [Fact]
    public async Task A_key_without_a_replica_leaves_the_others_theirs_while_their_Region_is_down()
    {
        using var backend = _kms.OpenBudgeted(o => o.ReplicaRegions.Add("eu-west-1"));
        var other = await KeyAsync(backend);
        _kms.Emulator.Faults.Add(Fault.Throttle("ReplicateKey") with { Times = 3 });
        var without = await KeyAsync(backend);
        _kms.Emulator.Faults.Add(Fault.Reset("Sign") with { Region = "eu-central-1" });
        for (var i = 0; i < 4; i++)
            Assert.Equal(SigningFault.BackendUnavailable, (await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, without))).Fault);
        await SignAsync(backend, other);
    }

    [Fact]
    public async Task A_signature_names_its_request()
    {
        using var backend = _kms.Open();
        var signature = await backend.SignAsync(await KeyAsync(backend), SigningAlgorithm.ES256, new byte[32], Cancel);
        Assert.True(Guid.TryParse(signature.RequestId, out _));
    }

    [Fact]
    public async Task A_wrong_answer_does_not_verify()
    {
        using var backend = _kms.Open();
        var key = await KeyAsync(backend);
        _kms.Emulator.Faults.Add(Fault.WrongAnswer("Sign"));
        var digest = RandomNumberGenerator.GetBytes(32);
        for (var i = 0; i < 20; i++)
        {
            try
            {
                var wrong = await backend.SignAsync(key, SigningAlgorithm.ES256, digest, Cancel);
                Assert.False(key.PublicKey.Verify(SigningAlgorithm.ES256, digest, wrong.Value));
            }
            catch (SigningException e)
            {
                Assert.Equal(SigningFault.BackendFailed, e.Fault);
            }
        }
    }

    [Fact]
    public async Task Killed_and_restarted_it_is_in_use_again_within_five_seconds()
    {
        var state = Path.Combine(Path.GetTempPath(), $"kms-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow())}.json");
        await using var kms = await EmulatedKms.StartAsync(new KmsEmulatorOptions { StateFile = state });
        using var backend = kms.OpenBudgeted();
        var key = await KeyAsync(backend);
        await SignAsync(backend, key);

        await kms.RestartAsync(async () =>
        {
            for (var i = 0; i < 20; i++)
            {
                var failed = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key));
                Assert.Equal(SigningFault.BackendUnavailable, failed.Fault);
            }

            Assert.Contains(backend.Budgets, b => b.BreakerOpened > 0);
        });
        await AssertRecoversAsync(backend, key);
        File.Delete(state);
    }

    [Theory]
    [InlineData(FaultKind.Hang)]
    [InlineData(FaultKind.Throttle)]
    [InlineData(FaultKind.Reset)]
    [InlineData(FaultKind.Error)]
    public async Task After_an_outage_it_is_in_use_again_within_five_seconds(FaultKind kind)
    {
        using var backend = _kms.OpenBudgeted();
        var key = await KeyAsync(backend);
        _kms.Emulator.Faults.Add(new Fault(kind) { Operation = "Sign" });
        using var watch = RunningTime.Start();
        await Parallel.ForAsync(0, 16, new ParallelOptions { MaxDegreeOfParallelism = 2, CancellationToken = Cancel }, async (_, _) =>
        {
            var failed = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key));
            Assert.True(failed.Fault is SigningFault.BackendUnavailable or SigningFault.Overloaded or SigningFault.DeadlineExceeded, $"{failed.Fault}");
        });
        // Where each of them waited for its own deadline, two at a time, they would take 40 s.
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"{watch.Elapsed}");
        Assert.True(_kms.Emulator.Calls["Sign"].Received <= 48);
        _kms.Emulator.Faults.Clear();
        await AssertRecoversAsync(backend, key);
    }

    [Fact]
    public void Faulty_options_are_all_named_at_once()
    {
        var options = new AwsKmsOptions { Region = "nowhere", DeletionWindowDays = 3, RoleArn = "x", AliasPrefix = "aws/x" };
        options.QuotaPerSecond["RSA"] = 0;
        var faults = string.Join(' ', options.Validate());
        foreach (var name in new[] { "Region", "Installation", "DeletionWindowDays", "RoleArn", "AliasPrefix", "RSA" })
            Assert.Contains(name, faults, StringComparison.Ordinal);
    }

    public ValueTask DisposeAsync() => _kms.DisposeAsync();

    private static async Task AssertRecoversAsync(BudgetedBackend backend, KeyVersion key)
    {
        using var watch = RunningTime.Start();
        while (true)
        {
            try
            {
                await SignAsync(backend, key);
                break;
            }
            catch (SigningException) when (watch.Elapsed < TimeSpan.FromSeconds(5))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancel);
            }
        }

        Assert.True(watch.Elapsed <= TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
        for (var i = 0; i < 20; i++)
            await SignAsync(backend, key);
    }

    private static async Task SignAsync(BudgetedBackend backend, KeyVersion key)
    {
        var digest = RandomNumberGenerator.GetBytes(32);
        var signature = await backend.SignAsync(key, SigningAlgorithm.ES256, digest, Cancel);
        Assert.True(key.PublicKey.Verify(SigningAlgorithm.ES256, digest, signature.Value));
    }

    private static async Task<KeyVersion> KeyAsync(Signing.Backends.IKeyBackend backend) =>
        ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
}
