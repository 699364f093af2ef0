using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Limits;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing.Access;

/// <summary>
/// The frame around everything a caller asks for except signing (which has its own, faster, in <see cref="Signer"/>):
/// authorise, act, record, answer. A refusal is on record before the caller hears of it.
/// </summary>
public sealed class Decisions(AuditLog audit, LiveSnapshot live, TimeProvider time)
{
    private readonly ApprovalGate _approvals = new(live, time);
    private readonly CallerBudgets _budgets = new(time);
    private readonly LimitRefusals _limitRefusals = new(audit, time);

    /// <summary>Callers' budgets in memory, of which <see cref="CallerBudgets"/> bounds the number.</summary>
    public int CallerBudgetsKept => _budgets.Kept;

    public AuditRecord Draft(Caller caller, string action, string? resource = null) => DraftAt(time.GetUtcNow(), caller, action, resource);

    /// <summary>By its name, however it is referred to: policies and rules speak of names.</summary>
    public AuditRecord DraftOfCredential(Caller caller, string action, string reference) =>
        Draft(caller, action, Resource("credential", live.Current.Credential(reference)?.Name ?? reference));

    internal static AuditRecord DraftAt(DateTimeOffset now, Caller caller, string action, string? resource) => new()
    {
        At = now,
        Caller = caller.Principal,
        Action = action,
        Outcome = AuditOutcome.Allowed,
        Resource = resource,
        Address = caller.Address,
        TraceId = caller.TraceId,
    };

    /// <summary>
    /// What was asked for, as <see cref="AuditRecord.Resource"/> has it. A reference that is too long to be one of ours
    /// is cut: nobody fills the audit with names that he makes up.
    /// </summary>
    public static string Resource(string kind, string reference) =>
        reference.Length <= KeyName.MaxLength ? $"{kind}/{reference}" : $"{kind}/{reference.AsSpan(0, KeyName.MaxLength)}…";

    /// <summary>For what only reads: the record is durable before the result leaves.</summary>
    /// <exception cref="SigningException">As thrown by <paramref name="read"/>, with its audit id; <see cref="SigningFault.Forbidden"/>.</exception>
    public async Task<T> ReadAsync<T>(
        Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> read, CancellationToken cancellationToken, AccessFacts facts = default)
    {
        var result = await ActAsync(caller, draft, read, facts, subject: null);
        await audit.AppendAsync(draft, cancellationToken);
        return result;
    }

    /// <summary>For what changes: <paramref name="change"/> commits the draft, completed, together with its change.</summary>
    /// <exception cref="SigningException">As thrown by <paramref name="change"/>, with its audit id; <see cref="SigningFault.Forbidden"/>.</exception>
    /// <param name="facts">What policies may ask for; the key of the draft is added.</param>
    /// <param name="subject">All that is asked for, where rules can ask for its approval (see <see cref="ApprovalRule.Approvable"/>); null from it: it will be refused anyway.</param>
    public Task<T> ChangeAsync<T>(
        Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> change, AccessFacts facts = default, Func<ApprovalSubject?>? subject = null) =>
        ActAsync(caller, draft, change, facts, subject);

    /// <summary>For signatures: returns when their approval, where rules ask for one, is used up.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.ApprovalRequired"/>.</exception>
    internal ValueTask<Permit> SpendApprovalAsync(Permit permit, ApprovalSubject subject, CancellationToken cancellationToken) =>
        _approvals.SpendAsync(permit, subject, cancellationToken);

    /// <summary>Invariant 6: to a caller who may not list keys, an unknown key looks like a forbidden one.</summary>
    public SigningException UnknownKey(Caller caller) => Unknown(caller, "There is no such key.");

    /// <inheritdoc cref="UnknownKey"/>
    public SigningException Unknown(Caller caller, string message) =>
        Allows(caller, Actions.KeysList, resource: null)
            ? new SigningException(SigningFault.NotFound, message)
            : AccessPolicy.Forbidden();

    /// <summary>Nobody gives more than they hold: to be asked where a credential is made, or gets a new secret.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>.</exception>
    public void RefuseTakingOver(Caller caller, string principal, IEnumerable<Role> roles)
    {
        var snapshot = live.Current;
        snapshot.Access.RefuseTakingOver(caller, principal, roles, snapshot.Keys, time.GetUtcNow());
    }

    /// <summary>For what depends on a further permission, which is not on record of its own.</summary>
    public bool Allows(Caller caller, string action, string? resource) =>
        live.Current.Access.Allows(Ask(caller, action, resource, default));

    /// <summary>Whether a list shows the key to this caller.</summary>
    public bool MayRead(Caller caller, Key key) =>
        live.Current.Access.Allows(Ask(caller, Actions.KeysRead, resource: null, new AccessFacts { Key = key }));

    /// <summary>A further permission that a request needs as a whole. Approvals are asked for one act each, so it must need none.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>; <see cref="SigningFault.RateLimited"/>; <see cref="SigningFault.InvalidRequest"/>: rules ask for its approval.</exception>
    public void RequireAlso(Caller caller, string action, string resource)
    {
        var snapshot = live.Current;
        var request = Ask(caller, action, resource, default);
        Authorise(snapshot, request);
        if (!ReferenceEquals(caller, Caller.Service) && snapshot.ApprovalRulesFor(request).Count > 0)
            throw new SigningException(SigningFault.InvalidRequest, $"Others have to approve {resource}: ask for it by itself.");
    }

