using System.Security.Cryptography;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Backends;

public sealed class RootKeyTests : IDisposable
{
    private static readonly WrappingContext Context = new("key", 1, KeyPurpose.Tokens);

    private readonly RootKey _root = RootKey.Generate();

    [Fact]
    public async Task Many_threads_wrap_and_unwrap_at_once()
    {
        await Parallel.ForAsync(0, 20_000, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (i, cancellation) =>
        {
            var secret = BitConverter.GetBytes(i);
            var wrapped = await _root.WrapAsync(secret, Context, cancellation);
            Assert.Equal(secret, await _root.UnwrapAsync(wrapped, Context, cancellation));
        });
    }

    [Fact]
    public async Task A_wrapped_secret_opens_in_its_own_place_only()
    {
        var wrapped = await _root.WrapAsync(RandomNumberGenerator.GetBytes(32), Context, TestContext.Current.CancellationToken);

        foreach (var other in (WrappingContext[])[Context with { KeyId = "other" }, Context with { Version = 2 }, Context with { Purpose = KeyPurpose.Artifacts }])
            await RefusedAsync(_root, wrapped, other);
        using var stranger = RootKey.Generate();
        await RefusedAsync(stranger, wrapped, Context);
    }

    [Fact]
    public async Task Every_flipped_bit_and_every_cut_is_refused()
    {
        var wrapped = await _root.WrapAsync(new byte[32], Context, TestContext.Current.CancellationToken);

        for (var bit = 0; bit < wrapped.Length * 8; bit++)
        {
            var flipped = wrapped.ToArray();
            flipped[bit / 8] ^= (byte)(1 << (bit % 8));
            await RefusedAsync(_root, flipped, Context);
        }

        for (var length = 0; length < wrapped.Length; length++)
            await RefusedAsync(_root, wrapped[..length], Context);
    }

    public void Dispose() => _root.Dispose();

    private static async Task RefusedAsync(RootKey root, byte[] wrapped, WrappingContext context)
    {
        var refusal = await Assert.ThrowsAsync<SigningException>(
            () => root.UnwrapAsync(wrapped, context, TestContext.Current.CancellationToken));
        Assert.Equal(SigningFault.BackendFailed, refusal.Fault);
    }
}
