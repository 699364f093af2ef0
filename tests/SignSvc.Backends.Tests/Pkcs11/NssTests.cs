using SignSvc.Backends.Pkcs11;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>NSS softokn, Mozilla's software token: a module of another maker, with C_GetInterface and parameters in C_Initialize.</summary>
public sealed class NssBackend : IAsyncLifetime
{
    private const string Install = "apt-get install -y libnss3 libnss3-tools";
    private string _folder = null!;

    public Pkcs11Backend Backend { get; private set; } = null!;

    public Pkcs11Options Options { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        _folder = Directory.CreateTempSubdirectory("signsvc-nss-").FullName;
        var pin = Path.Combine(_folder, "pin");
        await File.WriteAllTextAsync(pin, SoftHsm.Pin + "\n");
        await Programs.RunAsync(Install, "certutil", "-N", "-d", $"sql:{_folder}", "-f", pin);
        Options = new Pkcs11Options
        {
            ModulePath = Programs.RequireFile(
                Install, "/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
                "/usr/lib/aarch64-linux-gnu/libsoftokn3.so"),
            InitializationParameters = $"configdir='sql:{_folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags= ",
            TrustAsHardware = true,
        };
        Options.Tokens.Add(new Pkcs11TokenOptions { Label = "NSS Certificate DB", PinFile = pin });
        Backend = new Pkcs11Backend(Options, TimeProvider.System);
    }

    public ValueTask DisposeAsync()
    {
        Backend.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}

/// <summary>The contract on NSS softokn.</summary>
public sealed class NssTests(NssBackend nss) : KeyBackendContract, IClassFixture<NssBackend>
{
    protected override IKeyBackend Backend => nss.Backend;

    protected override IReadOnlySet<Type> Abilities { get; } =
        new HashSet<Type> { typeof(IImportsKeys), typeof(IAdoptsKeys), typeof(IDestroysKeys), typeof(IWrapsKeys) };

    protected override Task<IKeyBackend> OpenAnotherAsync() =>
        Task.FromResult<IKeyBackend>(new Pkcs11Backend(nss.Options, TimeProvider.System));
}
