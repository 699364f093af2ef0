using System.Globalization;

namespace SignSvc.Tests;

/// <summary>Promise 2, and a stop that is asked for.</summary>
public sealed class KillTests
{
    /// <summary>SIGNSVC_KILLS asks for another number.</summary>
    private static readonly int Kills = int.Parse(Environment.GetEnvironmentVariable("SIGNSVC_KILLS") ?? "100", CultureInfo.InvariantCulture);

    [Fact]
    public async Task Kill_9_at_any_moment_loses_nothing_that_was_given()
    {
        // Two services at once, because a restart is mostly one processor's work.
        var lanes = await Task.WhenAll(RunLaneAsync(1, Kills / 2), RunLaneAsync(2, Kills - (Kills / 2)));

        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{lanes.Sum(l => l.Kills)} kills, {lanes.Sum(l => l.KillsInStart)} more in a start; {lanes.Sum(l => l.Given)} signatures and tokens given, "
            + $"{lanes.Sum(l => l.Keys)} keys acknowledged; lost: 0");
        Assert.True(lanes.Sum(l => l.Given) > 10 * Kills, "Too little was in flight for the kills to mean anything.");
        Assert.True(lanes.Sum(l => l.Keys) > Kills / 2, "Too few keys were made for the kills to mean anything.");
    }

    [Fact]
    public async Task A_stop_under_load_loses_nothing_that_was_given()
    {
        await using var service = await ServiceProcess.StartAsync();
        for (var round = 0; round < 3; round++)
        {
            var since = TimeProvider.System.GetUtcNow();
            await using var load = Load.Start(service.Client, $"stop{round}");
            await load.ReachAsync(given: 100, keys: 5);
            Assert.Equal(0, await service.StopAsync());
            await load.EndAsync();
            Assert.Empty(load.Surprises);
            Assert.DoesNotContain("   at ", service.Error + service.Output, StringComparison.Ordinal);
            await service.RestartAsync();
            await CheckAsync(service.Client, load, since);
        }
    }

    private static async Task<(int Kills, int KillsInStart, int Given, int Keys)> RunLaneAsync(int lane, int kills)
    {
        var random = new Random(1000 + lane);
        await using var service = await ServiceProcess.StartAsync();
        var (given, keys, killsInStart) = (0, new List<string>(), 0);
        for (var kill = 0; kill < kills; kill++)
        {
            var since = TimeProvider.System.GetUtcNow();
            await using var load = Load.Start(service.Client, $"k{lane}-{kill}");
            await load.ReachAsync(given: random.Next(1, 60), keys: random.Next(3));
            await PauseAsync(random.Next(30));
            await service.KillAsync();
            await load.EndAsync();
            Assert.Empty(load.Surprises);

            if (random.Next(5) == 0)
            {
                await using var cut = ServiceProcess.Launch(new ServiceOptions { Data = service.Data });
                await PauseAsync(random.Next(600));
                await cut.KillAsync();
                killsInStart++;
            }

            await service.RestartAsync();
            await CheckAsync(service.Client, load, since);
            given += load.Given.Count;
            keys.AddRange(load.Keys);
        }

        foreach (var key in keys)
            await service.Client.MustPostAsync(200, $"/v1/keys/{key}/sign", $$"""{"digest":"{{Expectations.Base64Digest(key)}}"}""");
        Assert.Equal("True", (await service.Client.MustGetAsync("/v1/audit/check"))["intact"]);
        return (kills, killsInStart, given, keys.Count);
    }

    private static async Task CheckAsync(HttpClient client, Load load, DateTimeOffset since)
    {
        var records = new Dictionary<string, Given>(StringComparer.Ordinal);
        for (string? after = null; ;)
        {
            var page = await client.MustGetAsync(
                $"/v1/audit?outcome=allowed&limit=1000&from={Uri.EscapeDataString(since.ToString("O"))}{(after is null ? "" : $"&after={after}")}");
            foreach (var r in page.Json.GetProperty("records").EnumerateArray())
            {
                var id = r.GetProperty("auditId").GetString()!;
                records.Add(id, new Given(
                    id, r.GetProperty("action").GetString()!,
                    r.TryGetProperty("digest", out var digest) ? digest.GetString() : null,
                    r.TryGetProperty("tokenId", out var token) ? token.GetString() : null));
            }

            if (!page.Json.TryGetProperty("next", out var next))
                break;
            after = next.GetString();
        }

        Assert.All(load.Given, g => Assert.Equal(g, records.GetValueOrDefault(g.AuditId)));
        foreach (var key in load.Keys)
            await client.MustPostAsync(200, $"/v1/keys/{key}/sign", $$"""{"digest":"{{Expectations.Base64Digest(key)}}"}""");
        Assert.Equal("True", (await client.MustGetAsync("/v1/audit/check"))["intact"]);
    }

    private static Task PauseAsync(int milliseconds) =>
        Task.Delay(TimeSpan.FromMilliseconds(milliseconds), TimeProvider.System, TestContext.Current.CancellationToken);
}
