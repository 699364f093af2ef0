using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Configuration.Json;
using SignSvc.Http;
using SignSvc.Telemetry;

namespace SignSvc.Operations;

/// <summary>Has settings that are <see cref="ReloadableAttribute"/>.</summary>
public interface ITakesSettings
{
    /// <summary>Makes ready what new settings need. Nothing changes before the result is called, which does not fail.</summary>
    /// <exception cref="StartException">These settings cannot be had; neither can IOException and CryptographicException of a file that they name.</exception>
    Action Prepare(Settings settings);
}

/// <summary>
/// Reads the settings files again when one of them has changed, or on SIGHUP. New settings are taken over whole or not at
/// all: where anything about them is wrong the old ones stay, and the log says why.
/// </summary>
internal sealed partial class SettingsReload : BackgroundService
{
    /// <summary>By content, not by notification: mounted secrets and maps are exchanged by symbolic links.</summary>
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);

    private readonly IConfigurationRoot _configuration;
    private readonly IConfigurationSource[] _sources;
    private readonly Func<IEnumerable<ITakesSettings>> _takers;
    private readonly TimeProvider _time;
    private readonly ILogger<SettingsReload> _log;
    private readonly Dictionary<string, FlatSettings.Line> _started;
    private Settings _current;
    private string _content;
    private PosixSignalRegistration? _hangUp;
    private bool _isRefused;
    private int _asked;

    public SettingsReload(ConfigurationManager configuration, Settings current, Func<IEnumerable<ITakesSettings>> takers, TimeProvider time, ILogger<SettingsReload> log)
    {
        _configuration = configuration;
        _sources = [.. ((IConfigurationBuilder)configuration).Sources];
        _started = FlatSettings.Of(current);
        _current = current;
        _takers = takers;
        _time = time;
        _log = log;
        _content = ReadContent();
    }

    /// <summary>What stands in the files now is not what is served.</summary>
    public bool IsRefused => Volatile.Read(ref _isRefused);

    /// <summary>Who sees that the service serves may send SIGHUP at once, and what <see cref="ExecuteAsync"/> does begins some time later.</summary>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        _hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            Volatile.Write(ref _asked, 1);
        });
        return base.StartAsync(cancellationToken);
    }

    public override void Dispose()
    {
        _hangUp?.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(BetweenLooks, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            var content = ReadContent();
            var isAsked = Interlocked.Exchange(ref _asked, 0) == 1;
            if (!isAsked && string.Equals(content, _content, StringComparison.Ordinal))
                continue;
            _content = content;
            TakeOrRefuse();
        }
    }

    /// <summary>The flag goes before the log: who reads that settings are refused or in force finds the metric so.</summary>
    private void TakeOrRefuse()
    {
        try
        {
            var candidate = new ConfigurationBuilder();
            foreach (var source in _sources)
                candidate.Add(source);
            var configuration = candidate.Build();
            var (settings, faults) = SettingsReader.Read(configuration);
            faults = [.. faults, .. SettingsSurroundings.FaultsOfFiles(configuration, settings), .. LogLevels.Faults(configuration)];
            if (faults.Count > 0)
                throw new StartException(string.Join(' ', faults));
            Take(settings, [.. _takers().Select(t => t.Prepare(settings))]);
        }
        catch (Exception e) when (e is StartException or InvalidDataException or FormatException or IOException or UnauthorizedAccessException or CryptographicException)
        {
            Volatile.Write(ref _isRefused, true);
            LogRefused(StartFault.InWords(e));
        }
    }

    private void Take(Settings settings, Action[] commits)
    {
        var after = FlatSettings.Of(settings);
        var taken = Changed(FlatSettings.Of(_current), after, isReloadable: true);
        // Until the next start, against what this one began with: named at each change, and no longer once it is taken back.
        var waiting = Changed(_started, after, isReloadable: false);
        foreach (var commit in commits)
            commit();
        // Levels of the log hang on the configuration itself.
        _configuration.Reload();
        Volatile.Write(ref _isRefused, false);
        LogTaken(taken.Length > 0 ? string.Join(", ", taken) : "none but, perhaps, levels of the log");
        if (waiting.Length > 0)
            LogLater(string.Join(", ", waiting));
        _current = settings;
    }

    private static string[] Changed(Dictionary<string, FlatSettings.Line> before, Dictionary<string, FlatSettings.Line> after, bool isReloadable) =>
    [
        .. before.Keys.Union(after.Keys, StringComparer.Ordinal)
            .Where(k => (after.GetValueOrDefault(k) ?? before[k]).IsReloadable == isReloadable)
            .Where(k => !string.Equals(before.GetValueOrDefault(k)?.Value, after.GetValueOrDefault(k)?.Value, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal),
    ];

    private string ReadContent()
    {
        var files = _sources.OfType<JsonConfigurationSource>().Select(s => s.FileProvider?.GetFileInfo(s.Path ?? "").PhysicalPath).OfType<string>();
        return string.Join(' ', files.Select(HashOf));
    }

    private static string HashOf(string file)
    {
        try
        {
            return Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(file)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "-";
        }
    }

    [LoggerMessage(1151, LogLevel.Information, "Settings were read again and are in force: {Changed}")]
    private partial void LogTaken(string changed);

    [LoggerMessage(1152, LogLevel.Warning, "These settings have changed and count from the next start: {Changed}")]
    private partial void LogLater(string changed);

    [LoggerMessage(1153, LogLevel.Error, "The new settings are refused, and the old ones stay: {Faults}")]
    private partial void LogRefused(string faults);
}

public static class ReloadSetup
{
    private const string FileVariable = "SIGNSVC_SETTINGS";

    /// <summary>
    /// A settings file outside of the program's folder. Variables go before it. Files are not watched by the framework,
    /// which would take over whatever they hold: <see cref="SettingsReload"/> looks first.
    /// </summary>
    /// <exception cref="StartException">It is not there.</exception>
    /// <exception cref="InvalidDataException">A file is no JSON; <see cref="StartFault"/> knows where.</exception>
    public static void AddSettingsFile(this WebApplicationBuilder builder)
    {
        var sources = ((IConfigurationBuilder)builder.Configuration).Sources;
        foreach (var json in sources.OfType<JsonConfigurationSource>())
            json.ReloadOnChange = false;
        var own = new JsonConfigurationSource { Optional = true, Path = "signsvc.settings.json" };
        if (Environment.GetEnvironmentVariable(FileVariable) is { Length: > 0 } file)
        {
            if (!File.Exists(file))
                throw new StartException($"{FileVariable}: {file} cannot be read.");
            own = new JsonConfigurationSource { Path = Path.GetFullPath(file) };
            own.ResolveFileProvider();
        }

        var last = sources.OfType<JsonConfigurationSource>().LastOrDefault();
        sources.Insert(last is null ? 0 : sources.IndexOf(last) + 1, own);
    }

    public static void AddReload(this WebApplicationBuilder builder, Settings settings)
    {
        var configuration = builder.Configuration;
        builder.Services.AddSingleton(provider => new SettingsReload(
            configuration, settings, provider.GetServices<ITakesSettings>, provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ILogger<SettingsReload>>()));
        builder.Services.AddHostedService(provider => provider.GetRequiredService<SettingsReload>());
        builder.Services.AddSingleton<ITakesSettings, LiveLimits>();
    }
}
