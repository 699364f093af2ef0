using System.Diagnostics;
using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>What the backend does when the module misbehaves. Every signature that comes out is verified.</summary>
[Collection(SoftHsm.Collection)]
public sealed class RecoveryTests
{
    private static readonly TimeSpan RecoveryLimit = TimeSpan.FromSeconds(5);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static TheoryData<int, ulong> PassingFaults() => new()
    {
        { FaultyModule.SignInit, 0xB3 /* CKR_SESSION_HANDLE_INVALID */ },
        { FaultyModule.Sign, 0xB3 },
        { FaultyModule.Sign, 0xB0 /* CKR_SESSION_CLOSED */ },
        { FaultyModule.Sign, 0xE0 /* CKR_TOKEN_NOT_PRESENT */ },
        { FaultyModule.Sign, 0x32 /* CKR_DEVICE_REMOVED */ },
        { FaultyModule.Sign, 0x30 /* CKR_DEVICE_ERROR */ },
        { FaultyModule.Sign, 0x05 /* CKR_GENERAL_ERROR */ },
        { FaultyModule.SignInit, 0x101 /* CKR_USER_NOT_LOGGED_IN */ },
        { FaultyModule.SignInit, 0x90 /* CKR_OPERATION_ACTIVE */ },
        { FaultyModule.SignInit, 0x82 /* CKR_OBJECT_HANDLE_INVALID */ },
        { FaultyModule.SignInit, 0x60 /* CKR_KEY_HANDLE_INVALID */ },
        { FaultyModule.SignInit, 0x190 /* CKR_CRYPTOKI_NOT_INITIALIZED */ },
    };

    [Theory]
    [MemberData(nameof(PassingFaults))]
    public async Task A_passing_fault_is_not_seen_by_callers(int function, ulong rv)
    {
        await using var faulty = await FaultyToken.OpenAsync();
        await faulty.SignAsync();
        foreach (var count in new[] { 1, 3 })
        {
            faulty.Module.Fail(function, rv, count);
            await faulty.SignAsync();
            await faulty.SignAsync();
        }
    }

    [Theory]
    [InlineData(0x70, SigningFault.Unsupported)]
    [InlineData(0x68, SigningFault.KeyNotUsable)]
    [InlineData(0x31, SigningFault.BackendFailed)]
    [InlineData(0x80000101, SigningFault.BackendFailed)]
    public async Task A_lasting_fault_is_named_to_the_caller_and_not_retried(ulong rv, SigningFault fault)
    {
        await using var faulty = await FaultyToken.OpenAsync();
        await faulty.SignAsync();
        faulty.Module.Fail(FaultyModule.SignInit, rv, 1);
        var error = await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.Equal(fault, error.Fault);
        Assert.Contains("C_SignInit answered " + (rv > 0x80000000 ? "0x80000101." : "CKR_"), error.Message, StringComparison.Ordinal);
        await faulty.SignAsync();
    }

    [Fact]
    public async Task A_token_that_was_pulled_and_put_back_signs_again()
    {
        await using var faulty = await FaultyToken.OpenAsync(o => o.OperationDeadlineMilliseconds = 30_000);
        await Parallel.ForAsync(0, 64, Cancel, async (_, _) => await faulty.SignAsync());
        faulty.Module.Pull();
        var refused = await Assert.ThrowsAsync<SigningException>(async () =>
        {
            while (true)
                await faulty.SignAsync();
        });
        Assert.Equal(SigningFault.BackendUnavailable, refused.Fault);
        await faulty.UntilAsync(s => s.State == Pkcs11TokenState.Unavailable);
        // At once, and not when the deadline is over.
        using var atOnce = RunningTime.Start();
        refused = await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.True(refused.RetryAfter > TimeSpan.Zero);
        Assert.True(atOnce.Elapsed < TimeSpan.FromSeconds(3), $"{atOnce.Elapsed}");

        faulty.Module.PutBack();
        await faulty.RecoversAsync();
    }

    [Fact]
    public async Task A_logout_behind_its_back_is_undone()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        for (var i = 0; i < 50; i++)
        {
            await Parallel.ForAsync(0, 32, Cancel, async (_, _) => await faulty.SignAsync());
            faulty.Module.LogOut();
        }

