using SignSvc.Backends.Pkcs11;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.Tests.Pkcs11;

public sealed class SoftHsmBackend : IAsyncLifetime
{
    public Pkcs11Backend Backend { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Backend = new Pkcs11Backend(await SoftHsm.OptionsAsync("contract"), TimeProvider.System);

    public ValueTask DisposeAsync()
    {
        Backend.Dispose();
        return ValueTask.CompletedTask;
    }
}

/// <summary>The contract on SoftHSM2.</summary>
[Collection(SoftHsm.Collection)]
public sealed class SoftHsmTests(SoftHsmBackend softHsm) : KeyBackendContract, IClassFixture<SoftHsmBackend>
{
    protected override IKeyBackend Backend => softHsm.Backend;

    protected override IReadOnlySet<Type> Abilities { get; } =
        new HashSet<Type> { typeof(IImportsKeys), typeof(IAdoptsKeys), typeof(IDestroysKeys), typeof(IWrapsKeys) };

    protected override async Task<IKeyBackend> OpenAnotherAsync() =>
        new Pkcs11Backend(await SoftHsm.OptionsAsync("contract"), TimeProvider.System);
}
