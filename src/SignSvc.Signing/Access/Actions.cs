using System.Collections.Immutable;

namespace SignSvc.Signing.Access;

/// <summary>What a caller may be allowed to do. The names are part of policies and audit records: rename nothing.</summary>
public static class Actions
{
    public const string KeysCreate = "keys:Create";
    public const string KeysList = "keys:List";
    public const string KeysRead = "keys:Read";
    public const string KeysUpdate = "keys:Update";
    public const string KeysEnable = "keys:Enable";
    public const string KeysDisable = "keys:Disable";
    public const string KeysRotate = "keys:Rotate";
    public const string KeysRetire = "keys:Retire";
    public const string KeysRevoke = "keys:Revoke";
    public const string KeysImport = "keys:Import";

    /// <summary>Wraps a volume key's private keys anew under the newest wrapping key.</summary>
    public const string KeysRewrap = "keys:Rewrap";

    public const string KeysScheduleDeletion = "keys:ScheduleDeletion";
    public const string KeysCancelDeletion = "keys:CancelDeletion";
    public const string KeysDelete = "keys:Delete";
    public const string AliasesPut = "aliases:Put";
    public const string AliasesDelete = "aliases:Delete";
    public const string KeysSign = "keys:Sign";
    public const string KeysVerify = "keys:Verify";
    public const string TokensIssue = "tokens:Issue";
    public const string TokensExplain = "tokens:Explain";
    public const string TokensSignPayload = "tokens:SignPayload";
    public const string TokensIntrospect = "tokens:Introspect";
    public const string TokensRevoke = "tokens:Revoke";
    public const string TokensSignServiceAccount = "tokens:SignServiceAccount";
    public const string ProfilesRead = "profiles:Read";
    public const string ProfilesPut = "profiles:Put";
    public const string ProfilesDelete = "profiles:Delete";
    public const string CredentialsCreate = "credentials:Create";
    public const string CredentialsRead = "credentials:Read";
    public const string CredentialsRotate = "credentials:Rotate";
    public const string CredentialsRevoke = "credentials:Revoke";
    public const string CredentialsUpdate = "credentials:Update";
    public const string AuditRead = "audit:Read";
    public const string MetricsRead = "metrics:Read";

    /// <summary>Whoever has a backup and the root key has every software key: administrators only.</summary>
    public const string BackupCreate = "backup:Create";

    /// <summary>Of a service policy (<c>policy/NAME</c>) or of a key's own (<c>key/NAME</c>). Who may read them is told why a request was refused.</summary>
    public const string PoliciesRead = "policies:Read";
    public const string PoliciesPut = "policies:Put";
    public const string PoliciesDelete = "policies:Delete";

    /// <summary>Asks what oneself may do; for others, and for the reasons, <see cref="PoliciesRead"/> is needed.</summary>
    public const string PoliciesExplain = "policies:Explain";

    public const string GrantsCreate = "grants:Create";
    public const string GrantsRead = "grants:Read";
    public const string GrantsRevoke = "grants:Revoke";

    /// <summary>Gives a grant back; the grantee needs no policy for it.</summary>
    public const string GrantsRetire = "grants:Retire";

    /// <summary>Of approvals and of the rules that ask for them. Whoever asked for an approval reads it without.</summary>
    public const string ApprovalsRead = "approvals:Read";

    /// <summary>Approves or rejects; the rules have to name the caller as well. It is asked on what the request is about.</summary>
    public const string ApprovalsDecide = "approvals:Decide";

    /// <summary>Lets a request through without approval, in an emergency.</summary>
    public const string ApprovalsBreakGlass = "approvals:BreakGlass";

    public const string ApprovalRulesPut = "approvalRules:Put";
    public const string ApprovalRulesDelete = "approvalRules:Delete";

    /// <summary>Not an action to grant: a request was found to need approval.</summary>
    public const string ApprovalsRequest = "approvals:Request";

    /// <summary>Not an action to grant: an approval was used up for a signature.</summary>
    public const string ApprovalsUse = "approvals:Use";

    /// <summary>Not an action to grant: what the audit calls the spending of a grant whose uses are counted.</summary>
    public const string GrantsUse = "grants:Use";

    /// <summary>Not an action to grant: the service's own note that a remote backend is about to make a key, has made it, or that the note is closed.</summary>
    public const string KeysIntend = "keys:Intend";

    /// <summary>Not an action to grant: the service brought a key at its remote backend in line with what stands here.</summary>
    public const string KeysMirror = "keys:Mirror";

    /// <summary>Not an action to grant: what the audit calls a request whose sender nobody could name.</summary>
    public const string Authenticate = "callers:Authenticate";

    /// <summary>All that a policy can speak of. An action that is missing here is allowed to nobody but the service itself.</summary>
    public static ImmutableArray<string> All { get; } =
    [
        KeysCreate, KeysList, KeysRead, KeysUpdate, KeysEnable, KeysDisable, KeysRotate, KeysRetire, KeysRevoke, KeysImport, KeysRewrap,
        KeysScheduleDeletion, KeysCancelDeletion, KeysDelete, AliasesPut, AliasesDelete, KeysSign, KeysVerify, TokensIssue,
        TokensExplain, TokensSignPayload, TokensIntrospect, TokensRevoke, TokensSignServiceAccount, ProfilesRead, ProfilesPut, ProfilesDelete,
        CredentialsCreate, CredentialsRead, CredentialsRotate, CredentialsUpdate, CredentialsRevoke, AuditRead, MetricsRead, BackupCreate,
        PoliciesRead, PoliciesPut, PoliciesDelete, PoliciesExplain, GrantsCreate, GrantsRead, GrantsRevoke, GrantsRetire,
        ApprovalsRead, ApprovalsDecide, ApprovalsBreakGlass, ApprovalRulesPut, ApprovalRulesDelete,
    ];

    /// <summary>What limits can speak of: not the changes that take a limit back.</summary>
    public static ImmutableArray<string> Limitable { get; } = [.. All.Except([PoliciesRead, PoliciesPut, PoliciesDelete], StringComparer.Ordinal)];
}
