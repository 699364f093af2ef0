using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>Both ways of wrapping, on both modules; the contract runs the one that is chosen by itself.</summary>
[Collection(SoftHsm.Collection)]
public sealed class WrappingTests(SoftHsmBackend softHsm) : IClassFixture<SoftHsmBackend>
{
    private static readonly WrappingContext Context = new("key", 1, KeyPurpose.Tokens);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true, Pkcs11Wrapping.AesGcm, 1)]
    [InlineData(true, Pkcs11Wrapping.AesKeyWrap, 2)]
    [InlineData(false, Pkcs11Wrapping.AesGcm, 1)]
    [InlineData(false, Pkcs11Wrapping.AesKeyWrap, 2)]
    public async Task Each_way_binds_the_secret_to_its_context(bool onSoftHsm, Pkcs11Wrapping wrapping, byte version)
    {
        using var backend = await OpenAsync(onSoftHsm, wrapping);
        var secret = RandomNumberGenerator.GetBytes(121);
        var wrapped = await backend.WrapAsync(secret, Context, Cancel);
        Assert.Equal(version, wrapped[0]);
        Assert.Equal(secret, await backend.UnwrapAsync(wrapped, Context, Cancel));
        await AssertRefusedAsync(backend, wrapped, Context with { Version = 2 });
        for (var i = 0; i < wrapped.Length; i++)
        {
            var tampered = (byte[])wrapped.Clone();
            tampered[i] ^= 0x10;
            await AssertRefusedAsync(backend, tampered, Context);
        }
    }

    [Fact]
    public async Task What_one_way_wrapped_a_backend_set_to_the_other_unwraps()
    {
        var secret = RandomNumberGenerator.GetBytes(32);
        using var byKeyWrap = await OpenAsync(onSoftHsm: true, Pkcs11Wrapping.AesKeyWrap);
        var wrapped = await byKeyWrap.WrapAsync(secret, Context, Cancel);
        Assert.Equal(secret, await softHsm.Backend.UnwrapAsync(wrapped, Context, Cancel));
        Assert.Equal(Protection.Hsm, softHsm.Backend.Protection);
    }

    [Theory]
    [InlineData("CKA_EXTRACTABLE", 32, false, true)]
    [InlineData("CKA_SENSITIVE", 32, true, false)]
    [InlineData("AES-128", 16, false, false)]
    public async Task A_key_with_the_label_that_could_leave_the_token_or_is_too_short_wraps_nothing(
        string said, int length, bool readable, bool extractable)
    {
        var options = await SoftHsm.OptionsAsync("contract");
        options.WrappingKeyLabel = $"unfit {said} {Convert.ToHexString(RandomNumberGenerator.GetBytes(4))}";
        using var backend = new Pkcs11Backend(options, TimeProvider.System);
        await backend.ConnectAsync(Cancel);
        using var template = new Template()
            .With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true).With(CK_ATTRIBUTE_TYPE.CKA_LABEL, options.WrappingKeyLabel)
            .With(CK_ATTRIBUTE_TYPE.CKA_ID, [1]).With(CK_ATTRIBUTE_TYPE.CKA_VALUE_LEN, (nuint)length)
            .With(CK_ATTRIBUTE_TYPE.CKA_ENCRYPT, value: true).With(CK_ATTRIBUTE_TYPE.CKA_DECRYPT, value: true)
            .With(CK_ATTRIBUTE_TYPE.CKA_SENSITIVE, value: !readable).With(CK_ATTRIBUTE_TYPE.CKA_EXTRACTABLE, extractable);
        SoftHsm.InSession("contract", session => session.GenerateKey(CK_MECHANISM_TYPE.CKM_AES_KEY_GEN, template));
        var refused = await Assert.ThrowsAsync<SigningException>(() => backend.WrapAsync(new byte[32], Context, Cancel));
        Assert.Equal(SigningFault.BackendFailed, refused.Fault);
        Assert.Contains(said, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Pkcs11Wrapping.AesGcm, FaultyModule.Decrypt)]
    [InlineData(Pkcs11Wrapping.AesKeyWrap, FaultyModule.UnwrapKey)]
    public async Task A_token_that_fails_at_unwrapping_is_not_called_tampering(Pkcs11Wrapping wrapping, int function)
    {
        await using var faulty = await FaultyToken.OpenAsync(o => o.Wrapping = wrapping);
        var secret = RandomNumberGenerator.GetBytes(32);
        var wrapped = await faulty.Backend.WrapAsync(secret, Context, Cancel);
        foreach (var rv in new ulong[] { 0x05 /* CKR_GENERAL_ERROR */, 0x30 /* CKR_DEVICE_ERROR */, 0xB3 /* CKR_SESSION_HANDLE_INVALID */ })
        {
            foreach (var count in new[] { 1, 2, 3, 4 })
            {
                faulty.Module.Fail(function, rv, count);
                Assert.Equal(secret, await faulty.Backend.UnwrapAsync(wrapped, Context, Cancel));
            }
        }

        faulty.Module.Fail(function, 0x31 /* CKR_DEVICE_MEMORY */, 1);
        var refused = await Assert.ThrowsAsync<SigningException>(() => faulty.Backend.UnwrapAsync(wrapped, Context, Cancel));
        Assert.Contains("CKR_DEVICE_MEMORY", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("tampered", refused.Message, StringComparison.Ordinal);

        var connections = faulty.Status.Connections;
        wrapped[^1] ^= 1;
        refused = await Assert.ThrowsAsync<SigningException>(() => faulty.Backend.UnwrapAsync(wrapped, Context, Cancel));
        Assert.Contains("tampered", refused.Message, StringComparison.Ordinal);
        Assert.Equal(connections, faulty.Status.Connections);
    }

    private static async Task<Pkcs11Backend> OpenAsync(bool onSoftHsm, Pkcs11Wrapping wrapping)
    {
        var template = onSoftHsm ? await SoftHsm.OptionsAsync("contract") : await Nss.OptionsAsync();
        var options = new Pkcs11Options
        {
            ModulePath = template.ModulePath,
            InitializationParameters = template.InitializationParameters,
            Wrapping = wrapping,
            OperationDeadlineMilliseconds = template.OperationDeadlineMilliseconds,
        };
        options.Tokens.Add(template.Tokens[0]);
        return new Pkcs11Backend(options, TimeProvider.System);
    }

    private static async Task AssertRefusedAsync(Pkcs11Backend backend, byte[] wrapped, WrappingContext context)
    {
        var refused = await Assert.ThrowsAsync<SigningException>(() => backend.UnwrapAsync(wrapped, context, Cancel));
        Assert.Equal(SigningFault.BackendFailed, refused.Fault);
    }
}
