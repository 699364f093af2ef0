using System.Net;
using SignSvc.Load.Measuring;

namespace SignSvc.Load.Reports;

/// <summary>One file: no script, nothing from outside.</summary>
internal static class HtmlPage
{
    private const string Style =
        "body{font:14px/1.5 system-ui,sans-serif;max-width:820px;margin:2rem auto;padding:0 1rem;color:#1f2328;background:#fff}"
        + "table{border-collapse:collapse;margin:1rem 0}td,th{border-bottom:1px solid #d0d7de;padding:.2rem .7rem;text-align:right}"
        + "td:first-child,th:first-child,td:nth-child(2):not(:last-child){text-align:left}svg{width:100%;margin:.6rem 0;font:11px system-ui,sans-serif;fill:#57606a}"
        + "svg .title{font-weight:600;font-size:13px;fill:#1f2328}svg .grid{stroke:#d8dee4}svg polyline{fill:none;stroke-width:1.5}"
        + ".held{color:#1a7f37}.missed{color:#d1242f;font-weight:600}.fine{color:#57606a}";

    public static string Of(string title, string body) =>
        $"<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{WebUtility.HtmlEncode(title)}</title><style>{Style}</style><body>{body}</body></html>\n";
}

/// <summary>What a figure is worth nothing without.</summary>
internal static class MachineText
{
    public static string Of(Machine machine, string command, double loadAtEnd) =>
        $"Commit {machine.Commit}; {Line(machine, loadAtEnd)}\n\n```\n{command}\n```\n";

    public static string Html(Machine machine, string command, double loadAtEnd) =>
        $"<p class=\"fine\">{WebUtility.HtmlEncode($"Commit {machine.Commit}; {Line(machine, loadAtEnd)}")}<br><code>{WebUtility.HtmlEncode(command)}</code></p>";

    public static string Line(Machine machine, double loadAtEnd) =>
        $"{machine.Processors} processors ({machine.Processor}), {machine.MemoryBytes / 1024 / 1024 / 1024} GiB, {machine.System}, {machine.Runtime}; "
        + $"load average {machine.LoadAverage:0.0} before, {loadAtEnd:0.0} after, begun {machine.At:yyyy-MM-dd HH:mm} UTC.";
}
