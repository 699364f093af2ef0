using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
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
