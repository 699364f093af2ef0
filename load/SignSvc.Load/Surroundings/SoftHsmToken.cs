using System.Globalization;
using System.Security.Cryptography;

namespace SignSvc.Load.Surroundings;

/// <summary>A SoftHSM2 token in a folder of its own, and the program that does nothing but sign with it.</summary>
internal sealed class SoftHsmToken : IAsyncDisposable
{
    private const string Label = "load";
    private const string Pin = "123456";

    private static readonly string[] Modules =
    [
        "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    ];

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-load-hsm-");

    private SoftHsmToken()
    {
    }

    /// <summary>What a service needs to use it.</summary>
    public IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["SOFTHSM2_CONF"] = At("softhsm2.conf"),
        ["SignSvc__Backends__Pkcs11__ModulePath"] = Module,
        ["SignSvc__Backends__Pkcs11__Tokens__0__Label"] = Label,
        ["SignSvc__Backends__Pkcs11__Tokens__0__PinFile"] = At("pin"),
        ["SignSvc__Backends__Pkcs11__Tokens__0__SessionLimit"] = "64",
    };

    private static string Module => Array.Find(Modules, File.Exists) ?? throw new MissingToolException("SoftHSM2");

    private Dictionary<string, string> Environment => new(StringComparer.Ordinal) { ["SOFTHSM2_CONF"] = At("softhsm2.conf"), ["PIN"] = Pin };

    /// <exception cref="MissingToolException">There is no SoftHSM2, or no gcc for the program.</exception>
    public static async Task<SoftHsmToken> MakeAsync(CancellationToken cancellationToken)
    {
        _ = Module;
        var token = new SoftHsmToken();
        try
        {
            Directory.CreateDirectory(token.At("tokens"));
            await File.WriteAllTextAsync(token.At("pin"), Pin + "\n", cancellationToken);
            await File.WriteAllTextAsync(
                token.At("softhsm2.conf"), $"directories.tokendir = {token.At("tokens")}\nobjectstore.backend = file\nlog.level = ERROR\n", cancellationToken);
            await token.RunAsync(
                "softhsm2-util", ["--init-token", "--free", "--label", Label, "--pin", Pin, "--so-pin", "87654321"], cancellationToken);
            await token.RunAsync(
                "gcc", ["-O2", "-w", "-o", token.At("rawsign"), Path.Combine(AppContext.BaseDirectory, "rawsign.c"), "-ldl", "-lpthread"], cancellationToken);
            return token;
        }
        catch
        {
            await token.DisposeAsync();
            throw;
        }
    }

    /// <summary>Signs with a key of the service, in that many sessions, by the module alone.</summary>
    /// <param name="spki">The key's public half; the service names its keys in the token by it.</param>
    /// <returns>Signatures a second and the median time of one.</returns>
    public async Task<(double Rate, TimeSpan P50)> SignAsync(ReadOnlyMemory<byte> spki, int sessions, TimeSpan length, CancellationToken cancellationToken)
    {
        const int idLength = 20;
        var id = Convert.ToHexStringLower(SHA256.HashData(spki.Span)[..idLength]);
        var printed = await RunAsync(
            At("rawsign"),
            [
                Module, Label, id, "ecdsa", sessions.ToString(CultureInfo.InvariantCulture), length.TotalSeconds.ToString(CultureInfo.InvariantCulture),
            ],
            cancellationToken);
        var figures = printed.Split(' ').Select(f => double.Parse(f, CultureInfo.InvariantCulture)).ToArray();
        return (figures[0], TimeSpan.FromMicroseconds(figures[1]));
    }

    public ValueTask DisposeAsync()
    {
        _folder.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    private string At(string name) => Path.Combine(_folder.FullName, name);

    private Task<string> RunAsync(string program, string[] arguments, CancellationToken cancellationToken) =>
        ChildProcess.RunAsync(program, arguments, cancellationToken, environment: Environment);
}
