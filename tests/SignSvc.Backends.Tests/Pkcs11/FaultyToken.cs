using System.Diagnostics;
using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>A backend over the token "faulty" through a module that misbehaves on command, with a key on it.</summary>
public sealed class FaultyToken : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FaultyModule _module;

    private FaultyToken(FaultyModule module, Pkcs11Backend backend, KeyVersion key)
    {
        _module = module;
        Backend = backend;
        Key = key;
    }

    internal FaultyModule Module => _module;

    internal static KeyPairRequest Request { get; } = new("faulty", 1, "faulty", KeySpec.P256, KeyPurpose.Artifacts);

    internal Pkcs11Backend Backend { get; }

    internal KeyVersion Key { get; }

    internal Pkcs11TokenStatus Status => Backend.Status[0];

    internal static async Task<FaultyToken> OpenAsync(Action<Pkcs11Options>? configure = null, TimeProvider? time = null)
    {
        var module = await FaultyModule.BuildAsync();
        var options = await module.OptionsAsync("faulty");
        configure?.Invoke(options);
        var backend = new Pkcs11Backend(options, time ?? TimeProvider.System);
        var pair = await backend.CreateAsync(Request, TestContext.Current.CancellationToken);
        return new FaultyToken(module, backend, ActiveVersion.Of(pair));
    }

    internal Task SignAsync() => SignAsync(Key);

    internal async Task SignAsync(KeyVersion key)
    {
        var digest = RandomNumberGenerator.GetBytes(32);
        var signature = await Backend.SignAsync(key, SigningAlgorithm.ES256, digest, TestContext.Current.CancellationToken);
        Assert.True(key.PublicKey.Verify(SigningAlgorithm.ES256, digest, signature.Value), "A wrong signature came back.");
    }

    /// <summary>Signs as a caller does that tries again where that may help.</summary>
    /// <returns>How often it was refused.</returns>
    internal async Task<int> SignPatientlyAsync(KeyVersion? key = null)
    {
        var started = Stopwatch.StartNew();
        for (var refused = 0; ; refused++)
        {
            try
            {
                await SignAsync(key ?? Key);
                return refused;
            }
            catch (SigningException e) when (e.Fault == SigningFault.BackendUnavailable && started.Elapsed < Patience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, TestContext.Current.CancellationToken);
            }
        }
    }

    internal async Task RecoversAsync()
    {
        using var started = RunningTime.Start();
        await SignPatientlyAsync();
        Assert.True(started.Elapsed < TimeSpan.FromSeconds(5), $"It took {started.Elapsed} to recover.");
    }

    internal async Task UntilAsync(Func<Pkcs11TokenStatus, bool> holds)
    {
        for (var started = Stopwatch.StartNew(); !holds(Status); await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System))
            Assert.True(started.Elapsed < Patience, $"It stays {Status}.");
    }

    public ValueTask DisposeAsync()
    {
        _module.StopHanging();
        Backend.Dispose();
        return ValueTask.CompletedTask;
    }
}
