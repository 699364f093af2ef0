using System.Collections.Frozen;

namespace SignSvc.Signing.Access;

/// <summary>All-or-nothing permission sets of service credentials.</summary>
public enum Role
{
    /// <summary>Everything.</summary>
    Admin,

    /// <summary>Keys and profiles, but neither signing nor credentials.</summary>
    Operator,

    /// <summary>Signs, verifies, issues tokens, reads public keys; may not list keys.</summary>
    Signer,

    /// <summary>Reads keys, credentials and the audit.</summary>
    Auditor,

    /// <summary>Signs service account tokens for Kubernetes, which is asked for on its socket alone.</summary>
    ServiceAccountSigner,
}

/// <summary>Which actions a role holds.</summary>
public static class Roles
{
    private static readonly FrozenSet<string> Operator = Set(
        Actions.KeysCreate, Actions.KeysList, Actions.KeysRead, Actions.KeysVerify, Actions.KeysUpdate, Actions.KeysEnable,
        Actions.KeysDisable, Actions.KeysRotate, Actions.KeysRetire, Actions.KeysRevoke, Actions.KeysImport, Actions.KeysRewrap,
        Actions.KeysScheduleDeletion, Actions.KeysCancelDeletion, Actions.AliasesPut, Actions.AliasesDelete,
        Actions.ProfilesRead, Actions.ProfilesPut, Actions.MetricsRead);

    private static readonly FrozenSet<string> Signer = Set(
        Actions.KeysRead, Actions.KeysSign, Actions.KeysVerify, Actions.TokensIssue, Actions.TokensExplain, Actions.TokensSignPayload,
        Actions.TokensIntrospect, Actions.TokensRevoke, Actions.ProfilesRead);

    private static readonly FrozenSet<string> Auditor = Set(
        Actions.KeysList, Actions.KeysRead, Actions.KeysVerify, Actions.ProfilesRead, Actions.CredentialsRead, Actions.AuditRead, Actions.MetricsRead);

    public static bool Allows(this Role role, string action) => role switch
    {
        Role.Admin => true,
        Role.Operator => Operator.Contains(action),
        Role.Signer => Signer.Contains(action),
        Role.Auditor => Auditor.Contains(action),
        Role.ServiceAccountSigner => string.Equals(action, Actions.TokensSignServiceAccount, StringComparison.Ordinal),
        _ => false,
    };

    private static FrozenSet<string> Set(params string[] actions) => actions.ToFrozenSet(StringComparer.Ordinal);
}
