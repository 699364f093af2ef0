using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access;

/// <summary>
/// The frame around everything a caller asks for except signing (which has its own, faster, in <see cref="Signer"/>):
/// authorise, act, record, answer. A refusal is on record before the caller hears of it.
/// </summary>
public sealed class Decisions(AuditLog audit, LiveSnapshot live, TimeProvider time)
{
    public AuditRecord Draft(Caller caller, string action, string? resource = null) => new()
    {
        At = time.GetUtcNow(),
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
        Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> read, CancellationToken cancellationToken)
    {
        var result = await ActAsync(caller, draft, read, facts: default);
        await audit.AppendAsync(draft, cancellationToken);
        return result;
    }

    /// <summary>For what changes: <paramref name="change"/> commits the draft, completed, together with its change.</summary>
    /// <exception cref="SigningException">As thrown by <paramref name="change"/>, with its audit id; <see cref="SigningFault.Forbidden"/>.</exception>
    /// <param name="facts">What policies may ask for; the key of the draft is added.</param>
    public Task<T> ChangeAsync<T>(Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> change, AccessFacts facts = default) =>
        ActAsync(caller, draft, change, facts);

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
        return snapshot.Access.Authorise(Ask(caller, draft.Action, draft.Resource, facts));
    }

    /// <summary>Puts a refusal on record and gives it its audit id.</summary>
    public async Task RecordRefusalAsync(AuditRecord draft, SigningException refusal)
    {
        // Where the log itself is the fault, there is nothing to write to; and whoever gave up waiting is on record too.
        if (refusal.Fault is SigningFault.AuditUnavailable)
            return;
        refusal.AuditId = await audit.AppendAsync(Refused(draft, refusal), CancellationToken.None);
    }

    public static AuditRecord Refused(AuditRecord draft, SigningException refusal) => draft with
    {
        Outcome = refusal.Fault is SigningFault.Forbidden or SigningFault.Unauthenticated or SigningFault.RateLimited
            ? AuditOutcome.Denied
            : AuditOutcome.Failed,
        Fault = refusal.Fault,
        Detail = refusal.Reason is null ? refusal.Message : $"{refusal.Message} {refusal.Reason}",
        BackendRequestId = refusal.BackendRequestId ?? CallTrail.Current ?? draft.BackendRequestId,
    };

    private async Task<T> ActAsync<T>(Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> act, AccessFacts facts)
    {
        using var trail = CallTrail.Begin();
        try
        {
            return await act(Authorise(caller, draft, facts));
        }
        catch (SigningException e)
        {
            await RecordRefusalAsync(draft, e);
            throw;
        }
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
