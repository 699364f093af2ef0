using System.Collections.Immutable;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing.Access.Approvals;

/// <summary>Approvals as people see them: listed, read, given, refused, and done without in an emergency.</summary>
public sealed class ApprovalDecisions(LiveSnapshot live, Decisions decisions, TimeProvider time)
{
    /// <summary>In all, those used and rejected too, until they expire.</summary>
    public const int MaxKept = 1000;

    /// <summary>Of one caller.</summary>
    public const int MaxPending = 50;

    public const int MaxReasonLength = 1000;

    private const int Attempts = 16;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(200);

    /// <summary>The newest first, for as long as they are kept.</summary>
    /// <param name="state">Null: all.</param>
    /// <param name="after">The id that ended the page before; null: from the newest.</param>
    public Task<ImmutableArray<ApprovalStanding>> ListAsync(
        Caller caller, ApprovalState? state, int limit, string? after, CancellationToken cancellationToken) =>
        decisions.ReadAsync(
            caller, decisions.Draft(caller, Actions.ApprovalsRead, "approval/*"),
            _ =>
            {
                var basis = live.Current;
                var now = time.GetUtcNow();
                // One that is kept no more leaves its id, which is of its millisecond.
                var last = after is null ? null : basis.Approvals.GetValueOrDefault(after);
                return ValueTask.FromResult(basis.Approvals.Values
                    .Where(a => after is null || (last is null ? string.CompareOrdinal(a.Id, after) : Approval.ByAge.Compare(a, last)) < 0)
                    .OrderDescending(Approval.ByAge)
                    .Select(a => ApprovalStanding.Of(a, basis, now))
                    .Where(a => state is null || a.State == state)
                    .Take(limit).ToImmutableArray());
            },
            cancellationToken);

    /// <summary>Whoever asked may always read it.</summary>
    /// <param name="wait">Returns as soon as it is pending no more, at the latest after this.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>.</exception>
    public Task<ApprovalStanding> ReadAsync(Caller caller, string id, TimeSpan wait, CancellationToken cancellationToken)
    {
        var (known, draft, facts) = DraftOf(caller, Actions.ApprovalsRead, id);
        return decisions.ReadAsync(
            caller, draft,
            async _ =>
            {
                if (known is null)
                    throw NoSuchApproval();
                var started = time.GetTimestamp();
                while (true)
                {
                    var standing = Standing(id);
                    if (standing.State != ApprovalState.Pending || time.GetElapsedTime(started) >= wait)
                        return standing;
                    await Task.Delay(Look, time, cancellationToken);
                }
            },
            cancellationToken, facts);
    }

    /// <summary>Who has approved already counts no more for doing it again.</summary>
    /// <exception cref="SigningException">
    /// <see cref="SigningFault.Forbidden"/>: it is the caller's own request, or no rule names the caller; <see cref="SigningFault.KeyNotUsable"/>: nothing is pending.
    /// </exception>
    public Task<ApprovalStanding> ApproveAsync(Caller caller, string id, string? reason, CancellationToken cancellationToken) =>
        DecideAsync(
            caller, Actions.ApprovalsDecide, id, reason, "approved",
            (standing, vote) =>
            {
                RefuseUnlessEligible(caller, standing);
                return standing.Approval.Votes.Any(v => v.IsBy(caller))
                    ? null
                    : standing.Approval with { Votes = standing.Approval.Votes.Add(vote) };
            },
            cancellationToken);

    /// <summary>One refusal is enough, also of what was approved and not yet used.</summary>
    /// <inheritdoc cref="ApproveAsync"/>
    public Task<ApprovalStanding> RejectAsync(Caller caller, string id, string reason, CancellationToken cancellationToken) =>
        DecideAsync(
            caller, Actions.ApprovalsDecide, id, Needed(reason), "rejected",
            (standing, vote) =>
            {
                // Whoever asked can take the request back.
                if (!standing.Approval.IsBy(caller))
                    RefuseUnlessEligible(caller, standing);
                return standing.Approval with { Rejection = vote };
            },
            cancellationToken);

