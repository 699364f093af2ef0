using System.Collections.Concurrent;
using SignSvc.Backends.AwsKms.Keys;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Wire;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>Keys between CreateKey and their record.</summary>
public sealed class LeakTests : IAsyncLifetime
{
    private EmulatedKms _kms = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _kms = await EmulatedKms.StartAsync();
        _kms.Intents.Recorded = new ConcurrentDictionary<string, bool>(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Two_hundred_crashes_between_CreateKey_and_its_record_leak_no_key()
    {
        using var backend = _kms.Open(o => o.UnrecordedKeysLimit = 1_000);
        // The answer to CreateKey is lost in one half of the crashes; in the other the key is made and never recorded.
        for (var i = 0; i < 200; i++)
        {
            if (i % 2 == 0)
                _kms.Emulator.Faults.Add(Fault.Reset("CreateKey") with { AfterExecution = true, Times = 1 });
            var creating = backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
            if (i % 2 == 0)
                Assert.Equal(SigningFault.BackendUnavailable, (await Assert.ThrowsAsync<SigningException>(() => creating)).Fault);
            else
                await creating;
        }

        var kept = await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        _kms.Intents.Recorded![ArnOf(kept)] = true;
        Assert.Equal(201, await EnabledKeysAsync());

        using var restarted = _kms.Open();
        var reconciled = await restarted.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel);
        Assert.Equal(200, reconciled.Ended.Count);
        Assert.Equal(1, reconciled.Recorded);
        Assert.Equal(0, _kms.Intents.Count);
        Assert.Equal(1, await EnabledKeysAsync());
        await restarted.SignAsync(ActiveVersion.Of(kept), SigningAlgorithm.ES256, new byte[32], Cancel);
    }

    [Fact]
    public async Task Where_AWS_refused_or_never_got_the_call_no_key_is_looked_for_twice()
    {
        using var backend = _kms.Open();
        _kms.Emulator.Faults.Add(Fault.Error("CreateKey") with { Code = "LimitExceededException", Status = 400, Times = 1 });
        Assert.Equal(
            SigningFault.BackendFailed,
            (await Assert.ThrowsAsync<SigningException>(() => backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel))).Fault);
        Assert.Equal(0, _kms.Intents.Count);

        _kms.Emulator.Faults.Add(Fault.Reset("CreateKey") with { Times = 1 });
        await Assert.ThrowsAsync<SigningException>(() => backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        Assert.Equal(1, _kms.Intents.Count);
        Assert.Equal(1, (await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel)).NeverMade);
        Assert.Equal(0, _kms.Intents.Count);

