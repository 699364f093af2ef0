using System.Globalization;

namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>
/// What time brings: a service that is switched off and started again an hour and a week later, by its clock, while the KMS
/// that wraps its keys is away.
/// </summary>
public sealed class TimeAlarmTests
{
    private static readonly TimeSpan Period = TimeSpan.FromHours(1);
    private static readonly TimeSpan Waiting = TimeSpan.FromDays(7);

    internal static readonly StagedFault<Site>[] Faults =
    [
        new(["SignSvcKeyDeletionScheduled", "SignSvcKeyDeletionNotApproved"], site => site.DeleteAsync("tokens")),
        // No successor could be made, and the grace of a quarter of an hour runs.
        new(["SignSvcRotationOverdue", "SignSvcKeyReachesHardStop", "SignSvcScheduleAlarm"], async site =>
        {
            await site.Kms.ControlAsync(HttpMethod.Post, "faults", """{"kind":"Reset"}""");
            await site.RestartAsync(Period + TimeSpan.FromMinutes(7));
        })
        {
            Explains = ["SignSvcBackendDown"],
        },
        new(["SignSvcKeyDeletionNear", "SignSvcKeyUnusable"], site => site.RestartAsync(Waiting - TimeSpan.FromHours(12))),
        // The one key is deleted, and the other one's version is revoked before it has a successor.
        new(["SignSvcKeySetEmpty"], async site =>
        {
            await site.RestartAsync(Waiting + TimeSpan.FromHours(1));
            var revoked = await site.Service.Client.PostJsonAsync("/v1/keys/wrapped/versions/1/revoke", """{"reason":"compromised"}""");
            Assert.True(revoked.Code == 200, revoked.ToString());
        }),
    ];

    [Fact]
    public async Task What_was_due_and_could_not_be_done_fires_its_alarms()
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-later-").FullName;
        try
        {
            var (shim, seconds) = (Path.Combine(folder, "later.so"), Path.Combine(folder, "seconds"));
            var built = await Outside.RunAsync(
                "apt-get install -y gcc libc6-dev", "gcc",
                ["-shared", "-fPIC", "-O1", $"-DSECONDS_LATER=\"{seconds}\"", "-o", shim, Path.Combine(AppContext.BaseDirectory, "later.c"), "-ldl"]);
            Assert.True(built.ExitCode == 0, built.ToString());

            await using var kms = await EmulatedKms.StartAsync();
            var key = (await kms.AwsAsync("kms", "create-key")).GetProperty("KeyMetadata").GetProperty("Arn").GetString()!;
            using var disk = new MemoryDisk();
            await using var service = await ServiceProcess.StartAsync(new ServiceOptions
            {
                Data = disk.Folder,
                Environment = new Dictionary<string, string>(kms.Environment, StringComparer.Ordinal)
                {
                    ["SignSvc__Backends__AwsKms__default__WrappingKey"] = key,
                    ["LD_PRELOAD"] = shim,
                },
            });
            var made = await service.Client.PostJsonAsync(
                "/v1/keys", $$$"""{"name":"wrapped","purpose":"tokens","tier":"volume","backend":"aws-kms","spec":"ECC_NIST_P256","rotation":{"periodSeconds":{{{Period.TotalSeconds}}}}}""");
            Assert.True(made.Code == 201, made.ToString());
            Assert.Equal(204, (await service.Client.CallAsync(HttpMethod.Delete, "/v1/profiles/default", "")).Code);
            await using var alarms = await AlarmWatch.StartAsync(service);
            await alarms.StageAsync(new Site(service, kms, alarms, seconds), Faults);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    internal sealed record Site(ServiceProcess Service, EmulatedKms Kms, AlarmWatch Alarms, string SecondsFile)
    {
        public async Task DeleteAsync(string key)
        {
            var deleted = await Service.Client.CallAsync(HttpMethod.Delete, $"/v1/keys/{key}?pendingWindowInDays={Waiting.TotalDays}", "");
            Assert.True(deleted.Code == 200, deleted.ToString());
        }

        /// <summary>It is not watched meanwhile: nobody is to miss it.</summary>
        public async Task RestartAsync(TimeSpan later)
        {
            Alarms.Watch();
            await AlarmWatch.UntilAsync("it is watched no more", async () => await Alarms.AskAsync("up{job=\"signsvc\"}") is null);
            Assert.Equal(0, await Service.StopAsync());
            await File.WriteAllTextAsync(SecondsFile, later.TotalSeconds.ToString(CultureInfo.InvariantCulture), TestContext.Current.CancellationToken);
            await Service.RestartAsync();
            Alarms.Watch(Service);
        }
    }
}
