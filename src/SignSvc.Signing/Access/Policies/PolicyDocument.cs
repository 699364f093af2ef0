using System.Collections.Immutable;
using System.Text.Json.Serialization;
using SignSvc.Signing.Access.Limits;

namespace SignSvc.Signing.Access.Policies;

public enum PolicyEffect
{
    Allow,
    Deny,

    /// <summary>Neither: of what is allowed, no more than so much (<see cref="PolicyStatement.Limit"/>).</summary>
    Limit,
}

/// <summary>Where a document stands: it decides what its resources may be.</summary>
public enum PolicyScope
{
    /// <summary>A service policy speaks of everything and names its resources.</summary>
    Service,

    /// <summary>A key's policy speaks of that key alone.</summary>
    Key,
}

/// <summary>Statements as they were written, checked for form: what they mean is compiled from them (<see cref="CompiledPolicy"/>).</summary>
[JsonConverter(typeof(PolicyDocumentConverter))]
public sealed record PolicyDocument(ImmutableArray<PolicyStatement> Statements)
{
    public const int MaxStatements = 64;

    public static readonly PolicyDocument Empty = new([]);
}

/// <summary>Allows, denies or limits some principals some actions on some resources, under conditions that all have to hold.</summary>
public sealed record PolicyStatement
{
    public const int MaxEntries = 64;
    public const int MaxConditions = 32;
    public const int MaxTextLength = 1024;

    /// <summary>Its name in the document, for people and for <c>explain</c>; null: it goes by its number.</summary>
    public string? Sid { get; init; }

    public required PolicyEffect Effect { get; init; }

    /// <summary>Patterns of <see cref="Caller.Principal"/>.</summary>
    public required ImmutableArray<string> Principals { get; init; }

    /// <summary>Patterns of <see cref="Access.Actions"/>.</summary>
    public required ImmutableArray<string> Actions { get; init; }

    /// <summary><c>*</c>, or patterns <c>kind/name</c>; empty in a key's policy: the key.</summary>
    public ImmutableArray<string> Resources { get; init; } = [];

    public ImmutableArray<PolicyCondition> Conditions { get; init; } = [];

    /// <summary>Of a statement with the effect <see cref="PolicyEffect.Limit"/>, and of no other.</summary>
    public Limit? Limit { get; init; }

    /// <summary>How it is called where it stands at <paramref name="index"/> of its document.</summary>
    public string Label(int index) => Sid ?? $"#{index + 1}";
}

/// <param name="Operator">As in <see cref="ConditionOperator"/>: <c>stringLike</c>, <c>forAnyValue:stringEqualsIfExists</c>.</param>
/// <param name="Fact">See <see cref="Policies.Fact"/>.</param>
/// <param name="Values">One of them has to fit.</param>
public sealed record PolicyCondition(string Operator, string Fact, ImmutableArray<string> Values)
{
    public bool Equals(PolicyCondition? other) =>
        other is not null && string.Equals(Operator, other.Operator, StringComparison.OrdinalIgnoreCase)
        && string.Equals(Fact, other.Fact, StringComparison.Ordinal) && Values.SequenceEqual(other.Values, StringComparer.Ordinal);

    public override int GetHashCode() => HashCode.Combine(StringComparer.OrdinalIgnoreCase.GetHashCode(Operator), Fact, Values.Length);

    public override string ToString() => $"{Operator} {Fact} [{string.Join(", ", Values)}]";
}

/// <summary>Conditions without a statement around them; all of them have to hold.</summary>
[JsonConverter(typeof(PolicyConditionsConverter))]
public sealed record PolicyConditions(ImmutableArray<PolicyCondition> All)
{
    public static readonly PolicyConditions None = new([]);
}
