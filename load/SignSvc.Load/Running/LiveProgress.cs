using SignSvc.Load.Measuring;

namespace SignSvc.Load.Running;

/// <summary>Shows how far a run is: one line that is written over on a terminal, a line every ten seconds elsewhere.</summary>
internal sealed class LiveProgress(TextWriter output, bool isTerminal)
{
    private const int BarLength = 24;
    private const int QuietSeconds = 10;

    private TimeSpan _length;
    private int _lines;

    public void Begin(string name, TimeSpan length)
    {
        _length = length;
        _lines = 0;
        output.WriteLine($"{name}: {length.TotalSeconds:0} s");
    }

    public void WarmUp(TimeSpan elapsed) => Write(elapsed, "warms up");

    public void Show(TimeSpan elapsed, List<FlowRun> runs, List<Second> seconds) => Write(
        elapsed,
        string.Join(" | ", runs.Zip(seconds, (r, s) =>
            $"{r.Figures.Name} {s.Answered}/s p99 {s.P99:0.0} ms{(s.Failed > 0 ? $" {s.Failed} failed" : "")}{(s.NotSent > 0 ? $" {s.NotSent} not sent" : "")}")));

    public void End()
    {
        if (isTerminal)
            output.WriteLine();
    }

    private void Write(TimeSpan elapsed, string text)
    {
        var share = Math.Clamp(elapsed / _length, 0, 1);
        var full = (int)(share * BarLength);
        var line = $"[{new string('#', full)}{new string('.', BarLength - full)}] {share,4:0 %} {text}";
        if (isTerminal)
            output.Write($"\r\u001b[K{line}");
        else if (_lines++ % QuietSeconds == 0)
            output.WriteLine(line);
    }
}

/// <summary>Figures as people read them.</summary>
internal static class Words
{
    public static string Of(FlowResult flow) =>
        $"{flow.Succeeded} succeeded ({flow.Goodput:0.0}/s), {flow.Refused} refused{(flow.RefusedWithoutRetryAfter > 0 ? $" ({flow.RefusedWithoutRetryAfter} without Retry-After)" : "")}, {flow.Failed} failed, {flow.NotSent} not sent; "
        + $"p50 {Milliseconds(flow.Latency, 50)}, p99 {Milliseconds(flow.Latency, 99)} ms";

    public static string Outcomes(FlowResult flow) => string.Join(", ", flow.Outcomes.OrderByDescending(o => o.Value).Select(o => $"{o.Key} × {o.Value}"));

    public static string Milliseconds(Histogram histogram, double percent) =>
        histogram.Count == 0 ? "–" : $"{histogram.Percentile(percent).TotalMilliseconds:0.00}";

    public static string MiB(long bytes) => $"{bytes / 1024.0 / 1024.0:0}";
}
