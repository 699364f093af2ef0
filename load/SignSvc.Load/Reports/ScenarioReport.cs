using System.Net;
using System.Text;
using SignSvc.Load.Calls;
using SignSvc.Load.Measuring;
using SignSvc.Load.Running;

namespace SignSvc.Load.Reports;

/// <summary>A scenario's result as Markdown for people, JSON for programs, and one HTML file with charts.</summary>
internal static class ScenarioReport
{
    private static readonly double[] Percentiles = [50, 75, 90, 95, 99, 99.9, 99.99];
    /// <returns>The files' names.</returns>
    public static async Task<IReadOnlyList<string>> WriteAsync(ScenarioResult result, string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        // One that was aborted, or took another way, takes no other's place.
        var protocol = string.Equals(result.Protocol, nameof(Protocol.Http1), StringComparison.Ordinal) ? "" : $"-{result.Protocol.Replace(", ", "-", StringComparison.Ordinal).ToLowerInvariant()}";
        var name = Path.Combine(folder, $"{result.Machine.At:yyyy-MM-dd}-{result.Scenario}{protocol}{(result.Aborted is null ? "" : "-aborted")}");
        await File.WriteAllTextAsync(name + ".md", Markdown(result), cancellationToken);
        await File.WriteAllTextAsync(name + ".json", Json(result), cancellationToken);
        await File.WriteAllTextAsync(name + ".html", Html(result), cancellationToken);
        return [name + ".md", name + ".json", name + ".html"];
    }

