using SignSvc.Load.Measuring;

namespace SignSvc.Load.Running;

/// <summary>The service's process in one second of a run. CPU is in processors: 1.5 is one and a half at work.</summary>
public sealed record ServerSecond(int At, double Processors, long ResidentBytes, int Handles, int Threads, long DatabaseBytes);

/// <summary>A threshold or check, and whether it held.</summary>
/// <param name="Detail">What was seen instead; null where it held.</param>
public sealed record Verdict(string Subject, string Says, bool Held, string? Detail);

/// <summary>A run that did not come to its end. What was measured until then is told, and not judged.</summary>
/// <param name="ExitCode">One of <see cref="Load.ExitCode"/>.</param>
/// <param name="After">Of its planned <paramref name="Length"/>, the warm-up included.</param>
public sealed record Abortion(string Why, int ExitCode, TimeSpan After, TimeSpan Length)
{
    public override string ToString() => $"aborted after {After.TotalSeconds:0.0} of {Length.TotalSeconds:0.0} s, and not judged: {Why}";
}

public sealed record ScenarioResult(
    string Scenario, string About, string Command, Machine Machine, string Protocol, IReadOnlyList<FlowResult> Flows,
    IReadOnlyList<ServerSecond> Server, IReadOnlyList<(TimeSpan At, string Says)> Events, double LoadAverageAtEnd)
{
    public IReadOnlyList<Verdict> Verdicts { get; init; } = [];

    /// <summary>Null: it came to its end.</summary>
    public Abortion? Aborted { get; init; }

    /// <summary>It came to its end, and all that had to hold held.</summary>
    public bool Held => Aborted is null && Verdicts.Count > 0 && Verdicts.All(v => v.Held);

    /// <summary>In a word or a sentence.</summary>
    public string Ending => Aborted?.ToString() ?? (Held ? "held" : $"missed: {Verdicts.Count(v => !v.Held)} of {Verdicts.Count}");

    public int ExitCode => Aborted?.ExitCode ?? Load.ExitCode.Of(Held);

    public FlowResult Flow(string name) => Flows.First(f => string.Equals(f.Name, name, StringComparison.Ordinal));
}
