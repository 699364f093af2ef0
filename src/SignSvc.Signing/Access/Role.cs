using System.Collections.Frozen;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Signing.Access;

/// <summary>Built-in policies that a service credential can hold: all-or-nothing permission sets, on everything.</summary>
public enum Role
{
    /// <summary>Everything.</summary>
    Admin,

    /// <summary>Keys and profiles, but neither signing nor credentials nor policies.</summary>
    Operator,

    /// <summary>Signs, verifies, issues tokens, reads public keys; may not list keys.</summary>
    Signer,

    /// <summary>Reads keys, credentials, policies and the audit.</summary>
    Auditor,

    /// <summary>Signs service account tokens for Kubernetes, which is asked for on its socket alone.</summary>
    ServiceAccountSigner,
}

/// <summary>Which actions a role holds.</summary>
public static class Roles
{
    private static readonly FrozenDictionary<Role, BuiltIn> All = new Dictionary<Role, BuiltIn>
    {
        [Role.Admin] = new("role:admin", [.. Actions.All]),
        [Role.Operator] = new(
            "role:operator",
            Actions.KeysCreate, Actions.KeysList, Actions.KeysRead, Actions.KeysVerify, Actions.KeysUpdate, Actions.KeysEnable,
            Actions.KeysDisable, Actions.KeysRotate, Actions.KeysRetire, Actions.KeysRevoke, Actions.KeysImport, Actions.KeysRewrap,
            Actions.KeysScheduleDeletion, Actions.KeysCancelDeletion, Actions.AliasesPut, Actions.AliasesDelete,
            Actions.ProfilesRead, Actions.ProfilesPut, Actions.ProfilesDelete, Actions.MetricsRead, Actions.PoliciesExplain, Actions.ApprovalsRead),
        [Role.Signer] = new(
            "role:signer",
            Actions.KeysRead, Actions.KeysSign, Actions.KeysVerify, Actions.TokensIssue, Actions.TokensExplain, Actions.TokensSignPayload,
            Actions.TokensIntrospect, Actions.TokensRevoke, Actions.ProfilesRead, Actions.PoliciesExplain),
        [Role.Auditor] = new(
            "role:auditor",
            Actions.KeysList, Actions.KeysRead, Actions.KeysVerify, Actions.ProfilesRead, Actions.CredentialsRead, Actions.AuditRead,
            Actions.MetricsRead, Actions.PoliciesRead, Actions.PoliciesExplain, Actions.GrantsRead, Actions.ApprovalsRead),
        [Role.ServiceAccountSigner] = new("role:serviceAccountSigner", Actions.TokensSignServiceAccount),
    }.ToFrozenDictionary();

    /// <summary>An administrator may do also what no policy can speak of.</summary>
    public static bool Allows(this Role role, string action) =>
        role == Role.Admin || (All.TryGetValue(role, out var builtIn) && builtIn.Actions.Contains(action));

    /// <summary>How explanations call it: <c>role:admin</c>.</summary>
    public static string PolicyName(this Role role) => All[role].Name;

    /// <summary>What the role would be, written as a policy for those who hold it.</summary>
    public static PolicyDocument AsPolicy(this Role role) => new(
    [
        new PolicyStatement
        {
            Sid = role.PolicyName(),
            Effect = PolicyEffect.Allow,
            Principals = ["*"],
            Actions = role == Role.Admin ? ["*"] : [.. All[role].Actions.Order(StringComparer.Ordinal)],
            Resources = ["*"],
        },
    ]);

    private sealed record BuiltIn(string Name, FrozenSet<string> Actions)
    {
        public BuiltIn(string name, params IEnumerable<string> actions) : this(name, actions.ToFrozenSet(StringComparer.Ordinal))
        {
        }
    }
}
