using System.Security.Cryptography;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Tests.Shared;

namespace SignSvc.Backends.AwsKms.Tests.Budgets;

/// <summary>A batch ends as a whole, however its calls stand.</summary>
public sealed class BatchTermsTests : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private readonly ManualClock _clock = new();
    private readonly ScriptedBackend _inner = new();
    private readonly BudgetedBackend _backend;
    private readonly KeyVersion _version;

    public BatchTermsTests()
    {
        _inner.Answer = (_, _, cancel) => Task.Delay(Timeout.InfiniteTimeSpan, _clock, cancel);
        _backend = new BudgetedBackend(_inner, new BudgetOptions { TryTimeout = TimeSpan.FromSeconds(5), MostTries = 1 }, _clock);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        _version = ActiveVersion.Of(new BackendKeyPair("handle", PublicKey.FromSpki(key.ExportSubjectPublicKeyInfo()), Protection.Kms));
    }

    public void Dispose() => _backend.Dispose();

    [Fact]
    public async Task A_call_of_a_batch_has_its_usual_time_and_no_more_than_the_batch_has_left()
    {
        using var terms = CallTerms.BeginBatch(Longest, _clock);
        await EndsAfterAsync(TimeSpan.FromSeconds(5), SigningFault.DeadlineExceeded);
        _clock.Advance(TimeSpan.FromSeconds(53));
        CallTerms.Current.ThrowIfLate(_clock);
        await EndsAfterAsync(TimeSpan.FromSeconds(2), SigningFault.DeadlineExceeded);
        Assert.Equal(SigningFault.DeadlineExceeded, Assert.Throws<SigningException>(() => CallTerms.Current.ThrowIfLate(_clock)).Fault);
    }

    [Fact]
    public async Task A_deadline_that_the_caller_named_holds_for_the_batch_instead()
    {
        using var request = CallTerms.Begin(Lane.Interactive, TimeSpan.FromSeconds(200), _clock);
        using var terms = CallTerms.BeginBatch(Longest, _clock);
        Assert.Equal(Lane.Bulk, CallTerms.Current.Lane);
        _clock.Advance(TimeSpan.FromSeconds(199));
        CallTerms.Current.ThrowIfLate(_clock);
        await EndsAfterAsync(TimeSpan.FromSeconds(1), SigningFault.DeadlineExceeded);
    }

    [Fact]
    public async Task An_item_with_a_time_of_its_own_does_not_outlast_the_batch()
    {
        using var terms = CallTerms.BeginBatch(Longest, _clock);
        _clock.Advance(TimeSpan.FromSeconds(59));
        using var item = CallTerms.Begin(Lane.Bulk, TimeSpan.FromSeconds(4), _clock);
        await EndsAfterAsync(TimeSpan.FromSeconds(1), SigningFault.DeadlineExceeded);
    }

    private async Task EndsAfterAsync(TimeSpan time, SigningFault fault)
    {
        var call = _backend.SignAsync(_version, SigningAlgorithm.ES256, new byte[32], TestContext.Current.CancellationToken).AsTask();
        _clock.Advance(time - TimeSpan.FromMilliseconds(1));
        Assert.False(call.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        var ended = await Assert.ThrowsAsync<SigningException>(() => call.WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken));
        Assert.Equal(fault, ended.Fault);
    }
}
