using System.Security.Cryptography;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests;

/// <summary>What holds for backends that do more than make keys and sign; where an ability is not claimed its tests have nothing to ask.</summary>
public abstract partial class KeyBackendContract
{
    [Theory]
    [MemberData(nameof(AllSpecs))]
    public async Task An_imported_key_signs(string specName)
    {
        if (!Abilities.Contains(typeof(IImportsKeys)))
            return;
        var spec = KeySpec.Parse(specName);
        using var outside = OutsideKey(spec);
        var pair = await ((IImportsKeys)Backend).ImportAsync(Request(spec), outside.ExportPkcs8PrivateKey(), Cancel);
        Assert.Equal(outside.ExportSubjectPublicKeyInfo(), pair.PublicKey.Spki.ToArray());
        foreach (var algorithm in spec.Algorithms)
            await AssertSignsAsync(Backend, ActiveVersion.Of(pair), algorithm);
    }

    [Fact]
    public async Task What_is_no_key_of_the_spec_is_not_imported()
    {
        if (!Abilities.Contains(typeof(IImportsKeys)))
            return;
        using var p256 = OutsideKey(KeySpec.P256);
        using var p384 = OutsideKey(KeySpec.P384);
        using var rsa = OutsideKey(KeySpec.Rsa2048);
        foreach (var wrong in new[] { p384.ExportPkcs8PrivateKey(), rsa.ExportPkcs8PrivateKey(), [1, 2, 3], [], [.. p256.ExportPkcs8PrivateKey(), 0] })
        {
            var refused = await Assert.ThrowsAsync<SigningException>(
                () => ((IImportsKeys)Backend).ImportAsync(Request(KeySpec.P256), wrong, Cancel));
            Assert.Equal(SigningFault.InvalidRequest, refused.Fault);
        }
    }

    [Fact]
    public async Task A_key_that_is_there_is_adopted()
    {
        if (!Abilities.Contains(typeof(IAdoptsKeys)))
            return;
        var made = await Backend.CreateAsync(Request(KeySpec.P256), Cancel);
        var adopted = await ((IAdoptsKeys)Backend).AdoptAsync(Request(KeySpec.P256), ReferenceTo(made), Cancel);
        Assert.Equal(made.PublicKey.Kid, adopted.PublicKey.Kid);
        Assert.Equal(made.Protection, adopted.Protection);
        await AssertSignsAsync(Backend, ActiveVersion.Of(adopted), SigningAlgorithm.ES256);

        var otherSpec = await Assert.ThrowsAsync<SigningException>(
            () => ((IAdoptsKeys)Backend).AdoptAsync(Request(KeySpec.P384), ReferenceTo(made), Cancel));
        Assert.Equal(SigningFault.InvalidRequest, otherSpec.Fault);
        var nothing = await Assert.ThrowsAsync<SigningException>(
            () => ((IAdoptsKeys)Backend).AdoptAsync(Request(KeySpec.P256), UnknownReference, Cancel));
        Assert.Equal(SigningFault.NotFound, nothing.Fault);
    }

    [Fact]
    public async Task A_destroyed_key_signs_no_more_and_destroying_twice_is_no_fault()
    {
        if (!Abilities.Contains(typeof(IDestroysKeys)))
            return;
        var key = await NewKeyAsync(KeySpec.P256);
        var other = await NewKeyAsync(KeySpec.P256);
        await Parallel.ForAsync(0, 32, Cancel, async (_, _) => await AssertSignsAsync(Backend, key, SigningAlgorithm.ES256));

        await ((IDestroysKeys)Backend).DestroyAsync(key, Cancel);
        await ((IDestroysKeys)Backend).DestroyAsync(key, Cancel);

        for (var i = 0; i < 32; i++)
        {
            var refused = await Assert.ThrowsAsync<SigningException>(
                async () => await Backend.SignAsync(key, SigningAlgorithm.ES256, new byte[32], Cancel));
            Assert.Equal(SigningFault.KeyNotUsable, refused.Fault);
        }

        await AssertSignsAsync(Backend, other, SigningAlgorithm.ES256);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(138)]
    [InlineData(2400)]
    public async Task A_wrapped_secret_comes_back_in_its_own_context_only(int length)
    {
        if (!Abilities.Contains(typeof(IWrapsKeys)))
            return;
        var wraps = (IWrapsKeys)Backend;
        var secret = RandomNumberGenerator.GetBytes(length);
        var context = new WrappingContext("key-1", 3, KeyPurpose.Tokens);
        var wrapped = await wraps.WrapAsync(secret, context, Cancel);
        Assert.NotEqual(wrapped, await wraps.WrapAsync(secret, context, Cancel));
        if (length > 8)
            Assert.True(wrapped.AsSpan().IndexOf(secret) < 0);
        Assert.Equal(secret, await wraps.UnwrapAsync(wrapped, context, Cancel));
        Assert.Equal(secret, await wraps.UnwrapAsync(wrapped, context with { }, Cancel));

        WrappingContext[] others = [context with { KeyId = "key-2" }, context with { Version = 4 }, context with { Purpose = KeyPurpose.Artifacts }];
        foreach (var other in others)
            await AssertNotUnwrappedAsync(wraps, wrapped, other);
    }

    [Fact]
    public async Task A_tampered_wrapped_secret_is_refused()
    {
        if (!Abilities.Contains(typeof(IWrapsKeys)))
            return;
        var wraps = (IWrapsKeys)Backend;
        var context = new WrappingContext("key-1", 1, KeyPurpose.Tokens);
        var wrapped = await wraps.WrapAsync(RandomNumberGenerator.GetBytes(40), context, Cancel);
        for (var i = 0; i < wrapped.Length; i++)
        {
            var tampered = (byte[])wrapped.Clone();
            tampered[i] ^= (byte)(1 << (i % 8));
            await AssertNotUnwrappedAsync(wraps, tampered, context);
        }

        foreach (var length in new[] { 0, 1, 2, 10, wrapped.Length / 2, wrapped.Length - 1 })
            await AssertNotUnwrappedAsync(wraps, wrapped[..length], context);
        await AssertNotUnwrappedAsync(wraps, [.. wrapped, 0], context);
    }

    private static async Task AssertNotUnwrappedAsync(IWrapsKeys wraps, byte[] wrapped, WrappingContext context)
    {
        var refused = await Assert.ThrowsAsync<SigningException>(() => wraps.UnwrapAsync(wrapped, context, Cancel));
        Assert.Equal(SigningFault.BackendFailed, refused.Fault);
    }
}
