using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Approvals;

/// <summary>What needs the approval of others, of whom, and of how many. Of several rules about one request each has to be met.</summary>
public sealed record ApprovalRule
{
    public const int MaxRequired = 16;
    public const int MaxEntries = 64;

    /// <summary>What a rule can speak of beside changes of rules. All of it describes to its approvers, and binds, everything that was asked for.</summary>
    public static ImmutableArray<string> Approvable { get; } =
    [
        Access.Actions.KeysSign, Access.Actions.KeysDisable, Access.Actions.KeysEnable, Access.Actions.KeysScheduleDeletion, Access.Actions.KeysCancelDeletion, Access.Actions.KeysRevoke,
        Access.Actions.KeysImport, Access.Actions.KeysRotate, Access.Actions.KeysUpdate, Access.Actions.AliasesPut, Access.Actions.AliasesDelete,
        Access.Actions.ProfilesPut, Access.Actions.ProfilesDelete, Access.Actions.CredentialsCreate, Access.Actions.CredentialsRotate, Access.Actions.CredentialsUpdate,
        Access.Actions.CredentialsRevoke, Access.Actions.GrantsCreate, Access.Actions.GrantsRevoke, Access.Actions.PoliciesPut,
        Access.Actions.PoliciesDelete, Access.Actions.ApprovalRulesPut, Access.Actions.ApprovalRulesDelete,
    ];

    /// <summary>Of what an action's resource is, as <see cref="ApprovalSubject.Resource"/> has it.</summary>
    internal static ImmutableArray<string> KindsOf(string action) => action.Split(':')[0] switch
    {
        "keys" or "grants" => ["key"],
        "policies" => ["policy", "key"],
        "aliases" => ["alias"],
        "profiles" => ["profile"],
        "credentials" => ["credential"],
        _ => ["approval-rule"],
    };

    public required string Name { get; init; }

    /// <summary><c>*</c>, or patterns <c>kind/name</c> as in policies.</summary>
    public required ImmutableArray<string> Resources { get; init; }

    /// <summary>Patterns of <see cref="Approvable"/>.</summary>
    public required ImmutableArray<string> Actions { get; init; }

    /// <summary>People, not principals: see <see cref="Caller.Person"/>.</summary>
    public required int Required { get; init; }

    /// <summary>Patterns of <see cref="Caller.Principal"/>. They need <see cref="Access.Actions.ApprovalsDecide"/> as well.</summary>
    public required ImmutableArray<string> Approvers { get; init; }

    /// <summary>From the request until its use.</summary>
    public int ExpiresAfterSeconds { get; init; } = 3600;

    public required DateTimeOffset ChangedAt { get; init; }

    public required string ChangedBy { get; init; }

    internal bool IsApprover(string principal) => Approvers.Any(a => Wildcard.Matches(a, principal));

    internal Change Put(Snapshot basis) => new(
        DocumentKind.ApprovalRule, Name, basis.DocumentVersion(DocumentKind.ApprovalRule, Name) + 1,
        JsonSerializer.SerializeToUtf8Bytes(this, SigningJson.Default.ApprovalRule));

    internal static Change Remove(string name, Snapshot basis) =>
        new(DocumentKind.ApprovalRule, name, basis.DocumentVersion(DocumentKind.ApprovalRule, name) + 1, ReadOnlyMemory<byte>.Empty);
}

/// <summary>A rule that is ready to decide.</summary>
public sealed class CompiledApprovalRule
{
    private readonly FrozenSet<string> _actions;
    private readonly ResourcePattern[] _resources;

    private CompiledApprovalRule(ApprovalRule rule, FrozenSet<string> actions, ResourcePattern[] resources)
    {
        Rule = rule;
        _actions = actions;
        _resources = resources;
    }

    public ApprovalRule Rule { get; }

    /// <summary>Those that exist now, one by one.</summary>
    internal FrozenSet<string> EveryAction => _actions;

    internal IReadOnlyList<ResourcePattern> Resources => _resources;

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    internal static CompiledApprovalRule Compile(ApprovalRule rule)
    {
        const string What = "The rule";
        Require(rule.Required is >= 1 and <= ApprovalRule.MaxRequired, $"required is from 1 to {ApprovalRule.MaxRequired}.");
        Require(rule.ExpiresAfterSeconds is >= 60 and <= 86_400, "expiresAfterSeconds is from 60 to 86400.");
        Require(AreTexts(rule.Resources), $"resources are 1 to {ApprovalRule.MaxEntries} patterns.");
        Require(AreTexts(rule.Actions), $"actions are 1 to {ApprovalRule.MaxEntries} patterns.");
        Require(AreTexts(rule.Approvers), $"approvers are 1 to {ApprovalRule.MaxEntries} patterns of principals.");
        var actions = new HashSet<string>(StringComparer.Ordinal);
        foreach (var pattern in rule.Actions)
        {
            var matches = ApprovalRule.Approvable.Where(a => Wildcard.Matches(pattern, a)).ToArray();
            Require(matches.Length > 0, $"What can need approval is {string.Join(", ", ApprovalRule.Approvable)}; {pattern} is none of it.");
            actions.UnionWith(matches);
        }

        return new CompiledApprovalRule(
            rule, actions.ToFrozenSet(StringComparer.Ordinal), [.. rule.Resources.Select(r => ResourcePattern.Parse(r, What))]);
    }

    /// <summary>A rule always guards itself.</summary>
    internal bool IsFor(in AccessRequest request)
    {
        if (request.Action is Actions.ApprovalRulesPut or Actions.ApprovalRulesDelete
            && string.Equals(request.Resource, $"approval-rule/{Rule.Name}", StringComparison.Ordinal))
        {
            return true;
        }

        if (!_actions.Contains(request.Action))
            return false;
        foreach (var pattern in _resources)
        {
            if (pattern.Matches(request))
                return true;
        }

        return false;
    }

    private static bool AreTexts(ImmutableArray<string> texts) =>
        texts is { IsDefaultOrEmpty: false, Length: <= ApprovalRule.MaxEntries }
        && texts.All(t => t is { Length: > 0 and <= PolicyStatement.MaxTextLength } && !t.Any(char.IsControl));

    private static void Require(bool holds, string message)
    {
        if (!holds)
            throw new SigningException(SigningFault.InvalidRequest, message);
    }
}
