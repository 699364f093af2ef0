using System.Text.Json.Serialization;
using SignSvc.Cli.Keys;

namespace SignSvc.Cli.Declared;

/// <param name="IsDrift">The manifest says what was applied; the key was changed by hand.</param>
internal sealed record Difference(string Member, string From, string To, bool IsDrift);

internal enum PlanAction
{
    [JsonStringEnumMemberName("none")]
    None,
    [JsonStringEnumMemberName("create")]
    Create,
    [JsonStringEnumMemberName("change")]
    Change,

    /// <summary>It cannot be done: nothing is applied until the manifest is another.</summary>
    [JsonStringEnumMemberName("refused")]
    Refused,

    /// <summary>No longer declared, and left alone.</summary>
    [JsonStringEnumMemberName("undeclared")]
    Undeclared,
    [JsonStringEnumMemberName("delete")]
    Delete,
    [JsonStringEnumMemberName("disable")]
    Disable,

    /// <summary>No longer declared: it stays as it is, and no longer belongs to the set.</summary>
    [JsonStringEnumMemberName("release")]
    Release,
}

/// <summary>What shall become of one key.</summary>
/// <param name="Refusal">Why it cannot be done, and the way out.</param>
internal sealed record KeyPlan(string Key, PlanAction Action, Difference[] Differences, string[] Warnings, string? Refusal = null)
{
    [JsonIgnore]
    public DeclaredKey? Declared { get; init; }

    [JsonIgnore]
    public KeyAnswer? Live { get; init; }

    /// <summary>Aliases that come here from another key.</summary>
    [JsonIgnore]
    public string[] AliasesToMove { get; init; } = [];

    /// <summary>Aliases that leave this key and go to no other declared one.</summary>
    [JsonIgnore]
    public string[] AliasesToDelete { get; init; } = [];

    public int? PendingWindowInDays { get; init; }

    public bool Drifted => Differences.Any(d => d.IsDrift);

    /// <summary>Something is done to the key.</summary>
    [JsonIgnore]
    public bool IsWork => Action is not (PlanAction.None or PlanAction.Refused or PlanAction.Undeclared);
}

internal sealed record PlanReport(string Set, IReadOnlyList<KeyPlan> Keys)
{
    public bool Differs => Keys.Any(k => k.IsWork || k.Action == PlanAction.Refused);
}