        var calls = _kms.Emulator.Calls.TotalReceived;
        await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel);
        Assert.Equal(calls, _kms.Emulator.Calls.TotalReceived);
    }

    [Fact]
    public async Task A_crash_loop_is_stopped_by_the_limit_of_unrecorded_keys()
    {
        using var backend = _kms.Open(o => o.UnrecordedKeysLimit = 3);
        for (var i = 0; i < 3; i++)
            await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        var refused = await Assert.ThrowsAsync<SigningException>(() => backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        Assert.Equal(SigningFault.BackendFailed, refused.Fault);
        Assert.Equal(3, _kms.Emulator.Calls["CreateKey"].Received);
    }

    [Fact]
    public async Task Recorded_keys_do_not_count_against_the_limit()
    {
        using var backend = _kms.Open(o => o.UnrecordedKeysLimit = 2);
        for (var i = 0; i < 6; i++)
            _kms.Intents.Recorded![ArnOf(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel))] = true;
    }

    [Fact]
    public async Task An_orphan_may_be_finished_and_a_young_one_is_left_alone()
    {
        using var backend = _kms.Open();
        _kms.Emulator.Faults.Add(Fault.Reset("CreateKey") with { AfterExecution = true, Times = 1 });
        var request = EmulatedKms.Request(KeySpec.P384, version: 7);
        await Assert.ThrowsAsync<SigningException>(() => backend.CreateAsync(request, Cancel));

        Assert.Equal(1, (await backend.ReconcileAsync(TimeSpan.FromMinutes(15), tryFinish: null, Cancel)).TooYoung);
        BackendKeyPair? found = null;
        var reconciled = await backend.ReconcileAsync(
            TimeSpan.Zero,
            (intent, pair, _) =>
            {
                Assert.Equal((request.KeyId, 7), (intent.KeyId, intent.Version));
                found = pair;
                return Task.FromResult(true);
            },
            Cancel);
        Assert.Equal(1, reconciled.Finished);
        await backend.SignAsync(ActiveVersion.Of(found!), SigningAlgorithm.ES384, new byte[48], Cancel);
    }

    [Fact]
    public async Task A_key_that_is_given_up_before_KMS_knows_it_everywhere_is_ended_later()
    {
        using var backend = _kms.Open();
        var given = ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel)) with { CreatedAt = TimeProvider.System.GetUtcNow() };
        _kms.Emulator.Faults.Add(Fault.Error("DisableKey") with { Code = "NotFoundException", Status = 400, Times = 1 });
        await backend.DestroyAsync(given, Cancel);
        Assert.Equal(1, await EnabledKeysAsync());

        Assert.Single((await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel)).Ended);
        Assert.Equal(0, await EnabledKeysAsync());
        Assert.Equal(0, _kms.Intents.Count);
    }

    [Fact]
    public async Task One_key_that_cannot_be_ended_keeps_no_other_from_its_end()
    {
        using var backend = _kms.Open();
        var stuck = ArnOf(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        _kms.Emulator.Faults.Add(Fault.Error("DisableKey") with { Code = "AccessDeniedException", Status = 400, KeyId = stuck });

        var reconciled = await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel);
        Assert.Equal(2, reconciled.Ended.Count);
        Assert.Equal(1, _kms.Intents.Count);

        _kms.Emulator.Faults.Clear();
        Assert.Equal([stuck], (await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel)).Ended);
        Assert.Equal(0, _kms.Intents.Count);
    }

    [Fact]
    public async Task Where_lost_keys_may_not_be_looked_for_the_known_ones_are_ended()
    {
        using var backend = _kms.Open();
        _kms.Emulator.Faults.Add(Fault.Reset("CreateKey") with { AfterExecution = true, Times = 1 });
        await Assert.ThrowsAsync<SigningException>(() => backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        var known = ArnOf(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        _kms.Emulator.Faults.Add(Fault.Error("ListKeys") with { Code = "AccessDeniedException", Status = 400 });

        Assert.Equal([known], (await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel)).Ended);
        Assert.Equal(1, _kms.Intents.Count);
    }

    [Fact]
    public async Task An_empty_answer_is_an_outage_and_the_key_that_it_was_about_is_found_again()
    {
        await _kms.MakeWrappingKeyAsync();
        using var backend = _kms.Open(o => o.WrappingKey = "alias/signsvc-wrapping");
        var version = ActiveVersion.Of(await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel));
        foreach (var operation in (string[])["CreateKey", "GetPublicKey", "DescribeKey", "Sign", "Encrypt"])
            _kms.Emulator.Faults.Add(Fault.EmptyAnswer(operation));

        foreach (var asking in (Func<Task>[])
        [
            () => backend.LookAsync(version, Cancel),
            () => backend.EnsureWrappingKeyRotationAsync(Cancel),
            () => backend.SignAsync(version, SigningAlgorithm.ES256, new byte[32], Cancel).AsTask(),
            () => backend.WrapAsync(new byte[16], new WrappingContext("k", 1, KeyPurpose.Tokens), Cancel),
            () => backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel),
        ])
            Assert.Equal(SigningFault.BackendUnavailable, (await Assert.ThrowsAsync<SigningException>(asking)).Fault);

        _kms.Emulator.Faults.Clear();
        Assert.Equal(2, (await backend.ReconcileAsync(TimeSpan.Zero, tryFinish: null, Cancel)).Ended.Count);
    }

    [Fact]
    public async Task A_throttled_CreateKey_makes_one_key_in_at_most_three_calls()
    {
        using var backend = _kms.Open();
        _kms.Emulator.Faults.Add(Fault.Throttle("CreateKey") with { Times = 2 });
        await backend.CreateAsync(EmulatedKms.Request(KeySpec.P256), Cancel);
        Assert.Equal(new OperationCalls(3, 1, 2, 0), _kms.Emulator.Calls["CreateKey"]);
        Assert.Equal(1, await EnabledKeysAsync());
    }

    public ValueTask DisposeAsync() => _kms.DisposeAsync();

    private async Task<int> EnabledKeysAsync()
    {
        using var kms = _kms.Client();
        var keys = (await kms.ListKeysAsync(new Amazon.KeyManagementService.Model.ListKeysRequest { Limit = 1000 }, Cancel)).Keys;
        var enabled = 0;
        foreach (var key in keys)
        {
            if ((await kms.DescribeKeyAsync(key.KeyId, Cancel)).KeyMetadata.Enabled == true)
                enabled++;
        }

        return enabled;
    }

    private static string ArnOf(BackendKeyPair pair) =>
        KmsHandle.TryParse(pair.Handle, out var handle) ? handle.Arn : throw new InvalidOperationException(pair.Handle);
}