        await faulty.SignAsync();
    }

    /// <summary>The module gives the number of a session it closed to the next one: two workers believe it is theirs.</summary>
    [Fact]
    public async Task Session_numbers_given_out_again_mix_nothing_up()
    {
        await using var faulty = await FaultyToken.OpenAsync(o => o.Tokens[0].SessionLimit = 6);
        using var stop = new CancellationTokenSource();
        var evicting = Task.Run(async () =>
        {
            using var beat = new PeriodicTimer(TimeSpan.FromMilliseconds(2));
            for (ulong session = 1; !stop.IsCancellationRequested; session = (session % 8) + 1)
            {
                faulty.Module.Evict(session);
                await beat.WaitForNextTickAsync(Cancel);
            }
        }, Cancel);
        await Parallel.ForAsync(0, 3_000, new ParallelOptions { MaxDegreeOfParallelism = 12, CancellationToken = Cancel },
            async (_, _) => await faulty.SignPatientlyAsync());
        await stop.CancelAsync();
        await evicting;
    }

    [Fact]
    public async Task Ten_thousand_signatures_under_random_faults_are_all_right()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        await faulty.SignAsync();
        faulty.Module.FailAtRandom(perMille: 20);
        var refused = 0;
        await Parallel.ForAsync(0, 10_000, new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = Cancel },
            async (_, _) => Interlocked.Add(ref refused, Math.Min(1, await faulty.SignPatientlyAsync())));
        Assert.True(faulty.Module.Injected > 200, $"{faulty.Module.Injected} faults");
        Assert.True(refused < 100, $"{refused} calls were refused for a moment");
        faulty.Module.FailAtRandom(perMille: 0);
        await faulty.RecoversAsync();
        TestContext.Current.TestOutputHelper!.WriteLine(
            $"{faulty.Module.Injected} faults, {refused} calls refused, {faulty.Status.Connections} connections");
    }

    /// <summary>The token is made anew by SoftHSM2's own program, with the same key, while calls come in.</summary>
    [Fact]
    public async Task A_token_initialised_anew_with_the_same_keys_signs_again()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        using var outside = ECDsa.Create(KeySpec.P256.Curve);
        var pair = await faulty.Backend.ImportAsync(FaultyToken.Request, outside.ExportPkcs8PrivateKey(), Cancel);
        var key = ActiveVersion.Of(pair);
        var pem = Path.Combine(await SoftHsm.FolderAsync(), "anew.pem");
        await File.WriteAllTextAsync(pem, outside.ExportPkcs8PrivateKeyPem(), Cancel);

        for (var round = 0; round < 3; round++)
        {
            var load = Parallel.ForAsync(0, 500, new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = Cancel },
                async (_, _) => await faulty.SignPatientlyAsync(key));
            faulty.Module.StopCalls();
            try
            {
                await Programs.RunAsync(
                    SoftHsm.Install, "softhsm2-util", "--init-token", "--token", "faulty", "--label", "faulty",
                    "--pin", SoftHsm.Pin, "--so-pin", SoftHsm.SoPin);
                await Programs.RunAsync(
                    SoftHsm.Install, "softhsm2-util", "--import", pem, "--token", "faulty", "--label", "again",
                    "--id", pair.Handle["id:".Length..], "--pin", SoftHsm.Pin);
            }
            finally
            {
                faulty.Module.GoOn();
            }

            using var back = RunningTime.Start();
            await faulty.SignPatientlyAsync(key);
            Assert.True(back.Elapsed < RecoveryLimit, $"{back.Elapsed}");
            await load;
        }
    }

    [Fact]
    public async Task A_hanging_module_holds_up_nobody_beyond_the_deadline_and_is_used_again_when_it_returns()
    {
        await using var faulty = await FaultyToken.OpenAsync(o =>
        {
            o.OperationDeadlineMilliseconds = 2_000;
            o.WorkerAbandonmentLimit = 3;
            o.Tokens[0].SessionLimit = 2;
        });
        await faulty.SignPatientlyAsync();
        faulty.Module.Hang(FaultyModule.Sign);

        var waited = Stopwatch.StartNew();
        var late = await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.Equal(SigningFault.BackendUnavailable, late.Fault);
        Assert.InRange(waited.ElapsedMilliseconds, 1_900, 20_000);

        // Each hung call costs one thread, until no more may be lost.
        await faulty.UntilAsync(s => s.Abandoned == 1);
        await Task.WhenAll(Enumerable.Range(0, 6).Select(async _ =>
            await Assert.ThrowsAsync<SigningException>(faulty.SignAsync)));
        await faulty.UntilAsync(s => s is { State: Pkcs11TokenState.Unavailable, Abandoned: 3 });
        using var atOnce = RunningTime.Start();
        var refused = await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.Contains("does not answer", refused.Message, StringComparison.Ordinal);
        Assert.True(atOnce.Elapsed < TimeSpan.FromSeconds(1), $"{atOnce.Elapsed}");

        faulty.Module.StopHanging();
        await faulty.RecoversAsync();
        await faulty.UntilAsync(s => s is { State: Pkcs11TokenState.Ready, Abandoned: 0 });
    }

    /// <summary>Two calls hang that did not begin at the same time: the first is given up while the second is not yet.</summary>
    [Fact]
    public async Task No_more_threads_hang_than_may_however_their_calls_follow_each_other()
    {
        await using var faulty = await FaultyToken.OpenAsync(o =>
        {
            o.OperationDeadlineMilliseconds = 2_000;
            o.WorkerAbandonmentLimit = 2;
            o.Tokens[0].SessionLimit = 2;
        });
        await faulty.SignPatientlyAsync();
        await faulty.UntilAsync(s => s.Abandoned == 0);
        faulty.Module.Hang(FaultyModule.Sign);
        var before = faulty.Module.Calls(FaultyModule.Sign);
        var first = Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, Cancel);
        var others = Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Assert.ThrowsAsync<SigningException>(faulty.SignAsync)));
        await first;
        await others;
        Assert.True(faulty.Module.Calls(FaultyModule.Sign) - before <= 2, $"{faulty.Module.Calls(FaultyModule.Sign) - before} calls");
    }

    [Fact]
    public async Task A_login_that_hangs_is_abandoned_and_tried_again()
    {
        await using var faulty = await FaultyToken.OpenAsync(o => o.ConnectDeadlineMilliseconds = 2_000);
        await faulty.SignAsync();
        faulty.Module.Hang(FaultyModule.Login);
        faulty.Module.LogOut();
        await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        await faulty.UntilAsync(s => s.Abandoned >= 2);
        faulty.Module.StopHanging();
        await faulty.RecoversAsync();
        await faulty.UntilAsync(s => s.Abandoned == 0);
    }

    [Fact]
    public async Task A_token_with_fewer_sessions_than_configured_is_used_with_what_it_has()
    {
        await using var faulty = await FaultyToken.OpenAsync(o => o.Tokens[0].SessionLimit = 16);
        faulty.Module.LimitSessions(4);
        await Parallel.ForAsync(0, 500, new ParallelOptions { MaxDegreeOfParallelism = 32, CancellationToken = Cancel },
            async (_, _) => await faulty.SignAsync());
        Assert.InRange(faulty.Status.Sessions, 1, 3);
    }

    [Fact]
    public async Task More_calls_than_the_queue_holds_are_refused_as_overload()
    {
        await using var faulty = await FaultyToken.OpenAsync(o =>
        {
            o.QueueLimit = 4;
            o.Tokens[0].SessionLimit = 1;
        });
        await faulty.SignAsync();
        faulty.Module.Hang(FaultyModule.Sign);
        var before = faulty.Module.Calls(FaultyModule.Sign);
        var pending = new List<Task> { faulty.SignAsync() };
        while (faulty.Module.Calls(FaultyModule.Sign) == before)
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancel);
        pending.AddRange(Enumerable.Range(0, 7).Select(_ => faulty.SignAsync()));
        faulty.Module.StopHanging();
        var faults = new List<SigningFault>();
        foreach (var call in pending)
        {
            try
            {
                await call;
            }
            catch (SigningException e)
            {
                faults.Add(e.Fault);
            }
        }

        Assert.Equal([SigningFault.Overloaded, SigningFault.Overloaded, SigningFault.Overloaded], faults);
    }

    [Fact]
    public async Task A_backend_that_is_disposed_leaves_no_session_and_refuses()
    {
        var faulty = await FaultyToken.OpenAsync();
        await Parallel.ForAsync(0, 64, Cancel, async (_, _) => await faulty.SignAsync());
        Assert.True(faulty.Module.Sessions > 1);
        await faulty.DisposeAsync();
        Assert.Equal(0, faulty.Module.Sessions);
        var refused = await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        Assert.Equal(SigningFault.BackendUnavailable, refused.Fault);
    }

    [Fact]
    public async Task A_backend_over_a_hanging_module_is_disposed_all_the_same()
    {
        await using var faulty = await FaultyToken.OpenAsync(o => o.OperationDeadlineMilliseconds = 2_000);
        await faulty.SignPatientlyAsync();
        faulty.Module.Hang(FaultyModule.Sign);
        await Assert.ThrowsAsync<SigningException>(faulty.SignAsync);
        using var disposing = RunningTime.Start();
        faulty.Backend.Dispose();
        Assert.True(disposing.Elapsed < TimeSpan.FromSeconds(8), $"{disposing.Elapsed}");
    }
}
