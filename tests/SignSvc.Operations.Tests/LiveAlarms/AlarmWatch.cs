namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>Stages faults one after another under the eyes of a Prometheus. What was set off may stay: rates look back for minutes.</summary>
internal sealed class AlarmWatch : IAsyncDisposable
{
    /// <summary>Some gauges move once a minute; on a busy machine all takes several times as long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(4);

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(250);

    private readonly PrometheusProcess _prometheus;

    /// <summary>Of few commits the slowest is the 99th percentile, on any disk of a busy machine. A normal day has many, and StoreAlarmTests stages slow ones.</summary>
    private readonly HashSet<string> _explained = new(["SignSvcAuditSlow"], StringComparer.Ordinal);

    private AlarmWatch(PrometheusProcess prometheus) => _prometheus = prometheus;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>Returns when every rule has seen every node twice, and no alarm fires that needs a fault.</summary>
    public static async Task<AlarmWatch> StartAsync(params ServiceProcess[] nodes)
    {
        var watch = new AlarmWatch(await PrometheusProcess.StartAsync(Cancel));
        try
        {
            watch.Watch(nodes);
            await UntilAsync("every node is scraped", async () =>
                await watch._prometheus.FiringAsync(Cancel) is not null
                && await watch.AskAsync("count(count_over_time(signsvc_build{job=\"signsvc\"}[1m]) >= 2)") == nodes.Length);
            await watch.ExplainedAsync();
            return watch;
        }
        catch
        {
            await watch.DisposeAsync();
            throw;
        }
    }

    public void Watch(params ServiceProcess[] nodes) => _prometheus.Watch(nodes);

    public Task<double?> AskAsync(string query) => _prometheus.AskAsync(query, Cancel);

    public async Task<string[]> FiringAsync() =>
        await _prometheus.FiringAsync(Cancel) ?? throw new InvalidOperationException("Prometheus does not answer any more.");

    /// <summary>Each fault sets off its alarms, which did not fire before, and none that no fault so far explains.</summary>
    public async Task StageAsync<TSite>(TSite site, IEnumerable<StagedFault<TSite>> faults)
    {
        foreach (var fault in faults)
        {
            Assert.Empty(fault.Alarms.Intersect(await FiringAsync(), StringComparer.Ordinal));
            _explained.UnionWith([.. fault.Alarms, .. fault.Explains]);
            var from = TimeProvider.System.GetTimestamp();
            await fault.StageAsync(site);
            await UntilAsync(string.Join(" and ", fault.Alarms), async () =>
            {
                await fault.MeanwhileAsync(site);
                return fault.Alarms.All((await ExplainedAsync()).Contains);
            });
            TestContext.Current.SendDiagnosticMessage($"{string.Join(", ", fault.Alarms)}: after {TimeProvider.System.GetElapsedTime(from).TotalSeconds:F1} s");
        }
    }

    public static async Task UntilAsync(string what, Func<Task<bool>> holds)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(from) < Patience, $"It did not come in time: {what}.");
            await Task.Delay(BetweenLooks, TimeProvider.System, Cancel);
        }
    }

    public ValueTask DisposeAsync() => _prometheus.DisposeAsync();

    private async Task<HashSet<string>> ExplainedAsync()
    {
        var firing = await FiringAsync();
        Assert.Empty(firing.Except(_explained, StringComparer.Ordinal));
        return [.. firing];
    }
}
