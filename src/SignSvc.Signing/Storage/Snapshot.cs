using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Keys.Import;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Storage;

/// <summary>
/// All that a node needs to decide, as of one revision. Immutable: a request reads one snapshot from its begin to its
/// end, so that a change in between is either wholly there or not at all.
/// </summary>
public sealed record Snapshot
{
    public static readonly Snapshot Empty = new();

    private readonly Lazy<KeySets> _keySets;

    private Snapshot() => _keySets = new Lazy<KeySets>(() => new KeySets(Keys, Profiles));

    private Snapshot(Snapshot original)
    {
        Revision = original.Revision;
        Keys = original.Keys;
        Profiles = original.Profiles;
        Credentials = original.Credentials;
        CredentialIds = original.CredentialIds;
        Imports = original.Imports;
        Policies = original.Policies;
        KeyPolicies = original.KeyPolicies;
        Grants = original.Grants;
        Access = original.Access;
        Approvals = original.Approvals;
        ApprovalRules = original.ApprovalRules;
        KeyIntents = original.KeyIntents;
        DocumentVersions = original.DocumentVersions;
        _keySets = new Lazy<KeySets>(() => new KeySets(Keys, Profiles));
    }

    public long Revision { get; init; }

    public KeyRing Keys { get; init; } = KeyRing.Empty;

    /// <summary>By name.</summary>
    public ImmutableSortedDictionary<string, TokenProfile> Profiles { get; init; } =
        ImmutableSortedDictionary.Create<string, TokenProfile>(StringComparer.Ordinal);

    /// <summary>By id.</summary>
    public ImmutableDictionary<string, Credential> Credentials { get; init; } =
        ImmutableDictionary.Create<string, Credential>(StringComparer.Ordinal);

    /// <summary>Ids of credentials, by their names.</summary>
    private ImmutableDictionary<string, string> CredentialIds { get; init; } =
        ImmutableDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>Import tickets that are outstanding, by slot.</summary>
    public ImmutableSortedDictionary<int, ImportTicket> Imports { get; init; } = ImmutableSortedDictionary<int, ImportTicket>.Empty;

    /// <summary>Service policies by name.</summary>
    public ImmutableSortedDictionary<string, StoredPolicy> Policies { get; init; } =
        ImmutableSortedDictionary.Create<string, StoredPolicy>(StringComparer.Ordinal);

    /// <summary>Keys' own policies, by key id.</summary>
    public ImmutableDictionary<string, StoredPolicy> KeyPolicies { get; init; } =
        ImmutableDictionary.Create<string, StoredPolicy>(StringComparer.Ordinal);

    /// <summary>By id.</summary>
    public ImmutableDictionary<string, Grant> Grants { get; init; } = ImmutableDictionary.Create<string, Grant>(StringComparer.Ordinal);

    /// <summary>Who may do what, compiled from policies and grants.</summary>
    public AccessPolicy Access { get; init; } = AccessPolicy.RolesAlone;

    /// <summary>Requests that wait for approval, and those that waited, until they expire and are cleared away; by id.</summary>
    public ImmutableDictionary<string, Approval> Approvals { get; init; } = ImmutableDictionary.Create<string, Approval>(StringComparer.Ordinal);

    /// <summary>By name.</summary>
    public ImmutableSortedDictionary<string, CompiledApprovalRule> ApprovalRules { get; init; } =
        ImmutableSortedDictionary.Create<string, CompiledApprovalRule>(StringComparer.Ordinal);

    /// <summary>Keys that remote backends have begun and that are not known to be recorded, by slot; see <see cref="StoredKeyIntents"/>.</summary>
    public ImmutableSortedDictionary<int, KeyIntent> KeyIntents { get; init; } = ImmutableSortedDictionary<int, KeyIntent>.Empty;

    /// <summary>What verifiers are given; built when first asked for, once for a snapshot.</summary>
    public KeySets KeySets => _keySets.Value;

    /// <summary>The public keys of the service's own issuer.</summary>
    public KeySet TokenKeys => KeySets.OfService;

    /// <summary>Version of each document, by kind and id: what an update has to follow.</summary>
    private ImmutableDictionary<(string Kind, string Id), int> DocumentVersions { get; init; } =
        ImmutableDictionary<(string, string), int>.Empty;

    public int DocumentVersion(string kind, string id) => DocumentVersions.GetValueOrDefault((kind, id));

    /// <param name="reference">An id or a name; a name that reads like another credential's id is found as a name last.</param>
    public Credential? Credential(string reference) =>
        Credentials.GetValueOrDefault(reference)
        ?? (CredentialIds.TryGetValue(reference, out var id) ? Credentials.GetValueOrDefault(id) : null);

    /// <inheritdoc cref="Credential(string)"/>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Credential ExistingCredential(string reference) =>
        Credential(reference) ?? throw new SigningException(SigningFault.NotFound, "There is no such credential.");

    /// <summary>All of them have to be met.</summary>
    internal IReadOnlyList<CompiledApprovalRule> ApprovalRulesFor(AccessRequest request) =>
        ApprovalRules.IsEmpty ? [] : [.. ApprovalRules.Values.Where(r => r.IsFor(request))];

