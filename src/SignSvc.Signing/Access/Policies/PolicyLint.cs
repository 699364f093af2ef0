using System.Collections.Immutable;

namespace SignSvc.Signing.Access.Policies;

public enum PolicyFindingKind
{
    /// <summary>It allows whoever can authenticate at all.</summary>
    EveryPrincipal,

    /// <summary>It allows actions that exist now and those that will.</summary>
    EveryAction,

    /// <summary>Statements before it, or a denial, settle all that it speaks of.</summary>
    Unreachable,

    /// <summary>It is true also where the fact is missing.</summary>
    HoldsWhenMissing,

    /// <summary>Nobody who is known could take it back: it is refused unless forced.</summary>
    LocksOut,

    /// <summary>It names nothing that there is now: misspelt, an alias, or of what is yet to come.</summary>
    NamesNothing,

    /// <summary>What it asks for cannot happen to what it names.</summary>
    NeverApplies,
}

/// <param name="Statement">Its sid, or its number: <c>#2</c>; <c>*</c>: the document as a whole.</param>
public sealed record PolicyFinding(PolicyFindingKind Kind, string Statement, string Message);

/// <summary>Looks for what is allowed by form and rarely meant.</summary>
public static class PolicyLint
{
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    public static ImmutableArray<PolicyFinding> Check(PolicyDocument document, PolicyScope scope)
    {
        var compiled = CompiledPolicy.Compile("lint", document, scope).Statements;
        return [.. compiled.SelectMany((s, i) => Check(s, i, compiled))];
    }

    private static IEnumerable<PolicyFinding> Check(CompiledStatement statement, int index, ImmutableArray<CompiledStatement> all)
    {
        var label = statement.Statement.Label(index);
        if (statement.Effect == PolicyEffect.Allow)
        {
            if (statement.Statement.Principals.Any(IsEverybody) && !statement.Conditions.Any(c => c.Fact.IsOfCaller))
            {
                yield return new PolicyFinding(
                    PolicyFindingKind.EveryPrincipal, label, "It allows every caller who can authenticate: name principals, or set a condition on caller.*.");
            }

            foreach (var pattern in statement.Statement.Actions.Where(a => a is "*" or "keys:*" or "policies:*" or "grants:*" or "credentials:*"))
                yield return new PolicyFinding(PolicyFindingKind.EveryAction, label, $"{pattern} allows use and administration together: name the actions.");

            foreach (var condition in statement.Conditions.Where(c => c.IsForAllValues))
            {
                yield return new PolicyFinding(
                    PolicyFindingKind.HoldsWhenMissing, label,
                    $"{condition.Source.Operator} holds where {condition.Source.Fact} is missing: add exists {condition.Source.Fact} true.");
            }
        }

        if (Shadow(statement, index, all) is { } shadow)
            yield return new PolicyFinding(PolicyFindingKind.Unreachable, label, $"It settles nothing: {shadow} covers it.");
    }

    private static bool IsEverybody(string pattern) => pattern.All(c => c is '*' or '?' or ':');

    /// <summary>A denial takes away all that the statement allows, or an earlier one does the same.</summary>
    private static string? Shadow(CompiledStatement statement, int index, ImmutableArray<CompiledStatement> all)
    {
        for (var i = 0; i < all.Length; i++)
        {
            var other = all[i];
            var settlesFirst = other.Effect switch
            {
                PolicyEffect.Deny => statement.Effect != PolicyEffect.Deny || i < index,
                PolicyEffect.Allow => statement.Effect == PolicyEffect.Allow && i < index,
                // Of several limits each one counts.
                _ => false,
            };
            if (i != index && settlesFirst && Covers(other, statement))
                return other.Statement.Label(i);
        }

        return null;
    }

    private static bool Covers(CompiledStatement wide, CompiledStatement narrow) =>
        narrow.Statement.Principals.All(n => wide.Statement.Principals.Any(w => Wildcard.Covers(w, n)))
        && narrow.Actions.IsSubsetOf(wide.Actions)
        && narrow.Resources.ToArray().All(n => wide.Resources.ToArray().Any(w => w.Covers(n)))
        && wide.Conditions.All(w => narrow.Statement.Conditions.Contains(w.Source));
}
