namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>Credentials, certificates, settings and strangers, on a service that learns for a second instead of a week.</summary>
public sealed class CallerAlarmTests
{
    private const int RateFloor = 100;

    /// <summary>Five a second over five minutes are 1,500.</summary>
    private const int Flood = 250;

    internal static readonly StagedFault<Site>[] Faults =
    [
        new(["SignSvcSettingsRefused"], site =>
        {
            site.Settings.Write("""{"SignSvc":{"Telemetri":{}}}""");
            return Task.CompletedTask;
        }),
        new(["SignSvcCredentialsExpire"], async site => await site.CredentialAsync("soon", TimeSpan.FromDays(3))),
        new(["SignSvcCertificateExpires"], site => site.RenewAsync(TimeSpan.FromDays(10))),
        new(["SignSvcCertificateExpired"], site => site.RenewAsync(TimeSpan.FromHours(12))),
        new(["SignSvcStrangers"], _ => Task.CompletedTask) { MeanwhileAsync = FloodAsync },
        new(["SignSvcUnusualUse", "SignSvcCredentialInWrongHands"], StealAsync),
    ];

    [Fact]
    public async Task Each_staged_fault_fires_its_own_alarm()
    {
        using var settings = new SettingsFile("{}");
        var certificate = new ServedCertificate(settings.Folder);
        certificate.Renew(TimeSpan.FromDays(90));
        using var disk = new MemoryDisk();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Data = disk.Folder,
            Environment = new Dictionary<string, string>([.. settings.Options.Environment, .. certificate.Environment], StringComparer.Ordinal)
            {
                ["SignSvc__Usage__Learning"] = "00:00:01",
                ["SignSvc__Usage__RateFloor"] = $"{RateFloor}",
            },
        });
        var site = new Site(service, settings, certificate);
        site.Token = await site.CredentialAsync("pipeline", TimeSpan.FromDays(30));
        using (var client = service.As(site.Token))
            await SignAsync(client);
        await using var alarms = await AlarmWatch.StartAsync(service);
        await AlarmWatch.UntilAsync("callers are known", async () => await alarms.AskAsync("sum(signsvc_usage_learned{signsvc_usage_of=\"caller\"})") >= 2);
        await alarms.StageAsync(site, Faults);
    }

    private static async Task FloodAsync(Site site)
    {
        using var stranger = site.Service.As(token: null);
        await Parallel.ForAsync(0, Flood, TestContext.Current.CancellationToken, async (_, _) =>
            Assert.Equal(401, (await stranger.GetJsonAsync("/v1/keys")).Code));
    }

    /// <summary>From another network, and far more often than ever.</summary>
    private static async Task StealAsync(Site site)
    {
        using var thief = Addresses.From("127.99.1.7", site.Service, site.Token);
        for (var i = 0; i <= RateFloor; i++)
            await SignAsync(thief);
    }

    private static async Task SignAsync(HttpClient client) =>
        Assert.Equal(200, (await client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);

    internal sealed record Site(ServiceProcess Service, SettingsFile Settings, ServedCertificate Certificate)
    {
        /// <summary>Of the credential that is stolen.</summary>
        public string Token { get; set; } = "";

        public async Task<string> CredentialAsync(string name, TimeSpan lifetime)
        {
            var end = TimeProvider.System.GetUtcNow().Add(lifetime).ToString("O");
            return (await Service.Client.PostJsonAsync("/v1/credentials", $$"""{"name":"{{name}}","roles":["signer"],"expiresAt":"{{end}}"}"""))["token"];
        }

        /// <summary>The service takes it over without a restart.</summary>
        public Task RenewAsync(TimeSpan lifetime)
        {
            Certificate.Renew(lifetime);
            return Task.CompletedTask;
        }
    }
}
