using System.Runtime.InteropServices;
using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Cryptoki;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>
/// SoftHSM2 with a token folder of this process. The module reads its environment and its tokens when it is first
/// loaded, so both are laid before any test runs.
/// </summary>
internal static partial class SoftHsm
{
    /// <summary>
    /// The collection of every test on it: SoftHSM2 locks its files against other processes, not against a second copy
    /// of itself in the same one, as <see cref="FaultyModule"/> loads.
    /// </summary>
    public const string Collection = "SoftHSM2";

    public const string Install = "apt-get install -y softhsm2";
    public const string Pin = "123456";
    public const string SoPin = "87654321";

    private static readonly string[] Labels = ["contract", "interop", "twin-a", "twin-b", "faulty", "pins", "load"];
    private static readonly Lazy<Task<string>> Folder = new(LayOutAsync);

    public static string Module => Programs.RequireFile(
        Install, "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so");

    /// <summary>The folder of this process, which is removed at its end; the tokens are there.</summary>
    public static Task<string> FolderAsync() => Folder.Value;

    public static async Task<Pkcs11Options> OptionsAsync(params string[] labels)
    {
        var folder = await FolderAsync();
        // Far above what a signature takes: a test of what hangs sets the deadline that it is about.
        var options = new Pkcs11Options { ModulePath = Module, TrustAsHardware = true, OperationDeadlineMilliseconds = 30_000 };
        foreach (var label in labels)
            options.Tokens.Add(new Pkcs11TokenOptions { Label = label, PinFile = Path.Combine(folder, "pin") });
        return options;
    }

    /// <summary>For what only other programs do to a token. A backend that is connected to it in this process has logged in.</summary>
    public static T InSession<T>(string label, Func<CryptokiSession, T> work)
    {
        var module = CryptokiModule.Load(Module, initializationParameters: null);
        var slot = module.GetSlotList().First(s => string.Equals(module.GetTokenInfo(s).label.ToString(), label, StringComparison.Ordinal));
        var session = module.OpenSession(slot, writable: true);
        try
        {
            return work(session);
        }
        finally
        {
            session.Close();
            module.Release(finalize: false);
        }
    }

    private static async Task<string> LayOutAsync()
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-softhsm-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(Path.Combine(folder, "tokens"));
        await File.WriteAllTextAsync(Path.Combine(folder, "pin"), Pin + "\n");
        var configuration = Path.Combine(folder, "softhsm2.conf");
        await File.WriteAllTextAsync(
            configuration, $"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");

        // .NET keeps its own copy of the environment: modules see only the real one.
        Assert.Equal(0, SetEnv("SOFTHSM2_CONF", configuration, 1));
        Programs.Environments["SOFTHSM2_CONF"] = configuration;
        foreach (var label in Labels)
        {
            await Programs.RunAsync(
                Install, "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", Pin, "--so-pin", SoPin);
        }

        return folder;
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetEnv(string name, string value, int overwrite);
}
