using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Text.Json.Serialization;
using SignSvc.Embedded;
using SignSvc.Operations;
using SignSvc.Signing.Telemetry;
using SignSvc.Signing.Telemetry.Usage;
using static SignSvc.Telemetry.ServiceGauges;

namespace SignSvc.Telemetry;

/// <summary>
/// Tells of callers and grants that are used unlike before: in the log, which names them, and in the metrics, which do not.
/// What was learned is kept in the data folder over a restart; where that file is lost, it is learned anew.
/// </summary>
internal sealed partial class UsageService : BackgroundService, ITakesSettings
{
    private const int MaxFileBytes = 256 * 1024 * 1024;

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan BetweenKeeps = TimeSpan.FromMinutes(10);

    private readonly UsageWatch _watch;
    private readonly string _file;
    private readonly TimeProvider _time;
    private readonly ILogger<UsageService> _log;
    private readonly Meter _meter = new(SigningMeters.MeterName);

    public UsageService(Node node, ILogger<UsageService> log)
    {
        _watch = new UsageWatch(node.Settings.Usage.Limits, node.Time);
        _file = Path.Combine(node.Settings.Data, "usage.json");
        _time = node.Time;
        _log = log;
        Restore();
        AddMeters();
        node.Audit.Usage = _watch;
    }

    public Action Prepare(Settings settings) => () => _watch.Limits = settings.Usage.Limits;

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        Keep();
    }

    public override void Dispose()
    {
        _meter.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var keptAt = _time.GetTimestamp();
        using var timer = new PeriodicTimer(BetweenLooks, _time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            foreach (var each in _watch.Tick())
                LogBreak(each.Subject, each.Name, each.Kind, each.Seen, each.Known);
            if (_time.GetElapsedTime(keptAt) < BetweenKeeps)
                continue;
            keptAt = _time.GetTimestamp();
            Keep();
        }
    }

    private void Keep()
    {
        try
        {
            DurableFile.Write(_file, JsonSerializer.SerializeToUtf8Bytes(_watch.Keep(), UsageJson.Default.IReadOnlyListKeptBaseline));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotKept(e.Message);
        }
    }

    private void Restore()
    {
        try
        {
            if (new FileInfo(_file) is { Exists: true, Length: <= MaxFileBytes })
                _watch.Restore(JsonSerializer.Deserialize(File.ReadAllBytes(_file), UsageJson.Default.IReadOnlyListKeptBaseline) ?? []);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            LogNotRestored(_file, e.Message);
        }
    }

    private void AddMeters()
    {
        var subjects = Enum.GetValues<UsageSubject>();
        var kinds = Enum.GetValues<UsageBreakKind>();
        _meter.CreateObservableCounter(
            "signsvc.usage.breaks",
            () => subjects.SelectMany(s => kinds.Select(k => new Measurement<long>(_watch.BreaksOf(s, k), Pair(Of, NameOf(s)), Pair("signsvc.usage.kind", NameOf(k))))),
            "{break}", "Times that a caller or a grant was used unlike before; at most once an hour each.");
        _meter.CreateObservableGauge(
            "signsvc.usage.suspects", () => subjects.Select(s => new Measurement<long>(_watch.CountOf(s).Suspect, Pair(Of, NameOf(s)))),
            "{subject}", "Those that were unlike before in two ways within the last hour.");
        _meter.CreateObservableGauge(
            "signsvc.usage.learned", () => subjects.Select(s => new Measurement<long>(_watch.CountOf(s).Learned, Pair(Of, NameOf(s)))),
            "{subject}", "Callers and grants whose use is known for long enough to be judged.");
        _meter.CreateObservableCounter(
            "signsvc.usage.unwatched", () => _watch.Unwatched, "{use}", "Uses of callers and grants for which there was no room.");
    }

    private const string Of = "signsvc.usage.of";

    private static string NameOf(UsageSubject subject) => subject == UsageSubject.Caller ? "caller" : "grant";

    private static string NameOf(UsageBreakKind kind) => kind switch
    {
        UsageBreakKind.Rate => "rate",
        UsageBreakKind.Address => "address",
        _ => "hour",
    };

    [LoggerMessage(1171, LogLevel.Warning, "The {Subject} {Name} is used unlike before ({Kind}): {Seen}; known was {Known}")]
    private partial void LogBreak(UsageSubject subject, string name, UsageBreakKind kind, string seen, string known);

    [LoggerMessage(1172, LogLevel.Warning, "What was learned of the use of credentials cannot be kept: {Reason}")]
    private partial void LogNotKept(string reason);

    [LoggerMessage(1173, LogLevel.Warning, "{File} cannot be read: {Reason}; the use of credentials is learned anew")]
    private partial void LogNotRestored(string file, string reason);
}

[JsonSerializable(typeof(IReadOnlyList<KeptBaseline>))]
[JsonSourceGenerationOptions(JsonSerializerDefaults.Web)]
internal sealed partial class UsageJson : JsonSerializerContext;

public static class UsageSetup
{
    /// <summary>Before the first request, so that none is missed.</summary>
    public static void AddUsageWatch(this IServiceCollection services)
    {
        services.AddSingleton<UsageService>();
        services.AddHostedService(provider => provider.GetRequiredService<UsageService>());
        services.AddSingleton<ITakesSettings>(provider => provider.GetRequiredService<UsageService>());
    }
}
