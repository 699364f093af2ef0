namespace SignSvc.Operations.Tests;

/// <summary>Callers that are used unlike before, on a service that learns for a second instead of a week.</summary>
public sealed class UsageTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_credential_from_another_network_is_counted_named_in_the_log_and_known_after_a_restart()
    {
        var data = Directory.CreateTempSubdirectory("signsvc-usage-").FullName;
        try
        {
            var options = new ServiceOptions
            {
                Data = data,
                Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__Usage__Learning"] = "00:00:01" },
            };
            await using var service = await ServiceProcess.StartAsync(options);
            var token = (await service.Client.PostJsonAsync("/v1/credentials", """{"name":"pipeline","roles":["signer"]}"""))["token"];
            using (var client = service.As(token))
                await SignAsync(client);
            // The administrator, and the pipeline, which came later.
            await UntilAsync(async () => (await Scrape.OfAsync(service.Client)).Sum("signsvc_usage_learned", "signsvc_usage_of=\"caller\"") >= 2);
            Assert.Equal(0, (await Scrape.OfAsync(service.Client)).Sum("signsvc_usage_breaks_total"));

            using (var elsewhere = Addresses.From("127.99.1.7", service, token))
                await SignAsync(elsewhere);
            await UntilAsync(async () => (await Scrape.OfAsync(service.Client)).Sum("signsvc_usage_breaks_total", "signsvc_usage_of=\"caller\"", "signsvc_usage_kind=\"address\"") == 1);
            await UntilAsync(() => Task.FromResult(service.Output.Contains("The Caller credential:pipeline is used unlike before (Address): used from 127.99.1.7", StringComparison.Ordinal)));
            Assert.DoesNotContain("pipeline", (await Scrape.OfAsync(service.Client)).Text, StringComparison.Ordinal);

            Assert.Equal(0, await service.StopAsync());
            await service.RestartAsync();
            // Where it was before is known, and anywhere else is not: nothing has to be learned anew.
            using (var again = Addresses.From("127.99.1.8", service, token))
                await SignAsync(again);
            Assert.Equal(0, (await Scrape.OfAsync(service.Client)).Sum("signsvc_usage_breaks_total"));
            using (var third = Addresses.From("127.77.1.8", service, token))
                await SignAsync(third);
            await UntilAsync(async () => (await Scrape.OfAsync(service.Client)).Sum("signsvc_usage_breaks_total", "signsvc_usage_kind=\"address\"") == 1);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Fact]
    public async Task A_file_of_baselines_that_is_damaged_is_learned_anew()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(0, await service.StopAsync());
        await File.WriteAllTextAsync(Path.Combine(service.Data, "usage.json"), "[{\"subject\":", TestContext.Current.CancellationToken);
        await service.RestartAsync();
        // The log is written beside what the process says itself.
        await UntilAsync(() => Task.FromResult(service.Output.Contains("is learned anew", StringComparison.Ordinal)));
        await SignAsync(service.Client);
    }

    private static async Task SignAsync(HttpClient client) =>
        Assert.Equal(200, (await client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);

    private static async Task UntilAsync(Func<Task<bool>> holds)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (!await holds())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(from) < Patience, "It did not come in time.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }
}
