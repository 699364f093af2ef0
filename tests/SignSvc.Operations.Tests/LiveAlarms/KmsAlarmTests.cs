namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>A cloud's KMS that throttles, answers wrongly, is away, and in which somebody else has keys in his hands; on the emulator.</summary>
public sealed class KmsAlarmTests
{
    private const int Callers = 20;
    private const int Quota = 50;

    internal static readonly StagedFault<Site>[] Faults =
    [
        new(["SignSvcKeyStoppedAtBackend"], DisableThereAsync),
        new(["SignSvcBackendErrors"], site => site.Kms.ControlAsync(HttpMethod.Post, "faults", """{"kind":"WrongAnswer","operation":"Sign"}"""))
        {
            MeanwhileAsync = site => site.SignAsync(Callers),
            // Callers who come as fast as they are answered may ask for more than the quota.
            Explains = ["SignSvcBudgetFull", .. StagedFault<Site>.LostSignatures],
        },
        // A quota far below what the settings say.
        new(["SignSvcThrottled"], async site =>
        {
            await site.Kms.ControlAsync(HttpMethod.Delete, "faults");
            await site.Kms.ControlAsync(HttpMethod.Put, "quotas/ECC?perSecond=5");
        })
        {
            MeanwhileAsync = site => site.SignAsync(Callers),
            // Turns are few while the rate is low.
            Explains = ["SignSvcBudgetFull"],
        },
        new(["SignSvcBackendDown"], site => site.Kms.ControlAsync(HttpMethod.Post, "faults", """{"kind":"Reset","operation":"Sign"}"""))
        {
            MeanwhileAsync = site => site.SignAsync(Callers),
        },
    ];

    internal static readonly StagedFault<Site>[] Overasked =
    [
        // More is asked for than the budget allows, by callers who wait for a second.
        new(["SignSvcBudgetFull"], _ => Task.CompletedTask)
        {
            MeanwhileAsync = site => site.SignAsync(Quota * 4),
            // Whoever gets his turn late may have to leave before KMS has answered, which counts as KMS's fault.
            Explains = [.. StagedFault<Site>.LostSignatures, "SignSvcBackendErrors"],
        },
    ];

    [Fact]
    public Task What_goes_wrong_in_the_cloud_fires_its_alarms() => StageAsync(Faults);

    [Fact]
    public Task More_than_the_budget_allows_fires_its_alarm() => StageAsync(Overasked);

    private static async Task StageAsync(StagedFault<Site>[] faults)
    {
        await using var kms = await EmulatedKms.StartAsync();
        using var disk = new MemoryDisk();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Data = disk.Folder,
            Environment = new Dictionary<string, string>(kms.Environment, StringComparer.Ordinal)
            {
                ["SignSvc__Backends__AwsKms__default__StateSurveySeconds"] = "1",
                ["SignSvc__Backends__AwsKms__default__QuotaPerSecond__ECC"] = $"{Quota}",
            },
        });
        var site = new Site(service, kms);
        foreach (var name in new[] { "cloud", "stopped" })
        {
            var made = await service.Client.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"ECC_NIST_P256"}""");
            Assert.True(made.Code == 201, made.ToString());
        }

        await site.SignAsync(callers: 1);
        await using var alarms = await AlarmWatch.StartAsync(service);
        await alarms.StageAsync(site, faults);
    }

    /// <summary>Its alias there has its name here.</summary>
    private static async Task DisableThereAsync(Site site)
    {
        var alias = (await site.Kms.AwsAsync("kms", "list-aliases")).GetProperty("Aliases").EnumerateArray()
            .Single(a => a.GetProperty("AliasName").GetString()!.EndsWith("/stopped", StringComparison.Ordinal));
        await site.Kms.AwsAsync("kms", "disable-key", "--key-id", alias.GetProperty("TargetKeyId").GetString()!);
    }

    internal sealed record Site(ServiceProcess Service, EmulatedKms Kms)
    {
        public Task SignAsync(int callers) => Task.WhenAll(Enumerable.Range(0, callers).Select(async _ =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/v1/keys/cloud/sign")
            {
                Content = new StringContent("""{"message":"aGk="}""", System.Text.Encoding.UTF8, "application/json"),
            };
            request.Headers.TryAddWithoutValidation("Request-Timeout", "1");
            return await Service.Client.CallAsync(request);
        }));
    }
}
