namespace SignSvc.Operations.Tests;

/// <summary>The alarms on a real service, read by a real Prometheus: none while all is well, and each on its fault.</summary>
public sealed class LiveAlarmTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    /// <summary>In scrapes of one second; far beyond what alarms are held back here.</summary>
    private static readonly TimeSpan NormalDay = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_alarm_fires_while_all_is_well_and_each_staged_fault_fires_its_own()
    {
        // All is well on a disk of memory alone: one that is busy with others makes commits slow, and that has an alarm.
        using var disk = new MemoryDisk();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Data = disk.Folder,
            Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__Usage__Learning"] = "00:00:05", ["SignSvc__Usage__RateFloor"] = "100000" },
        });
        var token = (await service.Client.PostJsonAsync("/v1/credentials", """{"name":"pipeline","roles":["signer"]}"""))["token"];
        await using var prometheus = await PrometheusProcess.StartAsync(service.Url, Cancel);
        await UntilAsync(async () => await prometheus.FiringAsync(Cancel) is not null);

        var from = TimeProvider.System.GetTimestamp();
        using (var client = service.As(token))
        {
            while (TimeProvider.System.GetElapsedTime(from) < NormalDay)
            {
                Assert.Equal(200, (await client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
                Assert.Equal(201, (await client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""")).Code);
                // Some mistakes belong to a normal day.
                Assert.Equal(400, (await client.PostJsonAsync("/v1/keys/release/sign", """{"digest":"aGk="}""")).Code);
                Assert.Empty((await prometheus.FiringAsync(Cancel))!);
                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Cancel);
            }
        }

        // It was the traffic that Prometheus saw, and not nothing.
        await UntilAsync(async () => await prometheus.AskAsync("sum(signsvc:signatures:rate5m)", Cancel) > 0);

        using (var elsewhere = Addresses.From("127.99.1.7", service, token))
            Assert.Equal(200, (await elsewhere.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
        await FiresAsync(prometheus, "SignSvcUnusualUse");

        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/disable")).Code);
        await FiresAsync(prometheus, "SignSvcDisabledKeyInUse", () => service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}"""));

        Assert.InRange((await service.Client.CallAsync(HttpMethod.Delete, "/v1/keys/release", "")).Code, 200, 202);
        await FiresAsync(prometheus, "SignSvcKeyDeletionScheduled");

        await service.KillAsync();
        await FiresAsync(prometheus, "SignSvcDown");
    }

    private static Task FiresAsync(PrometheusProcess prometheus, string alarm, Func<Task>? meanwhile = null) => UntilAsync(async () =>
    {
        if (meanwhile is not null)
            await meanwhile();
        return (await prometheus.FiringAsync(Cancel))!.Contains(alarm, StringComparer.Ordinal);
    });

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(from) < Patience, "It did not come in time.");
            await Task.Delay(TimeSpan.FromMilliseconds(250), TimeProvider.System, Cancel);
        }
    }

    private sealed class MemoryDisk : IDisposable
    {
        public string Folder { get; } = Path.Combine("/dev/shm", $"signsvc-alarms-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}");

        public void Dispose() => Directory.Delete(Folder, recursive: true);
    }
}
