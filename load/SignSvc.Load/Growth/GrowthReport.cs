using System.Net;
using System.Text;
using SignSvc.Load.Reports;

namespace SignSvc.Load.Growth;

/// <summary>The curves as tables (a column for each size), as JSON, and as charts.</summary>
internal static class GrowthReport
{
    /// <summary>Sizes beyond this are drawn by their powers of ten.</summary>
    private const int LargestOnPlainAxis = 100;

    /// <summary>What took more than it may, at any size; what stands there for comparison is not in it.</summary>
    public static IEnumerable<GrowthPoint> Missed(GrowthResult result) => result.Points.Where(p => p.IsMissed);

    public static string Markdown(GrowthResult result)
    {
        var text = new StringBuilder();
        text.AppendLine($"# {Title(result)}, {result.Machine.At:yyyy-MM-dd}\n");
        text.AppendLine(MachineText.Of(result.Machine, result.Command, result.LoadAverageAtEnd));
        text.AppendLine("Medians, with the most in parentheses; what has no parentheses was measured as a whole.\n");
        foreach (var table in Tables(result))
        {
            text.AppendLine($"| {string.Join(" | ", table.Head)} |\n|---|{string.Concat(table.Head.Skip(1).Select(_ => "---|"))}");
            foreach (var row in table.Rows)
                text.AppendLine($"| {string.Join(" | ", row)} |");
            text.AppendLine();
        }

        return text.AppendLine(Verdict(result)).ToString();
    }

    public static string Json(GrowthResult result) => ReportJson.Of(result);

    public static string Html(GrowthResult result)
    {
        var body = new StringBuilder($"<h1>{Text(Title(result))}</h1>{MachineText.Html(result.Machine, result.Command, result.LoadAverageAtEnd)}");
        body.Append($"<p>{Text(Verdict(result))} Medians, with the most in parentheses.</p>");
        foreach (var table in Tables(result))
        {
            body.Append($"<table><tr><th>{string.Join("<th>", table.Head.Select(Text))}</tr>");
            foreach (var row in table.Rows)
                body.Append($"<tr><td>{string.Join("<td>", row.Select(Text))}</tr>");
            body.Append("</table>");
        }

        foreach (var drawn in result.Points.GroupBy(p => (p.Of, p.Unit)))
            body.Append(Chart(drawn.Key.Of, drawn.Key.Unit, [.. drawn]));
        return HtmlPage.Of(Title(result), body.ToString());
    }

    private static string Title(GrowthResult result)
    {
        var grown = result.Points.Select(p => p.Of).Distinct(StringComparer.Ordinal);
        return $"Growth of {string.Join(" and ", grown)} on {result.Store}";
    }

    private static string Verdict(GrowthResult result)
    {
        if (result.Points.Max(p => p.Goal) is not { } goal)
            return "Nothing here has a bound.";
        var missed = Missed(result).ToList();
        return missed.Count == 0
            ? $"Every listing of keys and every search has its median within {goal} ms at every size."
            : $"Beyond {goal} ms: {string.Join("; ", missed.Select(m => $"{m.Question} at {m.Size} {m.Of}: {m.Value:0} ms"))}.";
    }

    private static IEnumerable<(string[] Head, List<string[]> Rows)> Tables(GrowthResult result)
    {
        foreach (var of in result.Points.GroupBy(p => p.Of, StringComparer.Ordinal))
        {
            var sizes = of.Select(p => p.Size).Distinct().ToList();
            var rows = of.GroupBy(p => (p.Question, p.Unit)).Select(q => (string[])
                [q.Key.Unit.Length == 0 ? q.Key.Question : $"{q.Key.Question}, {q.Key.Unit}", .. sizes.Select(s => Cell(q.FirstOrDefault(p => p.Size == s)))]);
            yield return ([of.Key, .. sizes.Select(s => $"{s}")], rows.ToList());
        }
    }

    private static string Cell(GrowthPoint? point) => point switch
    {
        null => "",
        { Most: { } most } => $"{Figure(point.Value)} ({Figure(most)})",
        _ => Figure(point.Value),
    };

    /// <summary>Three digits are more than a busy machine can promise.</summary>
    private static string Figure(double value) => value switch
    {
        >= 100 => $"{value:0}",
        >= 10 => $"{value:0.0}",
        _ => $"{value:0.00}",
    };

    private static string Chart(string of, string unit, IReadOnlyList<GrowthPoint> points)
    {
        var isPlain = points.Max(p => p.Size) <= LargestOnPlainAxis;
        var series = points.GroupBy(p => p.Question, StringComparer.Ordinal)
            .Select(q => new Series(q.Key, [.. q.Select(p => (isPlain ? p.Size : Math.Log10(p.Size), p.Value))]));
        return SvgChart.Draw($"By number of {of}", isPlain ? of : "powers of ten", unit, [.. series]);
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
