using SignSvc.Embedded;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Keys;

/// <summary>Ticks the schedule of all keys for as long as the process lives.</summary>
public sealed partial class KeyScheduleService(
    KeyScheduler scheduler, LiveSnapshot live, BackendSet backends, TimeProvider time, ILogger<KeyScheduleService> log) : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        var known = new HashSet<KeyAlarm>();
        do
        {
            try
            {
                await scheduler.TickAsync(stoppingToken);
            }
            catch (SigningException e)
            {
                LogMissed(e.Message);
            }

            foreach (var (key, fault) in await backends.PrepareVolumeKeysAsync(live.Current.Keys, stoppingToken))
                LogNotPrepared(key.Name, fault.Message);
            foreach (var alarm in scheduler.Alarms.Where(known.Add))
                LogAlarm(alarm.Key, alarm.Message);
            known.IntersectWith(scheduler.Alarms);
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(1101, LogLevel.Warning, "The key schedule missed a tick and tries again: {Reason}")]
    private partial void LogMissed(string reason);

    [LoggerMessage(1103, LogLevel.Error, "The volume key {Key} cannot be unwrapped ahead of its use: {Reason}")]
    private partial void LogNotPrepared(string key, string reason);

    [LoggerMessage(1102, LogLevel.Error, "Key schedule alarm for {Key}: {Alarm}")]
    private partial void LogAlarm(string key, string alarm);
}

public static class KeyScheduleServices
{
    public static void AddKeySchedule(this IServiceCollection services)
    {
        services.AddSingleton(provider => new KeyScheduler(
            provider.GetRequiredService<LiveSnapshot>(),
            provider.GetRequiredService<IStore>(),
            provider.GetRequiredService<ICluster>(),
            provider.GetRequiredService<KeyRotation>(),
            provider.GetRequiredService<Node>().Name,
            provider.GetRequiredService<TimeProvider>()));
        services.AddHostedService<KeyScheduleService>();
    }
}
