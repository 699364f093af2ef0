using System.Text.Json;
using SignSvc.Load.Growth;
using SignSvc.Load.Measuring;

namespace SignSvc.Load.Tests;

/// <summary>The curves, at sizes that take seconds: figures of such runs say nothing, but that they are there does.</summary>
public sealed class GrowthTests
{
    private static readonly GrowthEffort Little = new(Askings: 1, Calls: 8, Changes: 2, Idle: TimeSpan.FromMilliseconds(300));

    private static readonly GrowthResult Made = new(
        new Machine("c0ffee1", 2, "Processor <of> test", 8L << 30, "System", "Runtime", DateTimeOffset.UnixEpoch.AddYears(56), 0.5),
        "dotnet run -- growth keys", "sqlite", "SQLite",
        [
            new("keys", 10, "first page", "ms", 1.5, 3, 50),
            new("keys", 100, "first page", "ms", 50, 300, 50),
            new("keys", 100, "a change", "ms", 400, 500),
            new("keys", 100, "database", "MiB", 12),
        ],
        1.5);

    [Fact]
    public async Task Keys_policies_and_audit_records_are_asked_the_same_at_each_size()
    {
        var results = await RunAsync(keys: 20, auditRows: 2000, statements: 100, nodes: 1, Curve.Keys, Curve.Audit, Curve.Policies);

        Assert.Equal(["sqlite", "policies"], results.Select(r => r.Name), StringComparer.Ordinal);
        AssertWhole(results[0], ("keys", [10, 20]), ("audit rows", [1000, 2000]));
        AssertWhole(results[1], ("statements of the service's policies", [10, 100]), ("keys with a policy each", [10, 20]));
        // Where there are more rows, keys are listed again.
        Assert.Contains(results[0].Points, p => p is { Of: "audit rows", Size: 2000, Question: "keys: first page of 100", Goal: 50 });
        Assert.InRange(results[0].Points.Single(p => p is { Size: 2000, Question: "database, a row" }).Value, 50, 10_000);
    }

    [Fact]
    public async Task Nodes_are_added_one_by_one_and_all_follow()
    {
        var result = Assert.Single(await RunAsync(keys: 0, auditRows: 0, statements: 0, nodes: 2, Curve.Nodes));

        Assert.Equal("nodes", result.Name);
        AssertWhole(result, ("nodes", [1, 2]));
        Assert.True(
            result.Points.Single(p => p is { Size: 2, Question: "sessions of the database" }).Value
            > result.Points.Single(p => p is { Size: 1, Question: "sessions of the database" }).Value);
    }

    [Fact]
    public void Only_what_has_a_bound_can_be_missed_and_its_median_counts()
    {
        Assert.Empty(GrowthReport.Missed(Made));
        Assert.Contains("within 50 ms", GrowthReport.Markdown(Made), StringComparison.Ordinal);

        var slow = Made with { Points = [.. Made.Points, new("keys", 1000, "first page", "ms", 60, 61, 50)] };
        Assert.Equal(1000, Assert.Single(GrowthReport.Missed(slow)).Size);
        Assert.Contains("Beyond 50 ms: first page at 1000 keys: 60 ms", GrowthReport.Markdown(slow), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_report_says_where_of_what_and_by_which_command_it_was_measured()
    {
        var page = GrowthReport.Html(Made);
        foreach (var said in new[] { "c0ffee1", "dotnet run -- growth keys", "8 GiB", "load average 0.5 before, 1.5 after" })
        {
            Assert.Contains(said, GrowthReport.Markdown(Made), StringComparison.Ordinal);
            Assert.Contains(said, page, StringComparison.Ordinal);
        }

        Assert.Contains("Processor &lt;of&gt; test", page, StringComparison.Ordinal);
        Assert.Contains("| first page, ms | 1.50 (3.00) | 50.0 (300) |", GrowthReport.Markdown(Made), StringComparison.Ordinal);
        Assert.Contains("| database, MiB |  | 12.0 |", GrowthReport.Markdown(Made), StringComparison.Ordinal);
        // A chart for each unit.
        Assert.Equal(2, page.Split("<svg ").Length - 1);
        using var json = JsonDocument.Parse(GrowthReport.Json(Made));
        Assert.Equal("c0ffee1", json.RootElement.GetProperty("machine").GetProperty("commit").GetString());
        Assert.Equal(4, json.RootElement.GetProperty("points").GetArrayLength());
    }

    private static void AssertWhole(GrowthResult result, params (string Of, long[] Sizes)[] grown)
    {
        Assert.Equal(grown.Select(g => g.Of), result.Points.Select(p => p.Of).Distinct(StringComparer.Ordinal), StringComparer.Ordinal);
        Assert.All(grown, g =>
        {
            var ofIt = result.Points.Where(p => string.Equals(p.Of, g.Of, StringComparison.Ordinal)).ToList();
            Assert.All(ofIt.GroupBy(p => p.Question, StringComparer.Ordinal), q => Assert.Equal(g.Sizes, q.Select(p => p.Size)));
        });
        Assert.All(result.Points, p => Assert.True(double.IsFinite(p.Value) && p.Value >= 0, $"{p.Question}: {p.Value}"));
    }

    private static async Task<List<GrowthResult>> RunAsync(int keys, long auditRows, int statements, int nodes, params string[] curves)
    {
        var options = new GrowthOptions(curves, keys, auditRows, statements, nodes, OnPostgres: false, Little, "test");
        var results = new List<GrowthResult>();
        await foreach (var result in new GrowthRun(options, TextWriter.Null).RunAsync(TestContext.Current.CancellationToken))
            results.Add(result);
        return results;
    }
}
