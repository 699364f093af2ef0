using SignSvc.Load.Measuring;

namespace SignSvc.Load.Growth;

/// <summary>What can grow, each a curve that can be asked for alone.</summary>
internal static class Curve
{
    public const string Keys = "keys";
    public const string Audit = "audit";
    public const string Policies = "policies";
    public const string Nodes = "nodes";

    public static readonly string[] All = [Keys, Audit, Policies, Nodes];
}

/// <param name="Keys">In the end; of the policies' curve as many keys with a policy each.</param>
/// <param name="Statements">Of the service's policies in the end.</param>
internal sealed record GrowthOptions(
    IReadOnlyList<string> Curves, int Keys, long AuditRows, int Statements, int Nodes, bool OnPostgres, GrowthEffort Effort, string Command);

/// <param name="Askings">Of each question that is timed, after one that is not.</param>
/// <param name="Calls">Of each call whose CPU is measured, in each of five rounds.</param>
/// <param name="Changes">Of what all nodes have to follow.</param>
/// <param name="Idle">How long nobody asks for anything, while the cost of idle nodes is measured.</param>
internal sealed record GrowthEffort(int Askings, int Calls, int Changes, TimeSpan Idle)
{
    public static readonly GrowthEffort Full = new(Askings: 25, Calls: 5000, Changes: 10, Idle: TimeSpan.FromSeconds(15));
}

/// <summary>One figure at one size.</summary>
/// <param name="Of">What grows.</param>
/// <param name="Value">Of several, the median.</param>
/// <param name="Most">Null where it was measured as a whole.</param>
/// <param name="Goal">What the value may be at the most; null: it is there for comparison.</param>
public sealed record GrowthPoint(string Of, long Size, string Question, string Unit, double Value, double? Most = null, double? Goal = null)
{
    public bool IsMissed => Value > Goal;
}

/// <param name="Name">Of the report: the store that was filled, or what grew.</param>
internal sealed record GrowthResult(
    Machine Machine, string Command, string Name, string Store, IReadOnlyList<GrowthPoint> Points, double LoadAverageAtEnd);
