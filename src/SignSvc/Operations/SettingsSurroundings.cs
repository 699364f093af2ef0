using SignSvc.Telemetry;

namespace SignSvc.Operations;

/// <summary>What settings name besides values: addresses, files, the data folder. Looked at before anything is opened, so that every fault is named at once.</summary>
internal static class SettingsSurroundings
{
    public static IEnumerable<string> Faults(IConfiguration configuration, Settings settings) =>
    [
        .. AddressesOf(configuration).Where(a => !Http.Listeners.CanParse(a)).Select(a => $"ASPNETCORE_URLS: '{a}' is not an address that can be served."),
        .. FaultsOfFiles(configuration, settings),
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
    }

    public static string[] AddressesOf(IConfiguration configuration) =>
        (configuration[WebHostDefaults.ServerUrlsKey] is { Length: > 0 } urls ? urls : Http.Listeners.DefaultUrl)
            .Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

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
