using System.Text.Json;

namespace SignSvc.Operations.Tests;

public sealed class DashboardTests
{
    private const string InstallPrometheus = "apt-get install -y prometheus";

    public static TheoryData<string> Dashboards() =>
        [.. Directory.GetFiles(Outside.File("deploy", "grafana", "dashboards"), "*.json").Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Dashboards))]
    public async Task Every_query_asks_for_what_is_measured_or_recorded(string dashboard)
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
        var known = (await Scrape.OfAsync(service.Client)).Names.ToHashSet(StringComparer.Ordinal);
        foreach (var line in await File.ReadAllLinesAsync(Outside.File("deploy", "prometheus", "recording.yml"), TestContext.Current.CancellationToken))
        {
            if (line.Trim().StartsWith("- record: ", StringComparison.Ordinal))
                known.Add(line.Trim()["- record: ".Length..]);
        }

        var queries = Queries(dashboard).ToArray();
        Assert.NotEmpty(queries);
        Assert.All(queries, query => Assert.DoesNotContain(Scrape.NamesIn(query), name => !known.Contains(name)));
        // Grafana's own datasource asks for no more than `up`.
        Assert.All(queries, query => Assert.True(Scrape.NamesIn(query).Any() || query.Contains("up{", StringComparison.Ordinal), query));
    }

    [Theory]
    [MemberData(nameof(Dashboards))]
    public async Task Prometheus_can_parse_every_query(string dashboard)
    {
        // As a file of rules, because promtool 2.42 formats no single expression.
        var rules = string.Concat(Queries(dashboard).Select((q, i) => $"      - record: panel:{i}\n        expr: {JsonSerializer.Serialize(q)}\n"));
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, $"groups:\n  - name: panels\n    rules:\n{rules}", TestContext.Current.CancellationToken);
            var check = await Outside.RunAsync(InstallPrometheus, "promtool", ["check", "rules", file]);
            Assert.True(check.ExitCode == 0, check.ToString());
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static IEnumerable<string> Queries(string dashboard)
    {
        var json = JsonSerializer.Deserialize<JsonElement>(File.ReadAllText(Outside.File("deploy", "grafana", "dashboards", dashboard)));
        return json.GetProperty("panels").EnumerateArray()
            .SelectMany(p => p.GetProperty("targets").EnumerateArray())
            .Select(t => t.GetProperty("expr").GetString()!);
    }
}
