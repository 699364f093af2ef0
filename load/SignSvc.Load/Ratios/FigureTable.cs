using System.Text;
using SignSvc.Load.Measuring;
using SignSvc.Load.Reports;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;

namespace SignSvc.Load.Ratios;

/// <param name="Met">Null: what it needs is missing here.</param>
public sealed record Figure(string What, string Goal, string Measured, bool? Met);

/// <summary>The figures that SignSvc holds itself to, and what they are here.</summary>
internal sealed class FigureTable(Measurement measured)
{
    public IReadOnlyList<Figure> Figures { get; } = [.. Build(measured)];

    /// <summary>A figure that is missing proves nothing, nor does one beside a subject that failed: what fails looks dear, or fast.</summary>
    public bool AllMet =>
        Figures.All(f => f.Met == true) && measured.Rounds.All(r => r.Failures == 0) && IsWhole(measured.HalfLoad) && IsWhole(measured.Throttled);

    public static string Line(Figure f) => $"| {f.What} | {f.Goal} | {f.Measured} | {f.Met switch { true => "met", false => "**missed**", _ => "not measured" }} |";

    public string Markdown()
    {
        var text = new StringBuilder();
        text.AppendLine($"# Figures, {measured.Machine.At:yyyy-MM-dd}\n");
        text.AppendLine(MachineText.Of(measured.Machine, measured.Command, measured.LoadAverageAtEnd));
        text.AppendLine("Medians of interleaved rounds. CPU is user and system time of the serving process as the kernel accounts it.\n");
        text.AppendLine("| what | goal | measured | |\n|---|---|---|---|");
        foreach (var figure in Figures)
            text.AppendLine(Line(figure));
        text.AppendLine("\n| subject | a second | server CPU µs each | × raw | p50 ms | p99 ms | failures |\n|---|---|---|---|---|---|---|");
        foreach (var subject in Subjects)
        {
            var p50 = measured.P50(subject);
            var p99 = measured.P99(subject);
            var latency = $"{(p50 > 0 ? $"{p50:0.00}" : "")} | {(p99 > 0 ? $"{p99:0.00}" : "")}";
            var cpu = measured.Cpu(subject);
            text.AppendLine(
                $"| {subject} | {measured.Rate(subject):0} | {(cpu > 0 ? $"{cpu:0.0}" : "")} | {(cpu > 0 ? $"{cpu / measured.Cpu(Limits.Raw):0.00}" : "")} | {latency} | {measured.Of(subject).Sum(r => r.Failures)} |");
        }

        foreach (var throttled in measured.Throttled.Flows)
            text.AppendLine($"\n{throttled.Name}: {Words.Of(throttled)}. By outcome: {Words.Outcomes(throttled)}.");
        foreach (var missing in measured.Missing)
            text.AppendLine($"\nNot measured: {missing}.");
        return text.ToString();
    }

    public string Json() => ReportJson.Of(
        new
        {
            measured.Machine,
            measured.LoadAverageAtEnd,
            measured.Command,
            Figures,
            Subjects = Subjects.Select(s => new
            {
                Subject = s,
                PerSecond = measured.Rate(s),
                CpuMicroseconds = measured.Cpu(s),
                P50Milliseconds = measured.P50(s),
                P99Milliseconds = measured.P99(s),
                Rounds = measured.Of(s).Select(r => new { r.PerSecond, r.CpuMicroseconds, r.Failures }),
            }),
            StartMilliseconds = measured.Starts.Select(s => s.TotalMilliseconds),
            measured.PeakResidentBytes,
            measured.Missing,
        });

    /// <summary>What could not be sent, or has failed, waited the longest and is in no percentile.</summary>
    private static bool IsWhole(ScenarioResult run) => run.Flows.All(f => f.NotSent == 0 && f.Failed == 0);

    private IEnumerable<string> Subjects => measured.Rounds.Select(r => r.Subject).Distinct(StringComparer.Ordinal);

