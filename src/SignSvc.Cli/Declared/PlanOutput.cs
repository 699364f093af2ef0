using SignSvc.Cli.Output;
using Spectre.Console;

namespace SignSvc.Cli.Declared;

/// <summary>A plan for people: <c>+</c> create, <c>~</c> change, <c>!</c> drift, <c>-</c> prune, <c>x</c> refused, <c>=</c> nothing.</summary>
internal static class PlanOutput
{
    public static void Write(PlanReport plan)
    {
        Lines.Write(plan.Keys.SelectMany(Describe).Append(Summary(plan)));
        foreach (var key in plan.Keys)
        {
            foreach (var warning in key.Warnings)
                Remarks.Warn($"{key.Key}: {warning}");
        }
    }

    private static IEnumerable<Line> Describe(KeyPlan key)
    {
        var (sign, words, colour) = key switch
        {
            { Action: PlanAction.Create } => ('+', "will be made", Color.Green),
            { Action: PlanAction.Change, Drifted: true } => ('!', "was changed by hand and will be changed back", Color.Magenta1),
            { Action: PlanAction.Change } => ('~', "will be changed", Color.Yellow),
            { Action: PlanAction.Refused } => ('x', $"is refused. {key.Refusal}", Color.Red),
            { Action: PlanAction.Delete } => ('-', $"is no longer declared and will be deleted after {key.PendingWindowInDays} days", Color.Red),
            { Action: PlanAction.Disable } => ('-', "is no longer declared and will be disabled", Color.Red),
            { Action: PlanAction.Release } => ('-', "is no longer declared; it stays, and leaves the set", Color.Yellow),
            { Action: PlanAction.Undeclared } => ('=', "is no longer declared and left alone; --prune does what its deletionPolicy says", (Color?)null),
            _ => ('=', "is as declared", null),
        };
        yield return new Line($"{sign} {key.Key} {words}", colour);
        foreach (var difference in key.Differences)
            yield return new Line(Describe(key, difference), difference.IsDrift ? Color.Magenta1 : colour);
    }

    private static string Describe(KeyPlan key, Difference difference)
    {
        if (key.Action == PlanAction.Create)
            return $"    + {difference.Member}: {difference.To}";
        if (difference.Member is "record")
            return "    ~ record of what was applied";
        var sign = difference.IsDrift ? '!' : '~';
        return $"    {sign} {difference.Member}: {Quoted(difference.From)} -> {Quoted(difference.To)}{(difference.IsDrift ? " (drift)" : "")}";
    }

    private static Line Summary(PlanReport plan)
    {
        var drifted = plan.Keys.Count(k => k.Drifted);
        return new Line(
            $"{Count(PlanAction.Create)} to make, {Count(PlanAction.Change)} to change ({drifted} drifted), "
            + $"{Count(PlanAction.Delete) + Count(PlanAction.Disable) + Count(PlanAction.Release)} to prune, "
            + $"{Count(PlanAction.Refused)} refused, {Count(PlanAction.None)} as declared.");

        int Count(PlanAction action) => plan.Keys.Count(k => k.Action == action);
    }

    private static string Quoted(string text) => text.Length == 0 ? "nothing" : text;
}