    /// <summary>For emergencies: goes on without the approvals that the rules ask for. The request is bound and used once all the same.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.KeyNotUsable"/>: nothing is pending.</exception>
    public async Task<ApprovalStanding> BreakGlassAsync(Caller caller, string id, string reason, CancellationToken cancellationToken)
    {
        var broken = await DecideAsync(
            caller, Actions.ApprovalsBreakGlass, id, Needed(reason), "BREAK-GLASS: goes on without approval",
            (standing, vote) => standing.State == ApprovalState.Pending
                ? standing.Approval with { BrokenGlass = vote }
                : throw new SigningException(SigningFault.Conflict, "The approval is given already: there is no glass to break."),
            cancellationToken);
        SigningMeters.BrokeGlass();
        return broken;
    }

    private Task<ApprovalStanding> DecideAsync(
        Caller caller, string action, string id, string? reason, string what, Func<ApprovalStanding, ApprovalVote, Approval?> decide,
        CancellationToken cancellationToken)
    {
        var (known, draft, _) = DraftOf(caller, action, id);
        return decisions.ChangeAsync(
            caller, draft,
            async permit =>
            {
                if (known is null)
                    throw NoSuchApproval();
                if (reason is { Length: > MaxReasonLength } || reason?.Any(char.IsControl) == true)
                    throw new SigningException(SigningFault.InvalidRequest, $"A reason has at most {MaxReasonLength} characters and no control characters.");
                for (var attempt = 1; ; attempt++)
                {
                    var basis = live.Current;
                    var standing = Standing(id);
                    if (standing.State is not (ApprovalState.Pending or ApprovalState.Approved))
                        throw new SigningException(SigningFault.Conflict, $"The approval is {standing.State.ToString().ToLowerInvariant()}: there is nothing to decide.");
                    var vote = new ApprovalVote(caller.Principal, caller.Person, time.GetUtcNow(), reason);
                    var decided = decide(standing, vote);
                    var record = draft with { Detail = $"approval {id} of {standing.Approval.Subject.Action} for {standing.Approval.Requester} {what}{(decided is null ? ", counted already" : "")}{(reason is null ? "" : $": {reason}")}" };
                    try
                    {
                        await live.ChangeAsync(permit, record, cancellationToken, (decided ?? standing.Approval).Put(basis));
                        return Standing(id);
                    }
                    catch (SigningException e) when (e.Fault == SigningFault.Conflict && attempt < Attempts)
                    {
                        await live.RefreshAsync(cancellationToken);
                    }
                }
            });
    }

    private static void RefuseUnlessEligible(Caller caller, ApprovalStanding standing)
    {
        if (standing.Approval.IsBy(caller))
            throw AccessPolicy.Forbidden("Nobody approves their own request.", isShown: true);
        if (!standing.Rules.Any(r => r.IsApprover(caller.Principal)))
            throw AccessPolicy.Forbidden("No rule about this request names you as an approver.", isShown: true);
    }

    private ApprovalStanding Standing(string id)
    {
        var basis = live.Current;
        return basis.Approvals.TryGetValue(id, out var approval)
            ? ApprovalStanding.Of(approval, basis, time.GetUtcNow())
            : throw NoSuchApproval();
    }

    private (Approval? Known, AuditRecord Draft, AccessFacts Facts) DraftOf(Caller caller, string action, string id)
    {
        var basis = live.Current;
        var known = basis.Approvals.GetValueOrDefault(id);
        var key = known?.Subject.KeyIn(basis);
        var resource = known is null ? Decisions.Resource("approval", id) : key is null ? known.Subject.Resource : null;
        var draft = decisions.Draft(caller, action, resource) with
        {
            KeyId = key?.Id,
            KeyName = key?.Name,
            Detail = known is null ? null : $"approval {id}",
        };
        return (known, draft, new AccessFacts { Key = key, Approval = known });
    }

    private static string Needed(string reason) =>
        string.IsNullOrWhiteSpace(reason) ? throw new SigningException(SigningFault.InvalidRequest, "Give a reason.") : reason;

    private static SigningException NoSuchApproval() => new(SigningFault.NotFound, "There is no such approval.");
}