    public Snapshot With(StateChanges changes)
    {
        var next = this;
        foreach (var document in changes.Documents)
            next = next.With(document);
        return next with { Revision = changes.Revision };
    }

    private Snapshot With(Document document)
    {
        var next = this with { DocumentVersions = DocumentVersions.SetItem((document.Kind, document.Id), document.Version) };
        var body = document.Body.Span;
        switch (document.Kind)
        {
            case DocumentKind.Key:
                return next with { Keys = Keys.With(JsonSerializer.Deserialize(body, SigningJson.Default.Key)!) };
            case DocumentKind.Profile when body.IsEmpty:
                return next with { Profiles = Profiles.Remove(document.Id) };
            case DocumentKind.Profile:
                var profile = JsonSerializer.Deserialize(body, SigningJson.Default.TokenProfile)!;
                return next with { Profiles = Profiles.SetItem(profile.Name, profile) };
            case DocumentKind.Credential:
                var credential = JsonSerializer.Deserialize(body, SigningJson.Default.Credential)!;
                return next with
                {
                    Credentials = Credentials.SetItem(credential.Id, credential),
                    CredentialIds = CredentialIds.SetItem(credential.Name, credential.Id),
                };
            case DocumentKind.Import:
                var slot = ImportTicket.SlotOf(document.Id);
                return next with
                {
                    Imports = body.IsEmpty
                        ? Imports.Remove(slot)
                        : Imports.SetItem(slot, JsonSerializer.Deserialize(body, SigningJson.Default.ImportTicket)!),
                };
            case DocumentKind.Policy or DocumentKind.KeyPolicy:
                return next.WithPolicy(document);
            case DocumentKind.Grant when body.IsEmpty:
                return next.Grants.TryGetValue(document.Id, out var ended)
                    ? next with { Grants = next.Grants.Remove(document.Id), Access = next.Access.Without(ended) }
                    : next;
            case DocumentKind.Grant:
                var grant = JsonSerializer.Deserialize(body, SigningJson.Default.Grant)!;
                return next with { Grants = next.Grants.SetItem(grant.Id, grant), Access = next.Access.With(grant) };
            case DocumentKind.Approval:
                return next with
                {
                    Approvals = body.IsEmpty
                        ? Approvals.Remove(document.Id)
                        : Approvals.SetItem(document.Id, JsonSerializer.Deserialize(body, SigningJson.Default.Approval)!),
                };
            case DocumentKind.ApprovalRule:
                return next with
                {
                    ApprovalRules = body.IsEmpty
                        ? ApprovalRules.Remove(document.Id)
                        : ApprovalRules.SetItem(document.Id, CompiledApprovalRule.Compile(JsonSerializer.Deserialize(body, SigningJson.Default.ApprovalRule)!)),
                };
            case DocumentKind.KeyIntent:
                var place = StoredKeyIntents.SlotOf(document.Id);
                return next with
                {
                    KeyIntents = body.IsEmpty
                        ? KeyIntents.Remove(place)
                        : KeyIntents.SetItem(place, JsonSerializer.Deserialize(body, SigningJson.Default.KeyIntent)!),
                };
            default:
                throw new SigningException(
                    SigningFault.StoreFailed,
                    $"The store holds a {document.Kind}, which this version of SignSvc does not know: it was written by a newer one.");
        }
    }

    /// <summary>A policy that cannot be compiled may hold a denial: this version must not go on without it.</summary>
    private Snapshot WithPolicy(Document document)
    {
        var scope = string.Equals(document.Kind, DocumentKind.Policy, StringComparison.Ordinal) ? PolicyScope.Service : PolicyScope.Key;
        try
        {
            if (document.Body.IsEmpty)
                return scope == PolicyScope.Service
                    ? this with { Policies = Policies.Remove(document.Id), Access = Access.Without(scope, document.Id) }
                    : this with { KeyPolicies = KeyPolicies.Remove(document.Id), Access = Access.Without(scope, document.Id) };
            var policy = JsonSerializer.Deserialize(document.Body.Span, SigningJson.Default.StoredPolicy)!;
            return scope == PolicyScope.Service
                ? this with { Policies = Policies.SetItem(policy.Name, policy), Access = Access.With(policy) }
                : this with { KeyPolicies = KeyPolicies.SetItem(policy.Name, policy), Access = Access.With(policy) };
        }
        catch (SigningException e) when (e.Fault == SigningFault.InvalidRequest)
        {
            throw new SigningException(
                SigningFault.StoreFailed,
                $"The store holds the {document.Kind} {document.Id}, which this version of SignSvc cannot read: {e.Message}", e);
        }
    }
}

/// <summary>Kinds of documents, as they are stored.</summary>
public static class DocumentKind
{
    public const string Key = "key";
    public const string Profile = "profile";
    public const string Credential = "credential";
    public const string Import = "import";
    public const string Policy = "policy";
    public const string KeyPolicy = "key-policy";
    public const string Grant = "grant";
    public const string Approval = "approval";
    public const string ApprovalRule = "approval-rule";
    public const string KeyIntent = "key-intent";
}
