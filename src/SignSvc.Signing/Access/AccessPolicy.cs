using System.Collections.Frozen;
using System.Collections.Immutable;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing.Access;

/// <summary>
/// Proof that a caller was allowed to do one thing. Only <see cref="AccessPolicy"/> makes one, and the code that signs
/// or changes asks for it, so that nothing can be done that was not decided.
/// </summary>
public sealed class Permit
{
    internal Permit(Caller caller, string action, Ruling ruling)
    {
        Caller = caller;
        Action = action;
        By = ruling.By;
    }

    public Caller Caller { get; }

    public string Action { get; }

    /// <summary>What allowed it: <c>role:admin</c>, <c>policy/team-a#main-only</c>, <c>key/release#ci</c>, <c>grant/ID</c>.</summary>
    public string By { get; }

    /// <summary>For the audit: what allowed it, where it was not a role, which the caller's credential shows, and who approved it.</summary>
    internal string? Remark
    {
        get
        {
            var by = By.StartsWith("role:", StringComparison.Ordinal) || ReferenceEquals(Caller, Access.Caller.Service) ? null : $"allowed by {By}";
            return Approval is null ? by : by is null ? ApprovalRemark : $"{by}; {ApprovalRemark}";
        }
    }

    internal string? ApprovalRemark => Approval switch
    {
        null => null,
        { BrokenGlass: { } broken } => $"approval {Approval.Id}: glass broken by {broken.Principal}",
        _ => $"approval {Approval.Id} by {string.Join(", ", Approval.Votes.Select(v => v.Principal))}",
    };

    /// <summary>Of the grant without which it would not be allowed; null: there was no need of one.</summary>
    internal CountedUse? Use { get; init; }

    /// <summary>The approval that the change under this permit uses up; null: there was no need of one.</summary>
    internal Approval? Approval { get; private init; }

    internal Permit With(Approval approval) => new(Caller, Action, Ruling.Allowed(By)) { Use = Use, Approval = approval };
}

/// <summary>
/// Decides, from all that one snapshot says of access. A denial anywhere wins; otherwise something has to allow: a role
/// of the caller, the key's policy, a service policy, a grant. Immutable; compiled when the snapshot is made.
/// </summary>
/// <remarks>The service itself (<see cref="Caller.Service"/>) is bound by no policy: its scheduled work keeps the promises made to verifiers.</remarks>
public sealed partial class AccessPolicy
{
    /// <summary>Nothing is allowed but what a role names.</summary>
    public static readonly AccessPolicy RolesAlone = new(
        ImmutableSortedDictionary.Create<string, CompiledPolicy>(StringComparer.Ordinal),
        ImmutableDictionary.Create<string, CompiledPolicy>(StringComparer.Ordinal),
        ImmutableDictionary.Create<string, ImmutableArray<CompiledGrant>>(StringComparer.Ordinal));

    private readonly ImmutableSortedDictionary<string, CompiledPolicy> _service;
    private readonly ImmutableDictionary<string, CompiledPolicy> _keys;
    private readonly ImmutableDictionary<string, ImmutableArray<CompiledGrant>> _grants;
    private readonly Lazy<FrozenDictionary<string, ActionStatements>> _byAction;

    private AccessPolicy(
        ImmutableSortedDictionary<string, CompiledPolicy> service, ImmutableDictionary<string, CompiledPolicy> keys,
        ImmutableDictionary<string, ImmutableArray<CompiledGrant>> grants, Lazy<FrozenDictionary<string, ActionStatements>>? byAction = null)
    {
        _service = service;
        _keys = keys;
        _grants = grants;
        _byAction = byAction ?? new Lazy<FrozenDictionary<string, ActionStatements>>(() => Access.Actions.All.ToFrozenDictionary(
            action => action, action => ActionStatements.Of(action, service.Values), StringComparer.Ordinal));
    }

    /// <exception cref="SigningException">
    /// <see cref="SigningFault.Forbidden"/>; the words are the same whatever the reason, but for who may read policies.
    /// </exception>
    public Permit Authorise(in AccessRequest request)
    {
        using var span = SigningSpans.Start(SigningSpans.Policy);
        span?.SetTag(Tags.Action, request.Action);
        var ruling = Decide(request);
        return ruling.IsAllowed
            ? new Permit(request.Caller, request.Action, ruling) { Use = ruling.Grant is null ? null : new CountedUse(ruling.Grant, request) }
            : throw Refusal(request);
    }

    public bool Allows(in AccessRequest request) => Decide(request).IsAllowed;

    public static SigningException Forbidden(string? reason = null, bool isShown = false) =>
        new(SigningFault.Forbidden, $"You are not allowed to do this, or it does not exist.{(isShown && reason is not null ? $" {reason}" : "")}")
        {
            Reason = isShown ? null : reason,
        };

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, naming the statement.</exception>
    internal AccessPolicy With(StoredPolicy policy)
    {
        var compiled = CompiledPolicy.Compile(policy.Source, policy.Document, policy.Scope);
        return policy.Scope == PolicyScope.Service
            ? new AccessPolicy(_service.SetItem(policy.Name, compiled), _keys, _grants)
            : new AccessPolicy(_service, _keys.SetItem(policy.Name, compiled), _grants, _byAction);
    }

