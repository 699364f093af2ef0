namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>A normal day on a real service, and what somebody does to its keys.</summary>
public sealed class NodeAlarmTests
{
    /// <summary>In scrapes of one second; beyond what alarms are held back here.</summary>
    private static readonly TimeSpan NormalDay = TimeSpan.FromSeconds(20);

    /// <summary>So many that the three slowest of them are beyond the 99th percentile.</summary>
    private const int ManyCommits = 300;

    internal static readonly StagedFault<ServiceProcess>[] Faults =
    [
        new(["SignSvcDisabledKeyInUse"], async service => Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/disable")).Code))
        {
            MeanwhileAsync = async service => Assert.Equal(409, (await SignAsync(service.Client)).Code),
        },
        new(["SignSvcGlassBroken"], BreakGlassAsync),
        new(["SignSvcKeyDeletionScheduled", "SignSvcKeyDeletionNotApproved"], service => DeleteAsync(service, "release")),
        new(["SignSvcDown"], service => service.KillAsync()),
    ];

    [Fact]
    public async Task No_alarm_fires_while_all_is_well_and_each_staged_fault_fires_its_own()
    {
        using var disk = new MemoryDisk();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Data = disk.Folder });
        // What is no fault: keys of all kinds, of which one is rotated every hour, a rotation, a credential for a month.
        Assert.Equal(201, (await service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"hourly","purpose":"tokens","tier":"volume","spec":"ECC_NIST_P256","rotation":{"periodSeconds":3600}}""")).Code);
        Assert.Equal(201, (await service.Client.PostJsonAsync("/v1/keys", """{"name":"other","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).Code);
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/other/rotate")).Code);
        var month = TimeProvider.System.GetUtcNow().AddDays(30).ToString("O");
        var token = (await service.Client.PostJsonAsync("/v1/credentials", $$"""{"name":"pipeline","roles":["signer"],"expiresAt":"{{month}}"}"""))["token"];
        await using var alarms = await AlarmWatch.StartAsync(service);
        for (var i = 0; i < ManyCommits; i++)
            Assert.Equal(200, (await SignAsync(service.Client)).Code);
        await AlarmWatch.UntilAsync("commits are quick", async () =>
            await alarms.AskAsync("sum(increase(signsvc_audit_commit_duration_seconds_count[5m])) >= 250 and sum(signsvc:audit_commit_duration_seconds:p99_5m) <= 0.5") is not null
            && (await alarms.FiringAsync()).Length == 0);

        var from = TimeProvider.System.GetTimestamp();
        using (var client = service.As(token))
        {
            while (TimeProvider.System.GetElapsedTime(from) < NormalDay)
            {
                Assert.Equal(200, (await SignAsync(client)).Code);
                Assert.Equal(201, (await client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""")).Code);
                // Some mistakes belong to a normal day.
                Assert.Equal(400, (await client.PostJsonAsync("/v1/keys/release/sign", """{"digest":"aGk="}""")).Code);
                Assert.Equal(403, (await client.GetJsonAsync("/v1/credentials")).Code);
                Assert.Equal(401, (await service.As(token: null).GetJsonAsync("/v1/keys")).Code);
                Assert.Empty(await alarms.FiringAsync());
                await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, TestContext.Current.CancellationToken);
            }
        }

        // It was the traffic that Prometheus saw, and not nothing.
        await AlarmWatch.UntilAsync("signatures", async () => await alarms.AskAsync("sum(signsvc:signatures:rate5m)") > 0);
        await alarms.StageAsync(service, Faults);
    }

    private static async Task BreakGlassAsync(ServiceProcess service)
    {
        // Who could approve, and is asleep.
        Assert.Equal(201, (await service.Client.PostJsonAsync("/v1/credentials", """{"name":"approver","roles":["admin"]}""")).Code);
        Assert.Equal(200, (await service.Client.CallAsync(
            HttpMethod.Put, "/v1/approval-rules/deletion", """{"resources":["key/other"],"actions":["keys:ScheduleDeletion"],"required":1,"approvers":["credential:*"]}""")).Code);
        var asked = await service.Client.CallAsync(HttpMethod.Delete, "/v1/keys/other", "");
        Assert.Equal(202, asked.Code);
        Assert.Equal(200, (await service.Client.PostJsonAsync($"/v1/approvals/{asked["id"]}/break-glass", """{"reason":"nobody else is awake"}""")).Code);
    }

    private static async Task DeleteAsync(ServiceProcess service, string key) =>
        Assert.Equal(200, (await service.Client.CallAsync(HttpMethod.Delete, $"/v1/keys/{key}", "")).Code);

    private static Task<JsonAnswer> SignAsync(HttpClient client) => client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""");
}