    public static string Markdown(ScenarioResult result)
    {
        var text = new StringBuilder();
        text.AppendLine($"# {result.Scenario}, {result.Machine.At:yyyy-MM-dd}\n\n{result.About}\n");
        if (result.Aborted is { } aborted)
            text.AppendLine($"**{aborted}**\n");
        text.AppendLine(MachineText.Of(result.Machine, result.Command, result.LoadAverageAtEnd));
        text.AppendLine("| flow | succeeded | a second | refused | failed | not sent | p50 ms | p90 | p99 | p99.9 | most | driver late, p99 ms |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var f in result.Flows)
        {
            text.AppendLine(
                $"| {f.Name} | {f.Succeeded} | {f.Goodput:0.0} | {f.Refused} | {f.Failed} | {f.NotSent} | {Words.Milliseconds(f.Latency, 50)} "
                + $"| {Words.Milliseconds(f.Latency, 90)} | {Words.Milliseconds(f.Latency, 99)} | {Words.Milliseconds(f.Latency, 99.9)} | {f.Latency.Max.TotalMilliseconds:0.00} | {Words.Milliseconds(f.Lateness, 99)} |");
        }

        text.AppendLine($"\nOver {result.Protocol}. Latency is from the intended time of a call, so that whatever held up the service or the driver is in it.\n");
        foreach (var f in result.Flows.Where(f => f.Refused + f.Failed > 0))
            text.AppendLine($"{f.Name} by outcome: {Words.Outcomes(f)}.\n");
        if (result.Server.Count > 0)
        {
            text.AppendLine(
                $"The service: {result.Server.Average(s => s.Processors):0.00} processors on average; resident {Words.MiB(result.Server[0].ResidentBytes)} → {Words.MiB(result.Server[^1].ResidentBytes)} MiB "
                + $"(most {Words.MiB(result.Server.Max(s => s.ResidentBytes))}); handles {result.Server[0].Handles} → {result.Server[^1].Handles}; threads {result.Server[0].Threads} → {result.Server[^1].Threads}; "
                + $"database {Words.MiB(result.Server[0].DatabaseBytes)} → {Words.MiB(result.Server[^1].DatabaseBytes)} MiB.\n");
        }

        if (result.Verdicts.Count > 0)
            text.AppendLine("| of | what has to hold | |\n|---|---|---|");
        foreach (var v in result.Verdicts)
            text.AppendLine($"| {v.Subject} | {v.Says} | {(v.Held ? "held" : $"**missed**: {v.Detail}")} |");
        return text.ToString();
    }

    public static string Json(ScenarioResult result) => ReportJson.Of(
        new
        {
            result.Scenario,
            result.About,
            result.Command,
            result.Machine,
            result.LoadAverageAtEnd,
            result.Protocol,
            result.Held,
            Aborted = result.Aborted is { } a ? new { a.Why, AfterSeconds = a.After.TotalSeconds, OfSeconds = a.Length.TotalSeconds } : null,
            Flows = result.Flows.Select(f => new
            {
                f.Name,
                MeasuredSeconds = f.Measured.TotalSeconds,
                f.Succeeded,
                f.Refused,
                f.RefusedWithoutRetryAfter,
                f.Failed,
                f.Lost,
                f.NotSent,
                f.Outcomes,
                LatencyMilliseconds = Spread(f.Latency),
                LatenessMilliseconds = Spread(f.Lateness),
                f.Seconds,
            }),
            result.Server,
            Events = result.Events.Select(e => new { AtSeconds = e.At.TotalSeconds, e.Says }),
            result.Verdicts,
        });

    public static string Html(ScenarioResult result)
    {
        var body = new StringBuilder();
        body.Append($"<h1>{Text(result.Scenario)}: {(result.Aborted is not null ? "aborted" : result.Held ? "held" : "missed")}</h1><p>{Text(result.About)}</p>");
        if (result.Aborted is { } aborted)
            body.Append($"<p class=\"missed\">{Text($"{aborted}")}</p>");
        body.Append(MachineText.Html(result.Machine, result.Command, result.LoadAverageAtEnd));
        body.Append($"<p class=\"fine\">Over {Text(result.Protocol)}.</p>");
        body.Append("<table><tr><th>flow<th>succeeded<th>/s<th>refused<th>failed<th>not sent<th>p50 ms<th>p99<th>p99.9<th>most</tr>");
        foreach (var f in result.Flows)
        {
            body.Append(
                $"<tr><td>{Text(f.Name)}<td>{f.Succeeded}<td>{f.Goodput:0.0}<td>{f.Refused}<td>{f.Failed}<td>{f.NotSent}"
                + $"<td>{Words.Milliseconds(f.Latency, 50)}<td>{Words.Milliseconds(f.Latency, 99)}<td>{Words.Milliseconds(f.Latency, 99.9)}<td>{f.Latency.Max.TotalMilliseconds:0.00}</tr>");
        }

        body.Append("</table>");
        foreach (var f in result.Flows.Where(f => f.Refused + f.Failed > 0))
            body.Append($"<p>{Text(f.Name)} by outcome: {Text(Words.Outcomes(f))}.</p>");
        foreach (var f in result.Flows)
            body.Append(FlowCharts(f));
        if (result.Server.Count > 0)
            body.Append(ServerCharts(result.Server));
        if (result.Verdicts.Count > 0)
            body.Append("<table><tr><th>of<th>what has to hold<th></tr>");
        foreach (var v in result.Verdicts)
            body.Append($"<tr><td>{Text(v.Subject)}<td>{Text(v.Says)}<td class=\"{(v.Held ? "held" : "missed")}\">{(v.Held ? "held" : $"missed: {Text(v.Detail ?? "")}")}</tr>");
        if (result.Verdicts.Count > 0)
            body.Append("</table>");
        return HtmlPage.Of(result.Scenario, body.ToString());
    }

    private static string FlowCharts(FlowResult flow)
    {
        var seconds = flow.Seconds;
        var charts = new StringBuilder();
        charts.Append(SvgChart.Draw(
            $"{flow.Name}: calls", "s", "a second",
            [
                new("offered", [.. seconds.Select(s => ((double)s.At, s.Offered))]),
                new("answered", [.. seconds.Select(s => ((double)s.At, (double)s.Answered))]),
                new("failed", [.. seconds.Select(s => ((double)s.At, (double)s.Failed))]),
                new("not sent", [.. seconds.Select(s => ((double)s.At, (double)s.NotSent))]),
            ]));
        charts.Append(SvgChart.Draw(
            $"{flow.Name}: latency from the intended time", "s", "ms",
            [
                new("p50", [.. seconds.Select(s => ((double)s.At, s.P50))]),
                new("p99", [.. seconds.Select(s => ((double)s.At, s.P99))]),
                new("most", [.. seconds.Select(s => ((double)s.At, s.Max))]),
            ]));
        // By nines: 0 is the median of all, 3 is p99.9.
        charts.Append(SvgChart.Draw(
            $"{flow.Name}: latency by percentile", "nines", "ms",
            [new("latency", [.. Enumerable.Range(0, 33).Select(i => i / 8.0).Select(n => (n, flow.Latency.Percentile(100 - (100 * Math.Pow(10, -n) * 0.999999)).TotalMilliseconds))])]));
        return charts.ToString();
    }

    private static string ServerCharts(IReadOnlyList<ServerSecond> server) =>
        SvgChart.Draw("The service: CPU", "s", "processors", [new("user and system", [.. server.Select(s => ((double)s.At, s.Processors))])])
        + SvgChart.Draw(
            "The service: memory and database", "s", "MiB",
            [
                new("resident", [.. server.Select(s => ((double)s.At, s.ResidentBytes / 1048576.0))]),
                new("database", [.. server.Select(s => ((double)s.At, s.DatabaseBytes / 1048576.0))]),
            ])
        + SvgChart.Draw(
            "The service: handles and threads", "s", "",
            [
                new("handles", [.. server.Select(s => ((double)s.At, (double)s.Handles))]),
                new("threads", [.. server.Select(s => ((double)s.At, (double)s.Threads))]),
            ]);

    private static SortedDictionary<string, double> Spread(Histogram histogram)
    {
        var spread = new SortedDictionary<string, double>(StringComparer.Ordinal)
        {
            ["mean"] = histogram.Mean.TotalMilliseconds,
            ["max"] = histogram.Max.TotalMilliseconds,
        };
        foreach (var percent in Percentiles)
            spread[$"p{percent:0.##}"] = histogram.Percentile(percent).TotalMilliseconds;
        return spread;
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
