using SignSvc.Emulation.Faults;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>A volume key that several callers wait for is opened once, for all of them.</summary>
public sealed class SharedOpeningTests : IAsyncLifetime
{
    private EmulatedKms _kms = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _kms = await EmulatedKms.StartAsync();
        await _kms.MakeWrappingKeyAsync();
    }

    public ValueTask DisposeAsync() => _kms.DisposeAsync();

    [Fact]
    public async Task Who_comes_first_and_is_in_a_hurry_does_not_end_it_for_the_others()
    {
        using var wrapping = _kms.OpenBudgeted(o => o.WrappingKey = "alias/signsvc-wrapping");
        using var volume = new SoftwareBackend("aws-kms", wrapping);
        var request = EmulatedKms.Request(KeySpec.P256) with { Purpose = KeyPurpose.Tokens };
        var version = ActiveVersion.Of(await volume.CreateAsync(request, Cancel), request.KeyId);
        var digest = new byte[32];

        _kms.Emulator.Faults.Add(Fault.Hang("Decrypt") with { Times = 1, HangFor = TimeSpan.FromMilliseconds(600) });
        Task<BackendSignature> hurried;
        using (CallTerms.Begin(Lane.Interactive, TimeSpan.FromMilliseconds(200), TimeProvider.System))
            hurried = volume.SignAsync(version, SigningAlgorithm.ES256, digest, Cancel).AsTask();
        var signature = await volume.SignAsync(version, SigningAlgorithm.ES256, digest, Cancel);
        Assert.True(version.PublicKey.Verify(SigningAlgorithm.ES256, digest, signature.Value));
        await hurried;
    }
}
