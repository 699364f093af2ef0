using SignSvc.Tests;

namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>A disk that is slow, hangs and fails.</summary>
public sealed class StoreAlarmTests
{
    private const string Flushes = "fdatasync,fsync";

    /// <summary>The least that the settings allow.</summary>
    private const int Queue = 16;

    internal static readonly StagedFault<Site>[] Faults =
    [
        new(["SignSvcAuditSlow"], site => site.InjectAsync("delay_enter=600000"))
        {
            MeanwhileAsync = site => site.SignAsync(callers: 1),
            // On a busy machine a record may be too late for its caller as well.
            Explains = ["SignSvcAuditNotWritten", .. StagedFault<Site>.LostSignatures],
        },
        new(["SignSvcAuditQueueFills"], site => site.InjectAsync("delay_enter=20000000"))
        {
            MeanwhileAsync = site => site.SignAsync(callers: 2 * Queue),
            Explains = ["SignSvcAuditNotWritten", .. StagedFault<Site>.LostSignatures],
        },
    ];

    internal static readonly StagedFault<Site>[] Failing =
    [
        new(["SignSvcAuditNotWritten", .. StagedFault<Site>.LostSignatures], site => site.InjectAsync("delay_enter=20000000"))
        {
            MeanwhileAsync = site => site.SignAsync(callers: 4),
        },
        new(["SignSvcAuditFailed"], site => site.InjectAsync("error=EIO")) { MeanwhileAsync = site => site.SignAsync(callers: 1) },
    ];

    [Fact]
    public Task A_slow_disk_and_a_full_queue_fire_their_alarms() => StageAsync(Faults);

    [Fact]
    public Task A_disk_that_hangs_and_one_that_fails_fire_their_alarms() => StageAsync(Failing);

    private static async Task StageAsync(StagedFault<Site>[] faults)
    {
        using var disk = new MemoryDisk();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Data = disk.Folder,
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Audit__QueuedEntries"] = $"{Queue}",
                ["SignSvc__Audit__CommitTimeoutMilliseconds"] = "1500",
            },
        });
        await using var site = new Site(service);
        // What a first call costs is not the store's; and rates are told from what goes well.
        for (var i = 0; i < 20; i++)
            await site.SignAsync(callers: 1);
        await using var alarms = await AlarmWatch.StartAsync(service);
        await alarms.StageAsync(site, faults);
    }

    internal sealed class Site(ServiceProcess service) : IAsyncDisposable
    {
        private FaultInjection? _injection;

        /// <summary>One fault at a time: the disk is well again in between.</summary>
        public async Task InjectAsync(string fault)
        {
            await DisposeAsync();
            _injection = await FaultInjection.AttachAsync(service.ProcessId, $"{Flushes}:{fault}");
        }

        /// <summary>With a record, or refused for the want of one.</summary>
        public async Task SignAsync(int callers)
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")));
            Assert.All(answers, a => Assert.True(a.Code is 200 or 503, a.ToString()));
        }

        public async ValueTask DisposeAsync()
        {
            if (_injection is { } injection)
                await injection.DisposeAsync();
            _injection = null;
        }
    }
}
