using System.Security.Cryptography;
using SignSvc.Signing.Backends.Software;

namespace SignSvc.Signing.Tests.Backends.Software;

public sealed class OpenKeysTests
{
    [Fact]
    public async Task A_key_that_is_closed_while_it_is_being_opened_is_let_go_of_and_signs_for_nobody()
    {
        using var keys = new OpenKeys();
        using var key = new CountedKey();
        var unwrapping = new TaskCompletionSource<AsymmetricAlgorithm>();
        var first = keys.OpenAsync("a", () => unwrapping.Task);
        var second = keys.OpenAsync("a", () => throw new InvalidOperationException("It is being opened already."));
        keys.Close("a");
        unwrapping.SetResult(key);

        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => first)).Fault);
        Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => second)).Fault);
        Assert.Equal(1, key.Disposals);
        Assert.Null(keys.Find("a"));
    }

    [Fact]
    public async Task Whoever_comes_late_does_not_open_a_closed_key_again()
    {
        using var keys = new OpenKeys();
        using var key = new CountedKey();
        Assert.Same(key, await keys.OpenAsync("a", () => Task.FromResult<AsymmetricAlgorithm>(key)));
        Assert.Same(key, keys.Find("a"));
        keys.Close("a");
        keys.Close("a");

        Assert.Equal(1, key.Disposals);
        Assert.Null(keys.Find("a"));
        var late = await Assert.ThrowsAsync<SigningException>(
            () => keys.OpenAsync("a", () => throw new InvalidOperationException("It was opened again.")));
        Assert.Equal(SigningFault.KeyNotUsable, late.Fault);
        // Nor where it was closed before anybody had opened it here.
        keys.Close("b");
        await Assert.ThrowsAsync<SigningException>(() => keys.OpenAsync("b", () => Task.FromResult<AsymmetricAlgorithm>(key)));
    }

    [Fact]
    public async Task Of_many_who_are_first_at_once_one_opens_and_all_get_the_same()
    {
        using var keys = new OpenKeys();
        var opened = 0;
        using var start = new Barrier(8);
        var got = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            start.SignalAndWait(TestContext.Current.CancellationToken);
            return keys.OpenAsync("a", () =>
            {
                Interlocked.Increment(ref opened);
                return Task.FromResult<AsymmetricAlgorithm>(new CountedKey());
            });
        })));
        Assert.Equal(1, opened);
        Assert.Single(got.Distinct());
    }

    [Fact]
    public async Task An_opening_that_failed_is_tried_again()
    {
        using var keys = new OpenKeys();
        using var key = new CountedKey();
        var away = new SigningException(SigningFault.BackendUnavailable, "The wrapping key is away.");
        Assert.Same(away, await Assert.ThrowsAsync<SigningException>(() => keys.OpenAsync("a", () => Task.FromException<AsymmetricAlgorithm>(away))));
        Assert.Same(key, await keys.OpenAsync("a", () => Task.FromResult<AsymmetricAlgorithm>(key)));
    }

    private sealed class CountedKey : AsymmetricAlgorithm
    {
        public int Disposals { get; private set; }

        protected override void Dispose(bool disposing)
        {
            Disposals++;
            base.Dispose(disposing);
        }
    }
}
