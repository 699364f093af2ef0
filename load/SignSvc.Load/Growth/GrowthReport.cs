using System.Text;
using System.Text.Json;
using SignSvc.Load.Reports;

namespace SignSvc.Load.Growth;

/// <summary>The curve as a table (a column for each size), as JSON, and as charts.</summary>
internal static class GrowthReport
{
    private const double GoalMilliseconds = 50;

    private static readonly JsonSerializerOptions Indented = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    /// <summary>What lists and searches took more than it may, at any size; questions for comparison are not in it.</summary>
    public static IEnumerable<GrowthPoint> Missed(GrowthResult result) =>
        result.Points.Where(p => p.P50 > GoalMilliseconds && p.Question is not (GrowthRun.Token or GrowthRun.KeyChange));

    public static string Markdown(GrowthResult result)
    {
        var text = new StringBuilder();
        text.AppendLine($"# Growth on {result.Store}, {result.Machine.At:yyyy-MM-dd}\n");
        text.AppendLine(MachineText.Of(result.Machine, result.Command, result.LoadAverageAtEnd));
        foreach (var of in result.Points.GroupBy(p => p.Of, StringComparer.Ordinal))
        {
            var sizes = of.Select(p => p.Size).Distinct().ToList();
            text.AppendLine($"| {of.Key}: p50 (most) in ms | {string.Join(" | ", sizes.Select(s => $"{s}"))} |\n|---|{string.Concat(sizes.Select(_ => "---|"))}");
            foreach (var question in of.GroupBy(p => p.Question, StringComparer.Ordinal))
                text.AppendLine($"| {question.Key} | {string.Join(" | ", sizes.Select(s => question.FirstOrDefault(p => p.Size == s) is { } p ? $"{p.P50:0.00} ({p.Most:0.0})" : ""))} |");
            text.AppendLine();
        }

        var missed = Missed(result).ToList();
        text.AppendLine(missed.Count == 0
            ? $"Every listing and search has its median within {GoalMilliseconds} ms at every size."
            : $"Beyond {GoalMilliseconds} ms: {string.Join("; ", missed.Select(m => $"{m.Question} at {m.Size} {m.Of}: {m.P50:0} ms"))}.");
        return text.ToString();
    }

    public static string Json(GrowthResult result) => JsonSerializer.Serialize(result, Indented) + "\n";

    public static string Html(GrowthResult result)
    {
        var charts = result.Points.GroupBy(p => p.Of, StringComparer.Ordinal).Select(of => SvgChart.Draw(
            $"p50 by number of {of.Key}", "powers of ten", "ms",
            [.. of.GroupBy(p => p.Question, StringComparer.Ordinal).Select(q => new Series(q.Key, [.. q.Select(p => (Math.Log10(p.Size), p.P50))]))]));
        return HtmlPage.Of($"Growth on {result.Store}", $"<h1>Growth on {result.Store}</h1>{string.Concat(charts)}");
    }
}
