using SignSvc.Backends.Pkcs11;
using SignSvc.Signing.Backends;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>
/// NSS softokn, Mozilla's software token: a module of another maker, with C_GetInterface and parameters in C_Initialize.
/// Those hold for the process, so there is one database in it.
/// </summary>
internal static class Nss
{
    private const string Install = "apt-get install -y libnss3 libnss3-tools";
    private static readonly Lazy<Task<(string Module, string Folder)>> Database = new(LayOutAsync);

    public static async Task<Pkcs11Options> OptionsAsync()
    {
        var (module, folder) = await Database.Value;
        var options = new Pkcs11Options
        {
            ModulePath = module,
            InitializationParameters = $"configdir='sql:{folder}' certPrefix='' keyPrefix='' secmod='secmod.db' flags= ",
            TrustAsHardware = true,

            // NSS decrypts the key from its database (10,000 rounds of PBKDF2) under one lock: on a busy machine the last of
            // many callers at once waits for seconds.
            OperationDeadlineMilliseconds = 30_000,
        };
        options.Tokens.Add(new Pkcs11TokenOptions { Label = "NSS Certificate DB", PinFile = Path.Combine(folder, "pin") });
        return options;
    }

    private static async Task<(string Module, string Folder)> LayOutAsync()
    {
        var module = Programs.RequireFile(
            Install, "/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "/usr/lib/x86_64-linux-gnu/nss/libsoftokn3.so",
            "/usr/lib/aarch64-linux-gnu/libsoftokn3.so");
        var folder = Directory.CreateTempSubdirectory("signsvc-nss-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        var pin = Path.Combine(folder, "pin");
        await File.WriteAllTextAsync(pin, SoftHsm.Pin + "\n");
        await Programs.RunAsync(Install, "certutil", "-N", "-d", $"sql:{folder}", "-f", pin);
        return (module, folder);
    }
}

public sealed class NssBackend : IAsyncLifetime
{
    public Pkcs11Backend Backend { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Backend = new Pkcs11Backend(await Nss.OptionsAsync(), TimeProvider.System);

    public ValueTask DisposeAsync()
    {
        Backend.Dispose();
        return ValueTask.CompletedTask;
    }
}

/// <summary>The contract on NSS softokn.</summary>
public sealed class NssTests(NssBackend nss) : KeyBackendContract, IClassFixture<NssBackend>
{
    protected override IKeyBackend Backend => nss.Backend;

    protected override IReadOnlySet<Type> Abilities { get; } =
        new HashSet<Type> { typeof(IImportsKeys), typeof(IAdoptsKeys), typeof(IDestroysKeys), typeof(IWrapsKeys) };

    protected override async Task<IKeyBackend> OpenAnotherAsync() => new Pkcs11Backend(await Nss.OptionsAsync(), TimeProvider.System);
}
