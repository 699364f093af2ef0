using System.Collections.Frozen;
using System.Collections.Immutable;
using SignSvc.Signing.Access.Limits;

namespace SignSvc.Signing.Access.Policies;

/// <summary>A document that is ready to decide.</summary>
internal sealed class CompiledPolicy
{
    private CompiledPolicy(string source, PolicyDocument document, ImmutableArray<CompiledStatement> statements)
    {
        Source = source;
        Document = document;
        Statements = statements;
        Denials = [.. statements.Where(s => s.Effect == PolicyEffect.Deny)];
        Allowances = [.. statements.Where(s => s.Effect == PolicyEffect.Allow)];
        Limits = [.. statements.Where(s => s.Effect == PolicyEffect.Limit)];
    }

    /// <summary>How explanations and the audit call it: <c>policy/team-a</c>, <c>key/release</c>.</summary>
    public string Source { get; }

    public PolicyDocument Document { get; }

    public ImmutableArray<CompiledStatement> Statements { get; }

    public CompiledStatement[] Denials { get; }

    public CompiledStatement[] Allowances { get; }

    public CompiledStatement[] Limits { get; }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    public static CompiledPolicy Compile(string source, PolicyDocument document, PolicyScope scope) => new(
        source, document, [.. document.Statements.Select((s, i) => CompiledStatement.Compile(source, s, s.Label(i), scope))]);
}

/// <summary>A statement that is ready to decide. Its actions are those that exist now, one by one.</summary>
internal sealed class CompiledStatement
{
    private readonly string[] _principals;
    private readonly ResourcePattern[] _resources;

    private CompiledStatement(
        string source, string label, PolicyStatement statement, PolicyScope scope, FrozenSet<string> actions, ResourcePattern[] resources,
        ImmutableArray<Condition> conditions)
    {
        Name = $"{source}#{label.TrimStart('#')}";
        Statement = statement;
        Actions = actions;
        Conditions = conditions;
        _principals = [.. statement.Principals];
        _resources = resources;
        IsOfCallerAlone = statement.Limit is { Per: LimitShare.Caller } && scope == PolicyScope.Service
            && resources.Contains(ResourcePattern.All) && conditions.All(c => c.Fact.IsOfCaller);
    }

    /// <summary><c>policy/team-a#main-only</c>: document and statement.</summary>
    public string Name { get; }

    public PolicyStatement Statement { get; }

    public PolicyEffect Effect => Statement.Effect;

    public Limit? Limit => Statement.Limit;

    /// <summary>
    /// A limit of the caller whatever it asks for: it counts also what is not allowed, and before that is decided. Any other
    /// counts only what was allowed, so that nobody learns by it what there is.
    /// </summary>
    public bool IsOfCallerAlone { get; }

    public FrozenSet<string> Actions { get; }

    public ImmutableArray<Condition> Conditions { get; }

    public ReadOnlySpan<ResourcePattern> Resources => _resources;

    public static CompiledStatement Compile(string source, PolicyStatement statement, string label, PolicyScope scope)
    {
        var what = $"Statement {label.TrimStart('#')}";
        PolicyReader.Require(
            scope == PolicyScope.Key || !statement.Resources.IsEmpty, $"{what} names no resources: write * for all, or kind/name.");
        var resources = statement.Resources.IsEmpty
            ? [ResourcePattern.All]
            : statement.Resources.Select(r => ResourcePattern.Parse(r, what)).ToArray();
        return new CompiledStatement(
            source, label, statement, scope, ActionsOf(statement, what), resources,
            [.. statement.Conditions.Select(c => Condition.Compile(c, what))]);
    }

    /// <summary>Actions aside: whoever asks has chosen by them.</summary>
    public bool Matches(in AccessRequest request) => IsFor(request) && HoldsFor(request);

    public bool IsFor(in AccessRequest request) => IsFor(request.Caller.Principal) && IsOn(request);

    public bool IsFor(string principal)
    {
        foreach (var pattern in _principals)
        {
            if (Wildcard.Matches(pattern, principal))
                return true;
        }

        return false;
    }

    public bool IsOn(in AccessRequest request)
    {
        foreach (var pattern in _resources)
        {
            if (pattern.Matches(request))
                return true;
        }

        return false;
    }

    public bool HoldsFor(in AccessRequest request)
    {
        foreach (var condition in Conditions)
        {
            if (!condition.Holds(request, Effect))
                return false;
        }

        return true;
    }

    private static FrozenSet<string> ActionsOf(PolicyStatement statement, string what)
    {
        var actions = new HashSet<string>(StringComparer.Ordinal);
        var known = statement.Effect == PolicyEffect.Limit ? Access.Actions.Limitable : Access.Actions.All;
        foreach (var pattern in statement.Actions)
        {
            var matches = known.Where(a => Wildcard.Matches(pattern, a)).ToArray();
            PolicyReader.Require(matches.Length > 0, $"{what}: there is no action {pattern}{(known == Access.Actions.All ? "" : " that can be limited")}.");
            actions.UnionWith(matches);
        }

        return actions.ToFrozenSet(StringComparer.Ordinal);
    }
}

/// <summary><c>*</c>, or <c>kind/name</c> with wildcards in the name.</summary>
internal readonly record struct ResourcePattern(string Kind, string Name)
{
    public static readonly ResourcePattern All = new("", "*");

    private static readonly string[] Kinds = ["key", "alias", "profile", "credential", "policy", "audit", "backup", "approval", "approval-rule"];

    public static ResourcePattern Parse(string text, string what)
    {
        if (string.Equals(text, "*", StringComparison.Ordinal))
            return All;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        var kind = slash < 0 ? "" : text[..slash];
        PolicyReader.Require(
            Kinds.Contains(kind, StringComparer.Ordinal) && slash + 1 < text.Length,
            $"{what}: a resource is * or kind/name, and kind one of {string.Join(", ", Kinds)}; {text} is neither.");
        return new ResourcePattern(kind, text[(slash + 1)..]);
    }

    public bool Matches(in AccessRequest request)
    {
        if (Kind.Length == 0)
            return true;
        if (request.Resource is { } resource
            && resource.Length > Kind.Length && resource[Kind.Length] == '/' && resource.StartsWith(Kind, StringComparison.Ordinal)
            && Wildcard.Matches(Name, resource.AsSpan(Kind.Length + 1)))
        {
            return true;
        }

        return request.Facts.Key is { } key && string.Equals(Kind, "key", StringComparison.Ordinal)
            && (Wildcard.Matches(Name, key.Name) || Wildcard.Matches(Name, key.Id));
    }

    public bool Covers(in ResourcePattern other) =>
        Kind.Length == 0 || (string.Equals(Kind, other.Kind, StringComparison.Ordinal) && Wildcard.Covers(Name, other.Name));

    public bool MayOverlap(in ResourcePattern other) =>
        Kind.Length == 0 || other.Kind.Length == 0
        || (string.Equals(Kind, other.Kind, StringComparison.Ordinal) && Wildcard.MayOverlap(Name, other.Name));

    public override string ToString() => Kind.Length == 0 ? "*" : $"{Kind}/{Name}";
}
