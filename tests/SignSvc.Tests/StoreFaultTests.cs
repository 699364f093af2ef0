using System.Diagnostics;

namespace SignSvc.Tests;

/// <summary>A disk that fails, hangs or is full: no signature without a durable record, and nothing hangs.</summary>
public sealed class StoreFaultTests
{
    private const string Flushes = "fdatasync,fsync";

    private static readonly string Sign = $$"""{"digest":"{{Expectations.Base64Digest("fault")}}"}""";

    /// <summary>Promises 1 and 6. The disk is well again at once, and still nothing is signed: what the failed flush lost is not known.</summary>
    [Fact]
    public async Task After_one_failed_fsync_nothing_is_signed_until_the_restart()
    {
        await using var service = await ServiceProcess.StartAsync();
        var client = service.Client;
        var returned = new List<string>();
        for (var i = 0; i < 20; i++)
            returned.Add((await client.MustPostAsync(200, "/v1/keys/release/sign", Sign))["auditId"]);

        await using (await FaultInjection.AttachAsync(service.ProcessId, $"{Flushes}:error=EIO"))
            (await client.PostJsonAsync("/v1/keys/release/sign", Sign)).MustBeProblem(503, "audit-unavailable");

        for (var i = 0; i < 20; i++)
        {
            (await client.PostJsonAsync("/v1/keys/release/sign", Sign)).MustBeProblem(503, "audit-unavailable");
            (await client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""")).MustBeProblem(503, "audit-unavailable");
            (await client.PostJsonAsync("/v1/keys", $$"""{"name":"late-{{i}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).MustBeProblem(503, "audit-unavailable");
        }

        (await client.PostJsonAsync("/v1/keys/release/sign-batch", $$"""{"items":[{{Sign}}]}""")).MustBeProblem(503, "audit-unavailable");
        await client.MustGetAsync("/healthz/ready", 503);
        await client.MustGetAsync("/healthz/live");
        await client.MustGetAsync("/.well-known/jwks.json");

        await service.RestartAsync();
        await MustHaveAsync(service, returned);
        await service.Client.MustPostAsync(200, "/v1/keys/release/sign", Sign);
        await service.Client.MustGetAsync("/healthz/ready");
        Assert.Empty((await service.Client.MustGetAsync("/v1/keys?prefix=late")).Json.GetProperty("keys").EnumerateArray());
    }

    /// <summary>Promise 6, of the flush that no caller waits for: commits go into the log, and from there into the file beside them.</summary>
    [Fact]
    public async Task After_a_failed_fsync_of_the_database_file_nothing_is_signed_until_the_restart()
    {
        await using var service = await ServiceProcess.StartAsync();
        var batch = $$"""{"items":[{{string.Join(',', Enumerable.Repeat(Sign, 1000))}}]}""";
        var returned = new List<string>();
        JsonAnswer answer;
        await using (await FaultInjection.AttachAsync(service.ProcessId, $"{Flushes}:error=EIO", Path.Combine(service.Data, "signsvc.db")))
        {
            do
            {
                answer = await service.Client.PostJsonAsync("/v1/keys/release/sign-batch", batch);
                if (answer.Code == 200)
                    returned.Add(answer.Json.GetProperty("results")[999].GetProperty("auditId").GetString()!);
            }
            while (answer.Code == 200 && returned.Count < 100);
        }

        answer.MustBeProblem(503, "audit-unavailable");
        Assert.NotEmpty(returned);
        (await service.Client.PostJsonAsync("/v1/keys/release/sign", Sign)).MustBeProblem(503, "audit-unavailable");
        await service.RestartAsync();
        await MustHaveAsync(service, returned);
        await service.Client.MustPostAsync(200, "/v1/keys/release/sign", Sign);
    }

    /// <summary>Promise 5.</summary>
    [Fact]
    public async Task While_the_disk_hangs_callers_are_refused_within_2_seconds_and_served_again_afterwards()
    {
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__Audit__CommitTimeoutMilliseconds"] = "1500" },
        });
        await using var well = await ServiceProcess.StartAsync();
        var client = service.Client;
        var credential = await client.MustPostAsync(201, "/v1/credentials", """{"name":"victim","roles":["signer"]}""");
        var returned = new List<string>();
        // What a first call costs (compilation, a new connection) is not the store's.
        for (var i = 0; i < 50; i++)
        {
            returned.Add((await client.MustPostAsync(200, "/v1/keys/release/sign", Sign))["auditId"]);
            await well.Client.MustPostAsync(200, "/v1/keys/release/sign", Sign);
        }

        await using (await FaultInjection.AttachAsync(well.ProcessId, $"{Flushes}:delay_enter=1"))
        await using (await FaultInjection.AttachAsync(service.ProcessId, $"{Flushes}:delay_enter=60000000"))
        {
            using var ended = new CancellationTokenSource();
            var machine = SlowestAsync(well, ended.Token);
            var healthy = FortyAsync(well.Client, answer => Assert.True(answer.Code is 200 or 201, $"{answer}"));
            var waits = await FortyAsync(client, answer =>
            {
                answer.MustBeProblem(503, "audit-unavailable");
                Assert.NotNull(answer.Headers.RetryAfter);
            });

            // Those who come later are refused at once.
            var late = Stopwatch.StartNew();
            (await client.PostJsonAsync("/v1/credentials/victim/revoke")).MustBeProblem(503, "audit-unavailable");
            late.Stop();
            await ended.CancelAsync();
            // What a service that is traced as well, and has nothing to wait for, needs at the same time is the machine's.
            var slowest = (TimeSpan[])[await machine, .. await healthy];
            var promised = TimeSpan.FromSeconds(2) + slowest.Max();
            TestContext.Current.TestOutputHelper?.WriteLine($"refused within {waits.Max()}, later within {late.Elapsed}, of {promised}");
            Assert.InRange(waits.Max(), TimeSpan.Zero, promised);
            Assert.InRange(late.Elapsed, TimeSpan.Zero, promised);
            await client.MustGetAsync("/.well-known/jwks.json");
        }

        await EventuallyAsync(async () => (await client.PostJsonAsync("/v1/keys/release/sign", Sign)).Code == 200);
        await MustHaveAsync(service, returned);
        await client.MustPostAsync(200, "/v1/credentials/victim/revoke");
        (await service.As(credential["token"]).GetJsonAsync("/v1/keys/release")).MustBeProblem(401, "unauthenticated");
    }

