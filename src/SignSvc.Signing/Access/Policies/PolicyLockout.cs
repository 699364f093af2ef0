using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Policies;

/// <summary>Where a policy stands.</summary>
/// <param name="Name">As <see cref="StoredPolicy.Name"/>.</param>
internal sealed record PolicyPlace(PolicyScope Scope, string Name, Key? Key)
{
    public StoredPolicy? In(Snapshot snapshot) => Scope == PolicyScope.Service
        ? snapshot.Policies.GetValueOrDefault(Name)
        : snapshot.KeyPolicies.GetValueOrDefault(Name);
}

/// <summary>
/// Whether a change could be taken back: by the caller, if it could before, and by some credential, if one could. Callers
/// from elsewhere are not known until they come.
/// </summary>
internal static class PolicyLockout
{
    /// <returns>Who is locked out, in words; null: nobody.</returns>
    public static string? Of(Snapshot basis, Caller caller, PolicyPlace place, AccessPolicy after, DateTimeOffset now)
    {
        bool MayChange(AccessPolicy access, Caller who) => access.Allows(new AccessRequest
        {
            Caller = who,
            Action = Actions.PoliciesPut,
            At = now,
            Resource = place.Key is null ? $"policy/{place.Name}" : null,
            Facts = new AccessFacts { Key = place.Key },
        });

        if (MayChange(basis.Access, caller) && !MayChange(after, caller))
            return "you could not change it any more";
        var administrators = Live(basis, now).Where(c => MayChange(basis.Access, c)).ToArray();
        if (administrators.Length > 0 && !administrators.Any(c => MayChange(after, c)))
            return "no credential could change it any more";
        var stranded = basis.ApprovalRules.Values.Select(r => r.Rule).FirstOrDefault(r =>
            !IsStranded(basis, basis.Access, r, caller, now) && IsStranded(basis, after, r, caller, now));
        return stranded is null ? null : $"too few credentials could approve what the rule {stranded.Name} asks for";
    }

    /// <summary>A rule guards itself: where too few can approve what the caller asks for, the caller cannot take it back either.</summary>
    public static bool IsStranded(Snapshot basis, AccessPolicy access, ApprovalRule rule, Caller caller, DateTimeOffset now)
    {
        bool IsApprover(Caller c) =>
            rule.IsApprover(c.Principal) && !string.Equals(c.Principal, caller.Principal, StringComparison.Ordinal)
            && access.Allows(new AccessRequest { Caller = c, Action = Actions.ApprovalsDecide, At = now, Resource = $"approval-rule/{rule.Name}" });

        return rule.Approvers.All(a => a.StartsWith("credential:", StringComparison.Ordinal)) && Live(basis, now).Count(IsApprover) < rule.Required;
    }

    private static IEnumerable<Caller> Live(Snapshot basis, DateTimeOffset now) =>
        basis.Credentials.Values.Where(c => c.IsLive(now)).Select(c => new Caller(c.Principal, c.Roles));
}
