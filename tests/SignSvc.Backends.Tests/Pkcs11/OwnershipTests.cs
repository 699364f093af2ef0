using System.Runtime.InteropServices;
using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Keys;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>What was in a token before, or is somebody else's, is not destroyed; what nobody wants any more is.</summary>
[Collection(SoftHsm.Collection)]
public sealed class OwnershipTests
{
    private const ulong DeviceMemory = 0x31;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_failed_import_leaves_a_key_that_was_there_and_takes_back_what_it_made()
    {
        var module = await FaultyModule.BuildAsync();
        using var first = new Pkcs11Backend(await module.OptionsAsync("twin-a"), TimeProvider.System);
        using var both = new Pkcs11Backend(await module.OptionsAsync("twin-a", "twin-b"), TimeProvider.System);
        using var outside = ECDsa.Create(KeySpec.P256.Curve);
        var there = ActiveVersion.Of(await first.ImportAsync(FaultyToken.Request, outside.ExportPkcs8PrivateKey(), Cancel));
        var before = await first.ListAsync(Cancel);

        await AssertImportFailsAsync(outside);
        await SignAsync(first, there);
        using var another = ECDsa.Create(KeySpec.P256.Curve);
        module.Fail(FaultyModule.UnwrapKey, 0, 0);
        await AssertImportFailsAsync(another, unwrapsBefore: 1);
        Assert.Equal(before.Count, (await first.ListAsync(Cancel)).Count);

        async Task AssertImportFailsAsync(ECDsa key, int unwrapsBefore = 0)
        {
            module.FailAfter(FaultyModule.UnwrapKey, unwrapsBefore, DeviceMemory, 8);
            await Assert.ThrowsAsync<SigningException>(() => both.ImportAsync(FaultyToken.Request, key.ExportPkcs8PrivateKey(), Cancel));
            module.Fail(FaultyModule.UnwrapKey, 0, 0);
        }
    }

    [Fact]
    public async Task An_import_says_whether_the_key_was_there()
    {
        using var backend = await OpenAsync();
        using var outside = ECDsa.Create(KeySpec.P256.Curve);
        Assert.False((await backend.ImportAsync(FaultyToken.Request, outside.ExportPkcs8PrivateKey(), Cancel)).WasThere);
        Assert.True((await backend.ImportAsync(FaultyToken.Request, outside.ExportPkcs8PrivateKey(), Cancel)).WasThere);
    }

