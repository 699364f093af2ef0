using System.ComponentModel.DataAnnotations;
using SignSvc.Backends.Pkcs11;
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
