using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Signing;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>Two tokens in one module that hold the same key.</summary>
[Collection(SoftHsm.Collection)]
public sealed class SeveralTokensTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_on_both_tokens_is_used_in_turn_and_goes_on_when_one_hangs()
    {
        var module = await FaultyModule.BuildAsync();
        var options = await module.OptionsAsync("twin-a", "twin-b");
        options.OperationDeadlineMilliseconds = 10_000;
        options.Tokens[0].SessionLimit = options.Tokens[1].SessionLimit = 1;
        using var backend = new Pkcs11Backend(options, TimeProvider.System);
        var key = await ImportAsync(backend);

        for (var i = 0; i < 20; i++)
            await SignAsync(backend, key);
        Assert.All(backend.Status, s => Assert.Equal(1, s.Sessions));

        // The call that hangs is lost to its deadline; the token it hung on is passed over while the thread is away.
        module.Hang(FaultyModule.Sign);
        var lost = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key));
        Assert.Equal(SigningFault.BackendUnavailable, lost.Fault);
        module.StopHanging();
        for (var i = 0; i < 20; i++)
            await SignAsync(backend, key);
    }

    [Fact]
    public async Task When_one_token_is_gone_the_other_serves_without_a_fault()
    {
        var options = await SoftHsm.OptionsAsync("twin-a", "twin-b");
        using var both = new Pkcs11Backend(options, TimeProvider.System);
        var key = await ImportAsync(both);

        var broken = await SoftHsm.OptionsAsync("twin-b");
        broken.Tokens.Insert(0, new Pkcs11TokenOptions { Label = "no such token", PinFile = broken.Tokens[0].PinFile });
        using var half = new Pkcs11Backend(broken, TimeProvider.System);
        for (var i = 0; i < 50; i++)
            await SignAsync(half, key);
        Assert.Equal([false, true], half.Status.Select(s => s.State == Pkcs11TokenState.Ready));

        // It cannot be said that a key is gone while a token cannot be asked.
        var unknown = await Assert.ThrowsAsync<SigningException>(() => SignAsync(half, key with { Handle = "id:0123456789" }));
        Assert.Equal(SigningFault.BackendUnavailable, unknown.Fault);
        var destroy = await Assert.ThrowsAsync<SigningException>(() => half.DestroyAsync(key, Cancel));
        Assert.Equal(SigningFault.BackendUnavailable, destroy.Fault);
    }

    [Fact]
    public async Task A_key_on_one_token_only_is_found_there()
    {
        using var second = new Pkcs11Backend(await SoftHsm.OptionsAsync("twin-b"), TimeProvider.System);
        var key = ActiveVersion.Of(await second.CreateAsync(FaultyToken.Request, Cancel));
        using var both = new Pkcs11Backend(await SoftHsm.OptionsAsync("twin-a", "twin-b"), TimeProvider.System);
        for (var i = 0; i < 20; i++)
            await SignAsync(both, key);
        Assert.Equal(key.Kid, (await both.AdoptAsync(FaultyToken.Request, key.Handle!, Cancel)).PublicKey.Kid);
        var nowhere = await Assert.ThrowsAsync<SigningException>(() => SignAsync(both, key with { Handle = "id:0123456789" }));
        Assert.Equal(SigningFault.KeyNotUsable, nowhere.Fault);

        await both.DestroyAsync(key, Cancel);
        var gone = await Assert.ThrowsAsync<SigningException>(() => SignAsync(both, key));
        Assert.Equal(SigningFault.KeyNotUsable, gone.Fault);
    }

    private static async Task<KeyVersion> ImportAsync(Pkcs11Backend backend)
    {
        using var outside = ECDsa.Create(KeySpec.P256.Curve);
        return ActiveVersion.Of(await backend.ImportAsync(FaultyToken.Request, outside.ExportPkcs8PrivateKey(), Cancel));
    }

    private static async Task SignAsync(Pkcs11Backend backend, KeyVersion key)
    {
        var digest = RandomNumberGenerator.GetBytes(32);
        var signature = await backend.SignAsync(key, SigningAlgorithm.ES256, digest, Cancel);
        Assert.True(key.PublicKey.Verify(SigningAlgorithm.ES256, digest, signature.Value));
    }
}
