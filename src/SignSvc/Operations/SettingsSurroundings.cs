using Microsoft.Extensions.Logging.Abstractions;
using SignSvc.Access.Certificates;
using SignSvc.Backends.Pkcs11;
using SignSvc.Http;
using SignSvc.Keys;
using SignSvc.Telemetry;

namespace SignSvc.Operations;

/// <summary>What settings name besides values: addresses, files, the data folder. Looked at before anything is opened, so that every fault is named at once.</summary>
internal static class SettingsSurroundings
{
    public static IEnumerable<string> Faults(IConfiguration configuration, Settings settings) =>
    [
        .. ServedAddresses.Faults(configuration, settings),
        .. FaultsOfFiles(configuration, settings),
        .. FaultsOfContents(settings),
        .. FaultsOfTokens(settings.Backends.Pkcs11),
        .. LogLevels.Faults(configuration),
        .. FaultOfFolder(settings.Data) is { } fault ? new[] { fault } : [],
    ];

    public static IEnumerable<string> FaultsOfFiles(IConfiguration configuration, Settings settings)
    {
        foreach (var (name, file) in new[]
        {
            ("RootKeyFile", settings.RootKeyFile),
            ("KnownBadKeysFile", settings.KnownBadKeysFile),
            ("Store:PostgresPasswordFile", settings.Store.PostgresPasswordFile),
            ("Telemetry:OtlpHeadersFile", settings.Telemetry.OtlpHeadersFile),
            ("Kestrel:Certificates:Default:Path", configuration["Kestrel:Certificates:Default:Path"]),
            ("Kestrel:Certificates:Default:KeyPath", configuration["Kestrel:Certificates:Default:KeyPath"]),
        })
        {
            if (file is { Length: > 0 } && Unreadable(file) is { } fault)
                yield return $"{name}: {file}: {fault}";
        }

        if (ServedCertificate.FaultOf(configuration) is { } unusable)
            yield return unusable;
    }

    /// <summary>Files that are read at the start, and that a start must not trip over after it has made keys.</summary>
    private static IEnumerable<string> FaultsOfContents(Settings settings)
    {
        var certificates = settings.Access.ClientCertificates;
        Action[] reads =
        [
            () => ImportEndpoints.ReadKnownBadKeys(File.Exists(settings.KnownBadKeysFile) ? settings.KnownBadKeysFile : null),
            () =>
            {
                if (File.Exists(certificates.CaFile) && (certificates.CrlFile is null || File.Exists(certificates.CrlFile)))
                    new ClientCertificates(certificates, TimeProvider.System, NullLogger<ClientCertificates>.Instance).Dispose();
            },
        ];
        return reads.Select(FaultOf).OfType<string>();
    }

    /// <summary>Whether the token takes the PIN is seen when it is there; whether there is a PIN to send is seen now.</summary>
    private static IEnumerable<string> FaultsOfTokens(Pkcs11Options? options)
    {
        if (options is null || options.Validate().Count > 0)
            yield break;
        if (ModuleSurvey.FaultOf(options.ModulePath) is { } noModule)
            yield return $"Backends:Pkcs11:ModulePath: {noModule}";
        for (var i = 0; i < options.Tokens.Count; i++)
        {
            if (options.Tokens[i].PinFile is { } file && Unreadable(file) is { } fault)
                yield return $"Backends:Pkcs11:Tokens:{i}:PinFile: {file}: {fault}";
            if (options.Tokens[i].PinCommand is [var program, ..] && !File.Exists(program))
                yield return $"Backends:Pkcs11:Tokens:{i}:PinCommand: no such file: {program}";
        }
    }

    private static string? FaultOf(Action read)
    {
        try
        {
            read();
            return null;
        }
        catch (StartException fault)
        {
            return fault.Message;
        }
    }

    private static string? Unreadable(string file)
    {
        try
        {
            using var open = File.OpenRead(file);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e is UnauthorizedAccessException ? "may not be read." : "cannot be read.";
        }
    }

    /// <summary>
    /// Whether the data folder is, or can become, a folder to write in: tried where it is to be, with a folder that goes
    /// again, because modes alone say nothing of read-only mounts, full disks and file systems that take no files.
    /// </summary>
    private static string? FaultOfFolder(string path)
    {
        var place = path;
        while (!Path.Exists(place) && Path.GetDirectoryName(place) is { } parent)
            place = parent;
        try
        {
            if (!Directory.Exists(place))
                throw new IOException($"{place} is not a folder.");
            var probe = Path.Combine(place, $".signsvc-check-{Environment.ProcessId}");
            Directory.CreateDirectory(probe);
            Directory.Delete(probe);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"Data: the data folder {path} cannot be used: {e.Message} It must belong to the user that runs SignSvc, be writable, and not be on a full disk. Another folder: SIGNSVC_DATA=/path.";
        }
    }
}