    [Fact]
    public async Task A_pair_that_is_made_after_its_caller_went_away_is_destroyed()
    {
        await using var faulty = await FaultyToken.OpenAsync();
        var before = (await faulty.Backend.ListAsync(Cancel)).Count;
        var calls = faulty.Module.Calls(FaultyModule.GenerateKeyPair);
        faulty.Module.Hang(FaultyModule.GenerateKeyPair);
        using var leaving = new CancellationTokenSource();
        var creating = faulty.Backend.CreateAsync(FaultyToken.Request, leaving.Token);
        while (faulty.Module.Calls(FaultyModule.GenerateKeyPair) == calls)
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancel);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => creating);
        var destroyed = faulty.Module.Calls(FaultyModule.DestroyObject);
        faulty.Module.StopHanging();
        while (faulty.Module.Calls(FaultyModule.DestroyObject) < destroyed + 2)
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, Cancel);
        Assert.Equal(before, (await faulty.Backend.ListAsync(Cancel)).Count);
    }

    [Fact]
    public async Task An_adopted_key_stays_in_the_token()
    {
        using var backend = await OpenAsync();
        var key = ActiveVersion.Of(await backend.CreateAsync(FaultyToken.Request, Cancel));
        await backend.DestroyAsync(key with { Origin = KeyOrigin.Adopted }, Cancel);
        await SignAsync(backend, key);
        await backend.DestroyAsync(key, Cancel);
        await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key));
    }

    [Fact]
    public async Task A_public_key_that_merely_has_the_same_label_stays()
    {
        using var backend = await OpenAsync();
        var label = "shared " + Convert.ToHexString(RandomNumberGenerator.GetBytes(4));
        var own = SoftHsm.InSession("interop", session =>
        {
            var (publicKey, _) = Make(session, label);
            session.DestroyObject(Make(session, label).Private);
            return TokenPublicKey.Read(session, publicKey)!;
        });
        var key = ActiveVersion.Of(new BackendKeyPair("label:" + label, own, Protection.Software));
        await SignAsync(backend, key);
        await backend.DestroyAsync(key, Cancel);
        await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key));
        using var byLabel = new Template().With(CK_ATTRIBUTE_TYPE.CKA_CLASS, 2 /* CKO_PUBLIC_KEY */).With(CK_ATTRIBUTE_TYPE.CKA_LABEL, label);
        Assert.Single(SoftHsm.InSession("interop", session => session.FindObjects(byLabel)));
    }

    [Fact]
    public async Task A_key_that_may_sign_by_PSS_alone_is_adopted()
    {
        using var backend = await OpenAsync();
        var id = RandomNumberGenerator.GetBytes(4);
        using var publicKey = new Template().With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true).With(CK_ATTRIBUTE_TYPE.CKA_ID, id)
            .With(CK_ATTRIBUTE_TYPE.CKA_MODULUS_BITS, 2048).With(CK_ATTRIBUTE_TYPE.CKA_PUBLIC_EXPONENT, [1, 0, 1]);
        CK_MECHANISM_TYPE[] allowed = [CK_MECHANISM_TYPE.CKM_RSA_PKCS_PSS];
        using var privateKey = new Template().With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true).With(CK_ATTRIBUTE_TYPE.CKA_ID, id)
            .With(CK_ATTRIBUTE_TYPE.CKA_SIGN, value: true)
            .With((CK_ATTRIBUTE_TYPE)0x40000600 /* CKA_ALLOWED_MECHANISMS */, MemoryMarshal.AsBytes<CK_MECHANISM_TYPE>(allowed));
        SoftHsm.InSession("interop", session => session.GenerateKeyPair(CK_MECHANISM_TYPE.CKM_RSA_PKCS_KEY_PAIR_GEN, publicKey, privateKey));

        var request = FaultyToken.Request with { Spec = KeySpec.Rsa2048 };
        var key = ActiveVersion.Of(await backend.AdoptAsync(request, "id:" + Convert.ToHexStringLower(id), Cancel));
        await SignAsync(backend, key, SigningAlgorithm.PS256);
        var refused = await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key, SigningAlgorithm.RS256));
        Assert.Equal(SigningFault.Unsupported, refused.Fault);
        await backend.DestroyAsync(key, Cancel);
        await Assert.ThrowsAsync<SigningException>(() => SignAsync(backend, key, SigningAlgorithm.PS256));
    }

    [Fact]
    public async Task A_public_key_made_here_verifies_and_nothing_else()
    {
        using var backend = await OpenAsync();
        var pair = await backend.CreateAsync(FaultyToken.Request with { Spec = KeySpec.Rsa2048 }, Cancel);
        using var template = new Template().With(CK_ATTRIBUTE_TYPE.CKA_CLASS, 2 /* CKO_PUBLIC_KEY */)
            .With(CK_ATTRIBUTE_TYPE.CKA_ID, Convert.FromHexString(pair.Handle["id:".Length..]));
        var uses = SoftHsm.InSession("interop", session =>
        {
            var publicKey = Assert.Single(session.FindObjects(template));
            return new[] { CK_ATTRIBUTE_TYPE.CKA_VERIFY, CK_ATTRIBUTE_TYPE.CKA_ENCRYPT, CK_ATTRIBUTE_TYPE.CKA_WRAP }
                .Select(use => session.GetBoolean(publicKey, use)).ToArray();
        });
        Assert.Equal([true, false, false], uses);
    }

    private static (nuint Public, nuint Private) Make(CryptokiSession session, string label)
    {
        using var publicKey = new Template().With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true).With(CK_ATTRIBUTE_TYPE.CKA_LABEL, label)
            .With(CK_ATTRIBUTE_TYPE.CKA_EC_PARAMS, TokenPublicKey.EcParams(KeySpec.P256));
        using var privateKey = new Template().With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true).With(CK_ATTRIBUTE_TYPE.CKA_LABEL, label)
            .With(CK_ATTRIBUTE_TYPE.CKA_SIGN, value: true);
        return session.GenerateKeyPair(CK_MECHANISM_TYPE.CKM_EC_KEY_PAIR_GEN, publicKey, privateKey);
    }

    private static async Task<Pkcs11Backend> OpenAsync()
    {
        var backend = new Pkcs11Backend(await SoftHsm.OptionsAsync("interop"), TimeProvider.System);
        await backend.ConnectAsync(Cancel);
        return backend;
    }

    private static async Task SignAsync(Pkcs11Backend backend, KeyVersion key, SigningAlgorithm? algorithm = null)
    {
        algorithm ??= SigningAlgorithm.ES256;
        var digest = RandomNumberGenerator.GetBytes(32);
        var signature = await backend.SignAsync(key, algorithm, digest, Cancel);
        Assert.True(key.PublicKey.Verify(algorithm, digest, signature.Value));
    }
}