    private static IEnumerable<Figure> Build(Measurement m)
    {
        var raw = m.Cpu(Limits.Raw);
        foreach (var connections in RatioRun.TokenConnections)
        {
            var cpu = m.Cpu(RatioRun.Token(connections));
            yield return AtMost($"server CPU of a single token, {connections} connections", "× a raw .NET P-256 signature", 2.2, cpu / raw, $" ({cpu:0.0} µs beside {raw:0.0})");
        }

        foreach (var connections in RatioRun.PeerConnections)
        {
            var (token, peer) = (m.Cpu(RatioRun.Token(connections)), m.Cpu(RatioRun.Peer(connections)));
            var what = $"server CPU of a single token, {connections} connections";
            yield return m.Has(RatioRun.Peer(connections))
                ? AtMost(what, "× node oidc-provider", 0.2, token / peer, $" ({token:0.0} µs beside {peer:0.0})")
                : NotMeasured(what, "≤ 0.2 × node oidc-provider");
        }

        var half = m.HalfLoad.Flow(HalfLoad.FlowName);
        var waits = AtMost(
            "a token at half load, p99", "ms", 5, half.Latency.Percentile(99).TotalMilliseconds,
            $" ({Words.Of(half)}; bare commits at that rate: p50 {m.BareCommits.Percentile(50).TotalMilliseconds:0.00}, p99 {m.BareCommits.Percentile(99).TotalMilliseconds:0.00} ms)");
        yield return waits with { Met = waits.Met == true && IsWhole(m.HalfLoad) };

        // By processor time: by the clock, the driver and whoever else is on the machine have their share of it.
        var batch = 2_000_000 / m.Cpu(RatioRun.Batch);
        const string batches = "tokens of batches of 1,000, a second of two processors";
        yield return m.Has(Limits.OpenSslByCpu)
            ? AtLeast(
                batches, "× openssl speed, two at once", 0.8, batch / m.Rate(Limits.OpenSslByCpu),
                $" ({batch:0} beside {m.Rate(Limits.OpenSslByCpu):0}; by the clock {m.Rate(RatioRun.Batch):0}/s with the driver beside it, {m.Rate(Limits.OpenSsl):0}/s by -multi 2)")
            : NotMeasured(batches, "≥ 0.8 × openssl speed, two at once");

        foreach (var sessions in RatioRun.HsmConnections)
        {
            var (served, alone) = (RatioRun.Hsm(sessions), RatioRun.RawHsm(sessions));
            var what = $"assured over SoftHSM2, {sessions} at once";
            yield return m.Has(served)
                ? AtLeast($"{what}: rate", "× the module's own", 0.95, m.Rate(served) / m.Rate(alone), $" ({m.Rate(served):0}/s beside {m.Rate(alone):0}/s)")
                : NotMeasured($"{what}: rate", "≥ 0.95 × the module's own");
            yield return m.Has(served)
                ? AtMost($"{what}: added p50", "ms", 0.5, m.P50(served) - m.P50(alone), $" ({m.P50(served):0.00} beside {m.P50(alone):0.00})")
                : NotMeasured($"{what}: added p50", "≤ 0.5 ms");
        }

        foreach (var figure in ThrottledFigures(m.Throttled))
            yield return figure;

        var keySet = m.Cpu(RatioRun.Constant) / m.Cpu(RatioRun.KeySet);
        yield return AtLeast("key set, by server CPU", "× a Kestrel constant answer", 0.8, keySet, $" ({m.Cpu(RatioRun.KeySet):0.0} µs beside {m.Cpu(RatioRun.Constant):0.0})");
        yield return AtMost("start to the first signature", "s", 1.5, Sample.Median(m.Starts.Select(s => s.TotalSeconds)), "");
        yield return AtMost("resident memory, most under load", "MiB", 250, m.PeakResidentBytes / 1048576.0, "");
    }

    private static IEnumerable<Figure> ThrottledFigures(ScenarioResult run)
    {
        var crowd = run.Flow(KmsThrottled.Crowd);
        yield return AtLeast("goodput at 3 × a KMS quota", "× the quota", 0.95, crowd.Goodput / KmsThrottled.Quota, $" ({Words.Outcomes(crowd)})");
        var budgeted = new[] { run.Flow(KmsThrottled.Tenant), run.Flow(KmsThrottled.Within) };
        yield return AtLeast(
            "the same, where callers have budgets of their own", "× the quota", 0.95, budgeted.Sum(f => f.Goodput) / KmsThrottled.Quota,
            $" ({string.Join("; ", budgeted.Select(f => $"{f.Name}: {Words.Outcomes(f)}"))})");
        var within = run.Flow(KmsThrottled.Within);
        yield return new Figure(
            "calls of a caller within its budget that are refused or fail, at 3 × the quota", "none", $"{within.Refused + within.Failed} of {within.Succeeded + within.Refused + within.Failed}",
            Threshold.EveryCallSucceeds.Holds(within));
        var failed = run.Flows.Sum(f => f.Failed);
        yield return new Figure("answers at 3 × the quota that are neither a signature nor a refusal", "none", $"{failed}", failed == 0);
        var (refused, without) = (run.Flows.Sum(f => f.Refused), run.Flows.Sum(f => f.RefusedWithoutRetryAfter));
        yield return new Figure("refusals that do not say when to come again", "none", $"{without} of {refused}", refused > 0 && without == 0);
    }

    private static Figure AtMost(string what, string unit, double goal, double value, string detail) =>
        new(what, $"≤ {goal:0.##} {unit}", $"{value:0.00}{detail}", value <= goal);

    private static Figure AtLeast(string what, string unit, double goal, double value, string detail) =>
        new(what, $"≥ {goal:0.##} {unit}", $"{value:0.00}{detail}", value >= goal);

    private static Figure NotMeasured(string what, string goal) => new(what, goal, "–", Met: null);
}
