using System.Collections.Immutable;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Limits;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Access;

/// <summary>What would come of a request now, all things considered.</summary>
public enum PolicyVerdict
{
    /// <summary>It would be done.</summary>
    Allowed,

    /// <summary>Nothing allows it, or something denies it.</summary>
    Denied,

    /// <summary>It is allowed, and a limit has nothing left on the node that answers.</summary>
    OverLimit,

    /// <summary>It is allowed, and waits for others first.</summary>
    NeedsApproval,

    /// <summary>What it is about does not exist; said to who may list keys alone.</summary>
    NotFound,
}

/// <summary>Why a request is allowed or not. It tells what policies say, so only who may read policies sees it.</summary>
/// <param name="Allowed">What roles, policies and grants say; see <see cref="Verdict"/> for the rest.</param>
/// <param name="By">The statement, role or grant that decided; null where none did.</param>
/// <param name="Statements">Every statement about this caller, action and resource, whether its conditions hold or not.</param>
public sealed record AccessExplanation(bool Allowed, string? By, ImmutableArray<StatementExplanation> Statements)
{
    private const int MaxReasons = 3;

    /// <summary>Also whoever may not read policies sees it: to ask in earnest would tell as much.</summary>
    public PolicyVerdict Verdict { get; init; }

    /// <summary>The reasons are kept back: who asks may not read policies.</summary>
    public bool IsOpaque { get; init; }

    /// <summary>What is asked about does not exist: then nothing is allowed; null: it does.</summary>
    public string? Absence { get; init; }

    /// <summary>The limits that it falls under where it is allowed.</summary>
    public ImmutableArray<LimitStanding> Limits { get; init; } = [];

    /// <summary>The approvals that it needs where it is allowed.</summary>
    public ImmutableArray<ApprovalNeed> Approvals { get; init; } = [];

    /// <summary>In one sentence or a few; null where nothing speaks of the request at all.</summary>
    public string? Reason
    {
        get
        {
            if (IsOpaque)
                return null;
            if (Absence is not null)
                return Absence;
            if (Allowed)
                return $"{By} allows it.";
            if (By is not null)
                return $"{By} denies it.";
            var nearly = Statements.Where(s => s is { Effect: PolicyEffect.Allow, Applies: false }).Take(MaxReasons).ToArray();
            return nearly.Length == 0 ? null : string.Join(' ', nearly.Select(s => $"{s.Name} would allow it, but {s.Failing[0]}."));
        }
    }

    /// <summary>Facts that conditions asked for and did not find.</summary>
    public ImmutableArray<string> Missing =>
        [.. Statements.SelectMany(s => s.Failing).Where(f => f.Actual.IsEmpty).Select(f => f.Fact).Distinct(StringComparer.Ordinal)];
}

/// <param name="Rule">The name of the rule that asks for it.</param>
/// <param name="Required">How many people.</param>
public sealed record ApprovalNeed(string Rule, int Required);

/// <param name="Applies">All its conditions hold.</param>
public sealed record StatementExplanation(string Name, PolicyEffect Effect, bool Applies, ImmutableArray<FailingCondition> Failing);

/// <param name="Actual">What the fact is; empty: it is missing.</param>
public sealed record FailingCondition(string Operator, string Fact, ImmutableArray<string> Values, ImmutableArray<string> Actual)
{
    private const int MaxShown = 100;

    public override string ToString() =>
        $"{Operator} {Fact} {string.Join(" or ", Values.Select(Shorten))} does not hold: {(Actual.IsEmpty ? "it is missing" : $"it is {string.Join(", ", Actual.Select(Shorten))}")}";

    private static string Shorten(string text) => text.Length <= MaxShown ? text : $"{text.AsSpan(0, MaxShown)}…";
}

/// <summary>The same decision at leisure, with its reasons.</summary>
public sealed partial class AccessPolicy
{
    public AccessExplanation Explain(in AccessRequest request)
    {
        var ruling = Decide(request);
        var about = ImmutableArray.CreateBuilder<StatementExplanation>();
        foreach (var statement in Candidates(request))
        {
            if (!statement.Actions.Contains(request.Action) || !statement.IsFor(request))
                continue;
            var failing = ImmutableArray.CreateBuilder<FailingCondition>();
            foreach (var condition in statement.Conditions)
            {
                if (!condition.Holds(request, statement.Effect))
                    failing.Add(Failing(condition, request));
            }

            about.Add(new StatementExplanation(statement.Name, statement.Effect, failing.Count == 0, failing.ToImmutable()));
        }

        foreach (var grant in request.Facts.Key is { } key ? _grants.GetValueOrDefault(key.Id, []) : [])
        {
            if (grant.IsFor(request))
                about.Add(Explain(grant, request));
        }

        return new AccessExplanation(ruling.IsAllowed, ruling.By.Length == 0 ? null : ruling.By, about.ToImmutable());
    }

    private IEnumerable<CompiledStatement> Candidates(in AccessRequest request)
    {
        var ofKey = request.Facts.Key is { } key && _keys.TryGetValue(key.Id, out var policy) ? policy.Statements : [];
        return ofKey.Concat(_service.Values.SelectMany(p => p.Statements));
    }

    private static StatementExplanation Explain(CompiledGrant grant, in AccessRequest request)
    {
        var failing = ImmutableArray.CreateBuilder<FailingCondition>();
        if (!grant.Grant.IsLiveAt(request.At))
            failing.Add(new FailingCondition("dateLessThan", "request.time", [$"{grant.Grant.ExpiresAt:O}"], [$"{request.At:O}"]));
        if (grant.IsSpentFor(request.Action))
            failing.Add(new FailingCondition("numericLessThan", "grant.uses", [$"{grant.Grant.MaxUses}"], [$"{grant.Grant.Uses}"]));
        foreach (var condition in grant.Conditions)
        {
            if (!condition.Holds(request, PolicyEffect.Allow))
                failing.Add(Failing(condition, request));
        }

        return new StatementExplanation(grant.Name, PolicyEffect.Allow, failing.Count == 0, failing.ToImmutable());
    }

    private static FailingCondition Failing(Condition condition, in AccessRequest request)
    {
        var values = FactValues.Of(condition.Fact, request);
        var actual = ImmutableArray.CreateBuilder<string>(values.Count);
        for (var i = 0; i < values.Count; i++)
            actual.Add(values[i].ToString());
        return new FailingCondition(condition.Source.Operator, condition.Source.Fact, condition.Source.Values, actual.MoveToImmutable());
    }
}
