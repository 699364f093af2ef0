using System.Globalization;
using System.Runtime.InteropServices;

namespace SignSvc.Hsm.Tests;

/// <summary>SoftHSM2 tokens in a folder of their own, which goes when this is disposed, and the settings that use them.</summary>
public sealed class HsmTokens : IAsyncDisposable
{
    public const string Pin = "123456";
    private const string Install = "apt-get install -y softhsm2";
    private const string InstallOpenSc = "apt-get install -y opensc";
    private const string InstallCompiler = "apt-get install -y gcc libc6-dev";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-hsm-");
    private readonly string[] _labels;

    private HsmTokens(string[] labels) => _labels = labels;

    public static string Module => Programs.RequireFile(
        Install, "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so");

    public string PinFile => At("pin");

    public static async Task<HsmTokens> MakeAsync(params string[] labels)
    {
        var tokens = new HsmTokens(labels);
        Directory.CreateDirectory(tokens.At("tokens"));
        await File.WriteAllTextAsync(tokens.PinFile, Pin + "\n");
        await File.WriteAllTextAsync(
            tokens.At("softhsm2.conf"),
            $"directories.tokendir = {tokens.At("tokens")}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");
        foreach (var label in labels)
            await tokens.RunAsync(Install, "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", Pin, "--so-pin", "87654321");
        return tokens;
    }

    public string At(string name) => Path.Combine(_folder.FullName, name);

    /// <summary>The service's environment, with settings beneath <c>SignSvc__</c> over the usual ones.</summary>
    public ServiceOptions Service(params (string Setting, string Value)[] settings)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["SOFTHSM2_CONF"] = At("softhsm2.conf"),
            ["SignSvc__Backends__Pkcs11__ModulePath"] = Module,
            // Far above what a signature takes: a test of what hangs sets the deadline that it is about.
            ["SignSvc__Backends__Pkcs11__OperationDeadlineMilliseconds"] = "30000",
        };
        for (var i = 0; i < _labels.Length; i++)
        {
            var token = string.Create(CultureInfo.InvariantCulture, $"SignSvc__Backends__Pkcs11__Tokens__{i}__");
            environment[$"{token}Label"] = _labels[i];
            environment[$"{token}PinFile"] = PinFile;
        }

        foreach (var (setting, value) in settings)
            environment[$"SignSvc__{setting}"] = value;
        return new ServiceOptions { Environment = environment };
    }

    public Task<string> ToolAsync(params string[] arguments) => RunAsync(
        InstallOpenSc, "pkcs11-tool", ["--module", Module, "--token-label", _labels[0], "--login", "--pin", Pin, .. arguments]);

    /// <summary>Brings one private key into a token, as a vendor's cloning would.</summary>
    public Task<string> ImportAsync(string label, string pem, string id) =>
        RunAsync(Install, "softhsm2-util", "--import", pem, "--token", label, "--label", "clone", "--id", id, "--pin", Pin);

    public Task<string> RunAsync(string install, string program, params string[] arguments) =>
        Programs.RunAsync(install, "env", [$"SOFTHSM2_CONF={At("softhsm2.conf")}", $"PIN={Pin}", program, .. arguments]);

    /// <summary>A module in front of SoftHSM2 whose token can be pulled, and that can hang.</summary>
    public async Task<RemovableModule> MakeRemovableAsync()
    {
        var removable = new RemovableModule(At("removable.so"), At("away"), At("hangs"));
        await Programs.RunAsync(
            InstallCompiler, "gcc", "-shared", "-fPIC", "-O1", $"-DREAL_MODULE=\"{Module}\"", $"-DAWAY=\"{removable.Away}\"",
            $"-DHANGS=\"{removable.Hangs}\"", "-o", removable.Path, Path.Combine(AppContext.BaseDirectory, "removable.c"), "-ldl", "-lpthread");
        return removable;
    }

    /// <summary>A module in front of SoftHSM2 that takes as long as one on a network, and no processor.</summary>
    public async Task<string> MakeDistantAsync(TimeSpan delay)
    {
        var path = At("distant.so");
        await Programs.RunAsync(
            InstallCompiler, "gcc", "-shared", "-fPIC", "-O1", $"-DREAL_MODULE=\"{Module}\"",
            string.Create(CultureInfo.InvariantCulture, $"-DDELAY_US={delay.TotalMicroseconds:0}"), "-o", path,
            Path.Combine(AppContext.BaseDirectory, "distant.c"), "-ldl", "-lpthread");
        return path;
    }

    /// <summary>A module in front of SoftHSM2 that counts the calls it gets.</summary>
    public async Task<CountedModule> MakeCountedAsync()
    {
        var counted = new CountedModule(At("counted.so"), At("counts"));
        await Programs.RunAsync(
            InstallCompiler, "gcc", "-shared", "-fPIC", "-O1", $"-DREAL_MODULE=\"{Module}\"", $"-DCOUNTS=\"{counted.Counts}\"",
            "-o", counted.Path, Path.Combine(AppContext.BaseDirectory, "counted.c"), "-ldl", "-lpthread");
        return counted;
    }

    public async Task<string> BuildRawSignAsync()
    {
        await Programs.RunAsync(
            InstallCompiler, "gcc", "-O2", "-w", "-o", At("rawsign"), Path.Combine(AppContext.BaseDirectory, "rawsign.c"), "-ldl", "-lpthread");
        return At("rawsign");
    }

    public ValueTask DisposeAsync()
    {
        _folder.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }
}

/// <param name="Away">While this file is there, the token is not.</param>
/// <param name="Hangs">While this file is there, signing does not return. The module says so by another one beside it.</param>
public sealed record RemovableModule(string Path, string Away, string Hangs)
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public void Pull() => File.WriteAllText(Away, "");

    public void PutBack() => File.Delete(Away);

    /// <summary>Signing hangs from when this is done.</summary>
    public async Task HangAsync()
    {
        await File.WriteAllTextAsync(Hangs, "");
        using var waited = RunningTime.Start();
        for (; !File.Exists($"{Hangs}.on"); await Task.Delay(Poll, TimeProvider.System))
            Assert.True(waited.Elapsed < Patience, "The module does not hang.");
    }
}

/// <param name="Counts">A number for each function of <c>CK_FUNCTION_LIST</c>, of the calls that the service has made.</param>
public sealed record CountedModule(string Path, string Counts)
{
    /// <summary>In the order of the functions.</summary>
    public async Task<IReadOnlyList<uint>> ReadAsync(CancellationToken cancellationToken) =>
        MemoryMarshal.Cast<byte, uint>(await File.ReadAllBytesAsync(Counts, cancellationToken)).ToArray();
}
