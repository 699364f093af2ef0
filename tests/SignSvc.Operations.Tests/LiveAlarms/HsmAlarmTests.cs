using SignSvc.Hsm.Tests;

namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>A token that is pulled and a module that hangs: SoftHSM2 behind a module that does so when it is told.</summary>
public sealed class HsmAlarmTests
{
    internal static readonly StagedFault<Site>[] Faults =
    [
        new(["SignSvcHsmTokenAway"], site =>
        {
            site.Module.Pull();
            return Task.CompletedTask;
        })
        {
            MeanwhileAsync = site => site.SignAsync(),
            Explains = ["SignSvcBackendErrors", .. StagedFault<Site>.LostSignatures],
        },
        new(["SignSvcHsmThreadsHang"], async site =>
        {
            site.Module.PutBack();
            await AlarmWatch.UntilAsync("the token is back", async () => (await site.SignAsync()).Code == 200);
            await site.Module.HangAsync();
        })
        {
            MeanwhileAsync = site => site.SignAsync(),
            // The breaker does not tell a module that hangs from one that is away.
            Explains = ["SignSvcBackendDown"],
        },
    ];

    [Fact]
    public async Task Each_staged_fault_fires_its_own_alarm()
    {
        await using var tokens = await HsmTokens.MakeAsync("alarms");
        var module = await tokens.MakeRemovableAsync();
        using var disk = new MemoryDisk();
        var settings = tokens.Service(("Backends__Pkcs11__ModulePath", module.Path), ("Backends__Pkcs11__OperationDeadlineMilliseconds", "1000"));
        await using var service = await ServiceProcess.StartAsync(settings with { Data = disk.Folder });
        var site = new Site(service, module);
        var made = await service.Client.PostJsonAsync(
            "/v1/keys", """{"name":"hsm","purpose":"artifacts","tier":"assured","backend":"pkcs11","spec":"ECC_NIST_P256"}""");
        Assert.True(made.Code == 201, made.ToString());
        Assert.Equal(200, (await site.SignAsync()).Code);
        await using var alarms = await AlarmWatch.StartAsync(service);
        await alarms.StageAsync(site, Faults);
    }

    internal sealed record Site(ServiceProcess Service, RemovableModule Module)
    {
        public Task<JsonAnswer> SignAsync() => Service.Client.PostJsonAsync("/v1/keys/hsm/sign", """{"message":"aGk="}""");
    }
}
