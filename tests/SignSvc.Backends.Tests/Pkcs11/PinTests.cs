using System.ComponentModel.DataAnnotations;
using System.Diagnostics;
using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>Where the PIN comes from, and that a wrong one cannot lock the token. Options that do not hold.</summary>
[Collection(SoftHsm.Collection)]
public sealed class PinTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_refused_PIN_is_sent_once_and_its_replacement_is_taken()
    {
        var module = await FaultyModule.BuildAsync();
        var options = await module.OptionsAsync("pins");
        var pinFile = Path.Combine(await SoftHsm.FolderAsync(), "changing-pin");
        options.Tokens[0].PinFile = pinFile;
        await File.WriteAllTextAsync(pinFile, "0000\n", Cancel);
        using var backend = new Pkcs11Backend(options, TimeProvider.System);

        var refused = await Assert.ThrowsAsync<SigningException>(() => backend.ConnectAsync(Cancel));
        Assert.Equal(SigningFault.BackendFailed, refused.Fault);
        while (backend.Status[0].Trouble?.Contains("still gives the same", StringComparison.Ordinal) != true)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
        Assert.Equal(1u, module.Calls(FaultyModule.Login));

        // Exchanged as a whole: half a PIN would be another one.
        await File.WriteAllTextAsync($"{pinFile}.new", SoftHsm.Pin, Cancel);
        File.Move($"{pinFile}.new", pinFile, overwrite: true);
        while (backend.Status[0].State != Pkcs11TokenState.Ready)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
        await backend.ConnectAsync(Cancel);
        Assert.Equal(2u, module.Calls(FaultyModule.Login));
    }

    [Fact]
    public async Task A_PIN_that_was_put_right_on_the_token_is_taken_and_none_is_sent_before()
    {
        var module = await FaultyModule.BuildAsync();
        module.Fail(FaultyModule.Login, 0xA0 /* CKR_PIN_INCORRECT */, 1);
        module.ShowTokenFlags(0x10000 /* CKF_USER_PIN_COUNT_LOW */);
        using var backend = new Pkcs11Backend(await module.OptionsAsync("pins"), TimeProvider.System);
        await UntilAsync(backend, "CKR_PIN_INCORRECT); its source still gives the same");
        Assert.Equal(1u, module.Calls(FaultyModule.Login));
        module.ShowTokenFlags(0);
        await ReadyAsync(backend);
        Assert.Equal(2u, module.Calls(FaultyModule.Login));
    }

    [Fact]
    public async Task A_token_without_flags_is_sent_a_refused_PIN_once_more_and_a_locked_one_is_asked_again_and_again()
    {
        foreach (var (rv, most) in new[] { (0xA0UL /* CKR_PIN_INCORRECT */, 2u), (0xA4UL /* CKR_PIN_LOCKED */, 4u) })
        {
            var clock = new SkippingClock();
            var module = await FaultyModule.BuildAsync();
            module.Fail(FaultyModule.Login, rv, 1_000);
            using var backend = new Pkcs11Backend(await module.OptionsAsync("pins"), clock);
            string? seen = null;
            for (var i = 1u; i <= 4; i++)
            {
                await UntilAsync(backend, "still gives the same", after: seen);
                Assert.Equal(Math.Min(i, most), module.Calls(FaultyModule.Login));
                Assert.Equal(rv == 0xA4, backend.Status[0].Trouble!.Contains("The token's PIN is locked", StringComparison.Ordinal));
                clock.Skip(TimeSpan.FromMinutes(5));
                for (var tick = 0; tick < 200 && module.Calls(FaultyModule.Login) == i && i < most; tick++)
                    await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
                seen = backend.Status[0].Trouble;
            }
        }
    }

    [Fact]
    public async Task A_refused_PIN_is_not_sent_again_where_the_token_does_not_tell_how_it_stands()
    {
        var module = await FaultyModule.BuildAsync();
        var options = await module.OptionsAsync("pins");
        int slots;
        using (var survey = new ModuleSurvey(module.Path, initializationParameters: null))
            slots = survey.Slots().Count;
        module.Fail(FaultyModule.Login, 0xA0 /* CKR_PIN_INCORRECT */, 1_000);
        // Found among the others, it fails when it is asked for its flags.
        module.FailAfter(FaultyModule.GetTokenInfo, slots, 0x30 /* CKR_DEVICE_ERROR */, 1);
        using var backend = new Pkcs11Backend(options, TimeProvider.System);
        await UntilAsync(backend, "still gives the same");
        Assert.Equal(1u, module.Calls(FaultyModule.Login));
    }

    [Theory]
    [InlineData(0x20000, "CKF_USER_PIN_FINAL_TRY")]
    [InlineData(0x40000, "The token's PIN is locked (CKF_USER_PIN_LOCKED)")]
    public async Task No_PIN_is_sent_to_a_token_that_it_could_lock(ulong flags, string said)
    {
        var module = await FaultyModule.BuildAsync();
        module.ShowTokenFlags(flags);
        using var backend = new Pkcs11Backend(await module.OptionsAsync("pins"), TimeProvider.System);
        var refused = await Assert.ThrowsAsync<SigningException>(() => backend.ConnectAsync(Cancel));
        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
        Assert.Equal(0u, module.Calls(FaultyModule.Login));
        module.ShowTokenFlags(0);
        await ReadyAsync(backend);
    }

    [Fact]
    public void A_command_whose_child_keeps_the_output_open_ends_at_its_deadline_and_one_that_says_the_PIN_does_not_wait()
    {
        using var running = RunningTime.Start();
        var waited = Stopwatch.StartNew();
        var silent = new PinCommand(["/bin/sh", "-c", "sleep 20 & exit 0"], TimeSpan.FromSeconds(1));
        var refused = Assert.Throws<SigningException>(() => silent.Run(new byte[64]));
        Assert.Contains("The PIN command /bin/sh did not end", refused.Message, StringComparison.Ordinal);
        Assert.True(waited.ElapsedMilliseconds >= 900, $"{waited.Elapsed}");
        Assert.True(running.Elapsed < TimeSpan.FromSeconds(10), $"{running.Elapsed}");

        using var runningOn = RunningTime.Start();
        var buffer = new byte[64];
        Assert.Equal(4, new PinCommand(["/bin/sh", "-c", "echo 1234; sleep 20 & exit 0"], TimeSpan.FromSeconds(15)).Run(buffer));
        Assert.Equal("1234"u8.ToArray(), buffer[..4]);
        Assert.True(runningOn.Elapsed < TimeSpan.FromSeconds(10), $"{runningOn.Elapsed}");
    }

    /// <param name="after">The trouble of a try before, whose words a new one may repeat.</param>
    private static async Task UntilAsync(Pkcs11Backend backend, string trouble, string? after = null)
    {
        while (backend.Status[0].Trouble is not { } now || ReferenceEquals(now, after) || !now.Contains(trouble, StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
    }

    private static async Task ReadyAsync(Pkcs11Backend backend)
    {
        while (backend.Status[0].State != Pkcs11TokenState.Ready)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
    }

    [Fact]
    public async Task A_PIN_comes_from_a_command_or_the_environment_too()
    {
        var module = await FaultyModule.BuildAsync();
        var options = await module.OptionsAsync("pins");
        options.Tokens[0].PinFile = null;
        options.Tokens[0].PinCommand.Add("/bin/echo");
        options.Tokens[0].PinCommand.Add(SoftHsm.Pin);
        using (var byCommand = new Pkcs11Backend(options, TimeProvider.System))
            await byCommand.ConnectAsync(Cancel);

        options.Tokens[0].PinCommand.Clear();
        options.Tokens[0].PinEnvironmentVariable = "SIGNSVC_TEST_PIN";
        Environment.SetEnvironmentVariable("SIGNSVC_TEST_PIN", SoftHsm.Pin);
        using (var byEnvironment = new Pkcs11Backend(options, TimeProvider.System))
            await byEnvironment.ConnectAsync(Cancel);
    }

    [Fact]
    public async Task A_command_that_fails_is_named_and_nothing_is_sent()
    {
        var module = await FaultyModule.BuildAsync();
        var options = await module.OptionsAsync("pins");
        options.Tokens[0].PinFile = null;
        options.Tokens[0].PinCommand.Add("/bin/false");
        using var backend = new Pkcs11Backend(options, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<SigningException>(() => backend.ConnectAsync(Cancel));
        Assert.Contains("ended with 1", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0u, module.Calls(FaultyModule.Login));
    }

    [Fact]
    public void Options_tell_every_fault_at_once()
    {
        var options = new Pkcs11Options
        {
            ModulePath = "module.so",
            OperationDeadlineMilliseconds = 1,
            WorkerAbandonmentLimit = 0,
            QueueLimit = 0,
            WrappingKeyLabel = "",
        };
        options.Tokens.Add(new Pkcs11TokenOptions { PinFile = "pin", PinEnvironmentVariable = "PIN", SessionLimit = 0 });
        options.Tokens.Add(new Pkcs11TokenOptions { Label = "a" });
        options.Tokens.Add(new Pkcs11TokenOptions { Label = "a" });
        Assert.Equal(10, options.Validate().Count);
        var thrown = Assert.Throws<ValidationException>(() => new Pkcs11Backend(options, TimeProvider.System));
        Assert.All(options.Validate(), fault => Assert.Contains(fault, thrown.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_library_that_is_no_module_is_refused()
    {
        var options = await SoftHsm.OptionsAsync("pins");
        options.ModulePath = typeof(PinTests).Assembly.Location;
        var refused = Assert.Throws<SigningException>(() => new Pkcs11Backend(options, TimeProvider.System));
        Assert.Equal(SigningFault.BackendFailed, refused.Fault);
    }
}
