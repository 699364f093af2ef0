using System.Security.Cryptography;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Backends.AwsKms.Tests.Budgets;

/// <summary>A scripted backend within its budget, under a clock that stands until a test moves it.</summary>
public abstract class BudgetTests
{
    private static readonly KeyVersion Version = NewVersion();

    private protected ManualClock Clock { get; } = new();

    private protected ScriptedBackend Inner { get; } = new();

    private protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private protected BudgetedBackend Budgeted(BudgetLimits limits, Func<BudgetOptions, BudgetOptions>? change = null)
    {
        var options = new BudgetOptions { Others = limits };
        return new BudgetedBackend(Inner, change is null ? options : change(options), Clock);
    }

    private protected static Task<BackendSignature> SignAsync(BudgetedBackend backend, CancellationToken? cancellationToken = null) =>
        backend.SignAsync(Version, SigningAlgorithm.ES256, new byte[32], cancellationToken ?? Cancel).AsTask();

    private protected static BudgetState State(BudgetedBackend backend) => Assert.Single(backend.Budgets);

    /// <summary>Lets exactly so much time pass, in small steps: what a step sets free runs on other threads.</summary>
    private protected async Task AdvanceUntilAsync(Func<bool> isDone, TimeSpan most)
    {
        for (var passed = TimeSpan.Zero; passed < most; passed += TimeSpan.FromMilliseconds(5))
        {
            Clock.Advance(TimeSpan.FromMilliseconds(5));
            await SettleAsync();
        }

        // No more of the test's time passes: what was set free has to arrive.
        for (var i = 0; i < 10_000 && !isDone(); i++)
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancel);
        Assert.True(isDone());
    }

    private protected async Task<T> ThenAdvanceAsync<T>(Task<T> call)
    {
        for (var i = 0; i < 10_000 && !call.IsCompleted; i++)
        {
            Clock.Advance(TimeSpan.FromMilliseconds(1));
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancel);
        }

        return await call.WaitAsync(TimeSpan.FromSeconds(10), Cancel);
    }

    private protected static async Task SettleAsync()
    {
        for (var i = 0; i < 4; i++)
            await Task.Yield();
        // Another thread may have no turn yet, and the next step must not overtake it.
        await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, Cancel);
    }

    private protected static SigningException Throttled() => new(SigningFault.Overloaded, "throttled");

    private protected static SigningException Down() => new(SigningFault.BackendUnavailable, "down");

    private static KeyVersion NewVersion()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return ActiveVersion.Of(new BackendKeyPair("handle", PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo()), Protection.Kms));
    }
}