    internal AccessPolicy Without(PolicyScope scope, string name) => scope == PolicyScope.Service
        ? new AccessPolicy(_service.Remove(name), _keys, _grants)
        : new AccessPolicy(_service, _keys.Remove(name), _grants, _byAction);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    internal AccessPolicy With(Grant grant) => WithGrants(grant.KeyId, [.. Others(grant), CompiledGrant.Compile(grant)]);

    internal AccessPolicy Without(Grant grant) => WithGrants(grant.KeyId, [.. Others(grant)]);

    /// <summary>Limits about the request's action, of the service and of its key; they bind everybody but the service itself.</summary>
    internal CompiledStatement[] LimitsOn(in AccessRequest request)
    {
        if (ReferenceEquals(request.Caller, Caller.Service))
            return [];
        var service = _byAction.Value.GetValueOrDefault(request.Action, ActionStatements.None).Limits;
        if (request.Facts.Key is not { } subject || _keys.GetValueOrDefault(subject.Id) is not { Limits.Length: > 0 } key)
            return service;
        var action = request.Action;
        return [.. service, .. key.Limits.Where(l => l.Actions.Contains(action))];
    }

    internal IEnumerable<Grant> GrantsOf(string keyId) => _grants.GetValueOrDefault(keyId, []).Select(g => g.Grant);

    internal Ruling Decide(in AccessRequest request)
    {
        if (ReferenceEquals(request.Caller, Caller.Service))
            return Ruling.Allowed("service");
        var service = _byAction.Value.GetValueOrDefault(request.Action, ActionStatements.None);
        var key = request.Facts.Key is { } subject ? _keys.GetValueOrDefault(subject.Id) : null;

        if ((First(service.Denials, request) ?? First(key?.Denials, request)) is { } denial)
            return Ruling.Denied(denial.Name);
        foreach (var role in request.Caller.Roles)
        {
            if (role.Allows(request.Action))
                return Ruling.Allowed(role.PolicyName());
        }

        if ((First(key?.Allowances, request) ?? First(service.Allowances, request)) is { } allowance)
            return Ruling.Allowed(allowance.Name);
        if (request.Facts.Approval is { } asked && string.Equals(request.Action, Access.Actions.ApprovalsRead, StringComparison.Ordinal)
            && string.Equals(asked.Requester, request.Caller.Principal, StringComparison.Ordinal))
        {
            return Ruling.Allowed($"approval/{asked.Id}");
        }

        return request.Facts.Key is { } granted ? DecideByGrant(granted.Id, request) : Ruling.Silence;
    }

    /// <summary>A grant whose uses are counted is the last resort: none is spent without need.</summary>
    private Ruling DecideByGrant(string keyId, in AccessRequest request)
    {
        // A grantee can always give back what was granted.
        if (request.Facts.Grant is { } subject && string.Equals(request.Action, Actions.GrantsRetire, StringComparison.Ordinal)
            && Wildcard.Matches(subject.Grantee, request.Caller.Principal))
        {
            return Ruling.Allowed($"grant/{subject.Id}");
        }

        CompiledGrant? counted = null;
        foreach (var grant in _grants.GetValueOrDefault(keyId, []))
        {
            if (!grant.Allows(request))
                continue;
            if (grant.Grant.MaxUses is null)
                return Ruling.Allowed(grant.Name);
            counted ??= grant;
        }

        return counted is null ? Ruling.Silence : Ruling.Allowed(counted.Name) with { Grant = counted.Grant };
    }

    private IEnumerable<CompiledGrant> Others(Grant grant) =>
        _grants.GetValueOrDefault(grant.KeyId, []).Where(g => !string.Equals(g.Grant.Id, grant.Id, StringComparison.Ordinal));

    private AccessPolicy WithGrants(string keyId, ImmutableArray<CompiledGrant> grants) =>
        new(_service, _keys, grants.IsEmpty ? _grants.Remove(keyId) : _grants.SetItem(keyId, grants), _byAction);

    private static CompiledStatement? First(CompiledStatement[]? statements, in AccessRequest request)
    {
        if (statements is null)
            return null;
        foreach (var statement in statements)
        {
            if (statement.Actions.Contains(request.Action) && statement.Matches(request))
                return statement;
        }

        return null;
    }

    private SigningException Refusal(in AccessRequest request)
    {
        var asked = request with { Action = Actions.PoliciesRead };
        return Forbidden(Explain(request).Reason, isShown: Allows(asked));
    }

    /// <summary>The service policies' statements that speak of one action.</summary>
    private sealed record ActionStatements(CompiledStatement[] Denials, CompiledStatement[] Allowances, CompiledStatement[] Limits)
    {
        public static readonly ActionStatements None = new([], [], []);

        public static ActionStatements Of(string action, IEnumerable<CompiledPolicy> policies)
        {
            var statements = policies.SelectMany(p => p.Statements).Where(s => s.Actions.Contains(action)).ToArray();
            CompiledStatement[] Of(PolicyEffect effect) => [.. statements.Where(s => s.Effect == effect)];
            return new ActionStatements(Of(PolicyEffect.Deny), Of(PolicyEffect.Allow), Of(PolicyEffect.Limit));
        }
    }
}

/// <param name="By">The statement that decided; empty where none did.</param>
/// <param name="Grant">Of which a use has to be spent.</param>
internal readonly record struct Ruling(bool IsAllowed, string By, Grant? Grant = null)
{
    public static readonly Ruling Silence = new(IsAllowed: false, "");

    public static Ruling Allowed(string by) => new(IsAllowed: true, by);

    public static Ruling Denied(string by) => new(IsAllowed: false, by);
}