    /// <summary>A change whose caller gave up, but which became durable, is served, and trying it again does no harm.</summary>
    [Fact]
    public async Task A_change_that_outlived_its_caller_takes_effect()
    {
        await using var service = await ServiceProcess.StartAsync();
        var client = service.Client;
        var credential = await client.MustPostAsync(201, "/v1/credentials", """{"name":"victim","roles":["signer"]}""");
        await client.MustPostAsync(201, "/v1/keys", """{"name":"first","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        await using (var hanging = await FaultInjection.AttachAsync(service.ProcessId, $"{Flushes}:delay_enter=60000000"))
        {
            using var impatient = new CancellationTokenSource();
            using var body = new StringContent(
                """{"name":"orphan","purpose":"artifacts","spec":"ECC_NIST_P256"}""", System.Text.Encoding.UTF8, "application/json");
            var orphan = client.PostAsync("/v1/keys", body, impatient.Token);
            await hanging.UntilStruckAsync();
            await impatient.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => orphan);
            (await client.PostJsonAsync("/v1/credentials/victim/revoke")).MustBeProblem(503, "audit-unavailable");
        }

        await EventuallyAsync(async () => (await service.As(credential["token"]).GetJsonAsync("/v1/keys/release")).Code == 401);
        await EventuallyAsync(async () => (await client.GetJsonAsync("/v1/keys/orphan")).Code == 200);
        await client.MustPostAsync(200, "/v1/credentials/victim/revoke");
        await client.MustPostAsync(200, "/v1/keys/orphan/sign", Sign);
    }

    /// <summary>A failed write is undone by SQLite: the service goes on when there is space again.</summary>
    [Fact]
    public async Task On_a_full_disk_callers_are_refused_and_with_space_again_served()
    {
        var data = Directory.CreateTempSubdirectory("signsvc-full-").FullName;
        await RunAsync("mount", "-t", "tmpfs", "-o", "size=6m", "none", data);
        try
        {
            await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Data = data });
            var client = service.Client;
            var returned = new List<string>();
            for (var round = 0; round < 3; round++)
            {
                returned.Add((await client.MustPostAsync(200, "/v1/keys/release/sign", Sign))["auditId"]);
                var filler = Path.Combine(data, "filler");
                await File.WriteAllBytesAsync(filler, new byte[new DriveInfo(data).AvailableFreeSpace - 20_000], TestContext.Current.CancellationToken);
                JsonAnswer answer;
                while ((answer = await client.PostJsonAsync("/v1/keys/release/sign", Sign)).Code == 200)
                    returned.Add(answer["auditId"]);
                answer.MustBeProblem(503, "audit-unavailable");
                (await client.PostJsonAsync("/v1/keys", $$"""{"name":"full-{{round}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).MustBeProblem(503, "audit-unavailable");
                await client.MustGetAsync("/.well-known/jwks.json");
                await client.MustGetAsync("/healthz/ready", 503);
                await EventuallyAsync(() => Task.FromResult(service.Output.Split("Nothing is signed: ").Length == round + 2));

                File.Delete(filler);
                await EventuallyAsync(async () => (await client.PostJsonAsync("/v1/keys/release/sign", Sign)).Code == 200);
                await client.MustGetAsync("/healthz/ready");
                await EventuallyAsync(() => Task.FromResult(service.Output.Split("The audit is written again").Length == round + 2));
                await client.MustPostAsync(201, "/v1/keys", $$"""{"name":"full-{{round}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
            }

            await MustHaveAsync(service, returned);
            await service.RestartAsync();
            await MustHaveAsync(service, returned);
        }
        finally
        {
            await RunAsync("umount", "-l", data);
            Directory.Delete(data, recursive: true);
        }
    }

    private static async Task MustHaveAsync(ServiceProcess service, List<string> auditIds)
    {
        foreach (var id in auditIds)
        {
            var found = await service.Client.MustGetAsync($"/v1/audit?auditId={id}&outcome=allowed&action=keys:Sign");
            Assert.Single(found.Json.GetProperty("records").EnumerateArray());
        }

        Assert.Equal("True", (await service.Client.MustGetAsync("/v1/audit/check"))["intact"]);
    }

    /// <summary>The longest that an answer without the store took until the end.</summary>
    private static async Task<TimeSpan> SlowestAsync(ServiceProcess service, CancellationToken ended)
    {
        var pause = TimeSpan.FromMilliseconds(10);
        var slowest = TimeSpan.Zero;
        var watch = Stopwatch.StartNew();
        while (!ended.IsCancellationRequested)
        {
            await service.Client.MustGetAsync("/.well-known/jwks.json");
            // A machine that stands still does so in the pause, too.
            slowest = watch.Elapsed > slowest ? watch.Elapsed : slowest;
            watch.Restart();
            await Task.Delay(pause, TimeProvider.System, CancellationToken.None);
        }

        return slowest > pause ? slowest - pause : TimeSpan.Zero;
    }

    /// <summary>How long each of forty took that were sent at once.</summary>
    private static Task<TimeSpan[]> FortyAsync(HttpClient client, Action<JsonAnswer> mustBe) => Task.WhenAll(Enumerable.Range(0, 40).Select(async i =>
    {
        var watch = Stopwatch.StartNew();
        var answer = i % 4 == 3
            ? await client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"a"}""")
            : await client.PostJsonAsync("/v1/keys/release/sign", Sign);
        var took = watch.Elapsed;
        mustBe(answer);
        return took;
    }));

    /// <summary>Waits for what must come, and fails where it does not come in 60 s.</summary>
    private static async Task EventuallyAsync(Func<Task<bool>> holds)
    {
        var watch = Stopwatch.StartNew();
        while (!await holds())
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(60), "It did not come in 60 s.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        await process.WaitForExitAsync(CancellationToken.None);
        Assert.True(process.ExitCode == 0, $"{program} needs root.");
    }
}
