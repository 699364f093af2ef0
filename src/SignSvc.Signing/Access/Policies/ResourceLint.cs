using System.Collections.Immutable;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Policies;

/// <summary>
/// Holds the resources of policies and rules against what there is now: a pattern that matches nothing allows, denies and
/// guards nothing, and nobody would notice.
/// </summary>
/// <param name="allows">Whether who asks may list what an action lists: to others nothing is said of what there is.</param>
internal sealed class ResourceLint(Snapshot snapshot, Func<string, bool> allows)
{
    /// <param name="key">Whose policy it is; null: not known, or a service policy.</param>
    public IEnumerable<PolicyFinding> Check(PolicyDocument document, PolicyScope scope, Key? key)
    {
        var statements = CompiledPolicy.Compile("lint", document, scope).Statements;
        for (var i = 0; i < statements.Length; i++)
        {
            foreach (var resource in statements[i].Resources.ToArray())
            {
                var label = statements[i].Statement.Label(i);
                if (key is not null && !IsOf(resource, key))
                    yield return new PolicyFinding(PolicyFindingKind.NeverApplies, label, $"{resource} is not {key.Name}, and this is the policy of that key alone.");
                else if (WhyNothing(resource, statements[i].Actions.Contains) is { } why)
                    yield return new PolicyFinding(PolicyFindingKind.NamesNothing, label, why);
            }
        }
    }

    public IEnumerable<PolicyFinding> Check(CompiledApprovalRule rule)
    {
        foreach (var resource in rule.Resources)
        {
            if (WhyNothing(resource, rule.EveryAction.Contains) is { } why)
                yield return new PolicyFinding(PolicyFindingKind.NamesNothing, rule.Rule.Name, why);
        }

        foreach (var pattern in rule.Rule.Actions)
        {
            var kinds = rule.EveryAction.Where(a => Wildcard.Matches(pattern, a)).SelectMany(a => ApprovalRule.KindsOf(a)).Distinct(StringComparer.Ordinal).ToArray();
            if (!rule.Resources.Any(r => r.Kind.Length == 0 || kinds.Contains(r.Kind, StringComparer.Ordinal)))
                yield return new PolicyFinding(PolicyFindingKind.NeverApplies, rule.Rule.Name, $"{pattern} is of {string.Join(" or ", kinds.Select(k => $"{k}/…"))}, and no resource is one.");
        }
    }

    private static bool IsOf(in ResourcePattern resource, Key key) =>
        resource.Kind.Length == 0 || (resource.Kind is "key" && (Wildcard.Matches(resource.Name, key.Name) || Wildcard.Matches(resource.Name, key.Id)));

    /// <returns>Null: it matches something, what it speaks of can still come by its own actions, or nothing may be said of it.</returns>
    private string? WhyNothing(ResourcePattern resource, Func<string, bool> hasAction)
    {
        var (names, making, listing) = resource.Kind switch
        {
            "key" => (snapshot.Keys.All.SelectMany(k => (string[])[k.Name, k.Id]), Actions.KeysCreate, Actions.KeysList),
            "alias" => (snapshot.Keys.Aliases.Select(a => a.Alias), Actions.AliasesPut, Actions.KeysList),
            "profile" => (snapshot.Profiles.Keys, Actions.ProfilesPut, Actions.ProfilesRead),
            "credential" => (snapshot.Credentials.Values.Select(c => c.Name), Actions.CredentialsCreate, Actions.CredentialsRead),
            "policy" => (snapshot.Policies.Keys, Actions.PoliciesPut, Actions.PoliciesRead),
            "approval-rule" => (snapshot.ApprovalRules.Keys, Actions.ApprovalRulesPut, Actions.ApprovalsRead),
            _ => ((IEnumerable<string>)[], "", ""),
        };
        if (listing.Length == 0 || hasAction(making) || !allows(listing) || names.Any(n => Wildcard.Matches(resource.Name, n)))
            return null;
        return resource.Kind is "key" && snapshot.Keys.Aliases.FirstOrDefault(a => Wildcard.Matches(resource.Name, a.Alias)) is { Key: { } meant } found
            ? $"{found.Alias} is an alias, and resources are names or ids: it stands for key/{meant.Name} now."
            : $"There is no {resource.Kind} that {resource} matches now.";
    }
}
