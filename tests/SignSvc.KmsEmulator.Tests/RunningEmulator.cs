namespace SignSvc.Emulation.Tests;

/// <summary>
/// An emulator for one test, its key clock in the test's hand, without quotas unless the test wants them.
/// </summary>
internal sealed class RunningEmulator : IAsyncDisposable
{
    private RunningEmulator(KmsEmulator emulator, ManualClock clock)
    {
        Emulator = emulator;
        Clock = clock;
        Kms = new KmsWire(emulator.Uri);
    }

    public KmsEmulator Emulator { get; }

    public ManualClock Clock { get; }

    public KmsWire Kms { get; }

    public static async Task<RunningEmulator> StartAsync(Func<KmsEmulatorOptions, KmsEmulatorOptions>? with = null)
    {
        var clock = new ManualClock();
        var options = new KmsEmulatorOptions { Clock = clock };
        var emulator = await KmsEmulator.StartAsync(
            with?.Invoke(options) ?? options,
            TestContext.Current.CancellationToken);
        emulator.Quotas.Enforced = false;
        return new RunningEmulator(emulator, clock);
    }

    public async Task<string> NewSigningKeyAsync(string spec = "ECC_NIST_P256") =>
        (await Kms.DoAsync("CreateKey", new { KeySpec = spec, KeyUsage = "SIGN_VERIFY" })).KeyId;

    public async Task<string> StateAsync(string keyId) =>
        (await Kms.DoAsync("DescribeKey", new { KeyId = keyId })).Metadata["KeyState"]!.GetValue<string>();

    public async ValueTask DisposeAsync()
    {
        Kms.Dispose();
        await Emulator.DisposeAsync();
    }
}