    /// <summary>The same act as it touches something further: policies alone are asked, for it counts once and is approved as one.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>.</exception>
    internal void RequirePolicy(Caller caller, string action, string resource, in AccessFacts facts) =>
        live.Current.Access.Authorise(Ask(caller, action, resource, facts));

    /// <summary>The question to the policies, as of now.</summary>
    /// <param name="resource">Null: the key of <paramref name="facts"/>, or all of the action's kind where there is none.</param>
    public AccessRequest Ask(Caller caller, string action, string? resource, in AccessFacts facts) => new()
    {
        Caller = caller,
        Action = action,
        At = time.GetUtcNow(),
        Resource = resource ?? (facts.Key is null ? AllOf(action) : null),
        Facts = facts,
    };

    /// <summary>For what has a frame of its own.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>; it is not on record yet.</exception>
    public Permit Authorise(Caller caller, AuditRecord draft, AccessFacts facts = default)
    {
        var snapshot = live.Current;
        if (facts.Key is null && draft.KeyId is { } id && snapshot.Keys.TryGet(id, out var key))
            facts = facts with { Key = key };
        return Authorise(snapshot, Ask(caller, draft.Action, draft.Resource, facts));
    }

    /// <summary>Within the caller's limits, and allowed.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.RateLimited"/>; <see cref="SigningFault.Forbidden"/>.</exception>
    internal Permit Authorise(Snapshot snapshot, in AccessRequest request)
    {
        var limits = snapshot.Access.LimitsOn(request);
        if (limits.Length == 0)
            return snapshot.Access.Authorise(request);
        if (_budgets.Take(limits, request, isDecided: false) is { } beforehand)
            throw OverLimit(snapshot, request, beforehand.Limit.Name, beforehand.Wait);
        var permit = snapshot.Access.Authorise(request);
        if (_budgets.Take(limits, request, isDecided: true) is { } refused)
        {
            _budgets.Return(limits, request, isDecided: false);
            throw OverLimit(snapshot, request, refused.Limit.Name, refused.Wait);
        }

        return permit;
    }

    /// <summary>What the limits leave on this node.</summary>
    internal IEnumerable<LimitStanding> LimitsOn(AccessRequest request) => _budgets.Standing(live.Current.Access.LimitsOn(request), request);

    /// <summary>Puts a refusal on record and gives it its audit id.</summary>
    public async Task RecordRefusalAsync(AuditRecord draft, SigningException refusal)
    {
        // Where the log itself is the fault, there is nothing to write to; and whoever gave up waiting is on record too.
        if (refusal.Fault is SigningFault.AuditUnavailable)
            return;
        var record = Refused(draft, refusal);
        if (IsToRecord(record, refusal))
            refusal.AuditId = await audit.AppendAsync(record, CancellationToken.None);
    }

    /// <returns>False: a record tells of it together with others; see <see cref="LimitRefusals"/>.</returns>
    internal bool IsToRecord(AuditRecord record, SigningException? refusal) =>
        refusal?.Limit is not { } limit || _limitRefusals.IsToRecord(record, limit);

    public static AuditRecord Refused(AuditRecord draft, SigningException refusal) => draft with
    {
        Outcome = refusal.Fault is SigningFault.Forbidden or SigningFault.Unauthenticated or SigningFault.RateLimited or SigningFault.ApprovalRequired
            ? AuditOutcome.Denied
            : AuditOutcome.Failed,
        Fault = refusal.Fault,
        Detail = refusal.Reason is null ? refusal.Message : $"{refusal.Message} {refusal.Reason}",
        BackendRequestId = refusal.BackendRequestId ?? CallTrail.Current ?? draft.BackendRequestId,
    };

    private async Task<T> ActAsync<T>(Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> act, AccessFacts facts, Func<ApprovalSubject?>? subject)
    {
        using var trail = CallTrail.Begin();
        try
        {
            var permit = Authorise(caller, draft, facts);
            if (!live.Current.ApprovalRules.IsEmpty && subject?.Invoke() is { } asked)
                permit = await _approvals.RequireAsync(permit, asked, CancellationToken.None);
            return await act(permit);
        }
        catch (SigningException e)
        {
            await RecordRefusalAsync(draft, e);
            throw;
        }
    }

    private static SigningException OverLimit(Snapshot snapshot, in AccessRequest request, string limit, TimeSpan wait)
    {
        SigningMeters.Limited(request.Action, limit);
        var mayKnow = snapshot.Access.Allows(request with { Action = Actions.PoliciesRead });
        return new SigningException(SigningFault.RateLimited, $"This is more than your share: ask again later.{(mayKnow ? $" {limit} limits it." : "")}")
        {
            Limit = limit,
            Reason = mayKnow ? null : $"{limit} limits it.",
            RetryAfter = wait,
        };
    }

    /// <summary>What a listing asks for: all of a kind.</summary>
    private static string? AllOf(string action) => action switch
    {
        Actions.KeysList or Actions.KeysCreate => "key/*",
        Actions.ProfilesRead => "profile/*",
        Actions.CredentialsRead or Actions.CredentialsCreate => "credential/*",
        Actions.PoliciesRead => "policy/*",
        Actions.AuditRead => "audit/*",
        _ => null,
    };
}
