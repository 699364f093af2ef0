using SignSvc.Load.Measuring;

namespace SignSvc.Load.Running;

/// <summary>The service's process in one second of a run. CPU is in processors: 1.5 is one and a half at work.</summary>
public sealed record ServerSecond(int At, double Processors, long ResidentBytes, int Handles, int Threads, long DatabaseBytes);

/// <summary>A threshold or check, and whether it held.</summary>
/// <param name="Detail">What was seen instead; null where it held.</param>
public sealed record Verdict(string Subject, string Says, bool Held, string? Detail);

public sealed record ScenarioResult(
    string Scenario, string About, string Command, Machine Machine, string Protocol, IReadOnlyList<FlowResult> Flows,
    IReadOnlyList<ServerSecond> Server, IReadOnlyList<(TimeSpan At, string Says)> Events, double LoadAverageAtEnd)
{
    public IReadOnlyList<Verdict> Verdicts { get; init; } = [];

    public bool Held => Verdicts.All(v => v.Held);

    public FlowResult Flow(string name) => Flows.First(f => string.Equals(f.Name, name, StringComparison.Ordinal));
}
