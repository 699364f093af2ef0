using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Access;

/// <summary>
/// The frame around everything a caller asks for except signing (which has its own, faster, in <see cref="Signer"/>):
/// authorise, act, record, answer. A refusal is on record before the caller hears of it.
/// </summary>
public sealed class Decisions(AuditLog audit, TimeProvider time)
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
        var result = await ActAsync(caller, draft, read);
        await audit.AppendAsync(draft, cancellationToken);
        return result;
    }

    /// <summary>For what changes: <paramref name="change"/> commits the draft, completed, together with its change.</summary>
    /// <exception cref="SigningException">As thrown by <paramref name="change"/>, with its audit id; <see cref="SigningFault.Forbidden"/>.</exception>
    public Task<T> ChangeAsync<T>(Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> change) =>
        ActAsync(caller, draft, change);

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
        Detail = refusal.Message,
        BackendRequestId = refusal.BackendRequestId ?? CallTrail.Current ?? draft.BackendRequestId,
    };

    private async Task<T> ActAsync<T>(Caller caller, AuditRecord draft, Func<Permit, ValueTask<T>> act)
    {
        using var trail = CallTrail.Begin();
        try
        {
            return await act(AccessPolicy.Authorise(caller, draft.Action));
        }
        catch (SigningException e)
        {
            await RecordRefusalAsync(draft, e);
            throw;
        }
    }
}
