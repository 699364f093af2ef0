using System.Globalization;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Approvals;

/// <summary>
/// Stands between what was permitted and what is done: where rules ask for approval, only a request that was approved, as
/// it stands, goes on, and once. Bounds are for each node: they keep the store from being filled, and are no promise.
/// </summary>
internal sealed class ApprovalGate(LiveSnapshot live, TimeProvider time)
{
    /// <summary>Expired ones that a new one clears away.</summary>
    private const int MaxCleared = 50;

    private const int Attempts = 16;

    private readonly Lock _gate = new();

    /// <summary>Being made now, by their callers.</summary>
    private readonly Dictionary<string, int> _making = new(StringComparer.Ordinal);

    /// <summary>Goes on where no rule asks for approval, or where it was given: then the change that is made under the permit uses it up in its own commit.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.ApprovalRequired"/>; <see cref="SigningFault.Forbidden"/>: it was rejected.</exception>
    public async ValueTask<Permit> RequireAsync(Permit permit, ApprovalSubject subject, CancellationToken cancellationToken)
    {
        if (!IsNeeded(live.Current, permit.Caller, subject))
            return permit;
        var hash = subject.Hash();
        var standing = await FindOrMakeAsync(permit.Caller, subject, hash, cancellationToken);
        return standing.State switch
        {
            ApprovalState.Approved => permit.With(standing.Approval),
            ApprovalState.Rejected => throw Rejected(standing.Approval),
            _ => throw Required(standing, OfAnotherVersion(live.Current, permit.Caller, subject)),
        };
    }

    /// <summary>For what is no change: the approval is used up before this returns, so that over crashes and nodes it is used at most once.</summary>
    /// <inheritdoc cref="RequireAsync"/>
    public async ValueTask<Permit> SpendAsync(Permit permit, ApprovalSubject subject, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var approved = await RequireAsync(permit, subject, cancellationToken);
            if (approved.Approval is not { } approval)
                return approved;
            var use = new Permit(permit.Caller, Actions.ApprovalsUse, Ruling.Allowed(permit.By)).With(approval);
            var record = Draft(permit.Caller, Actions.ApprovalsUse, subject) with { Detail = $"approval {approval.Id} used for {subject.Action}" };
            try
            {
                await live.ChangeAsync(use, record, cancellationToken);
                return approved;
            }
            catch (SigningException e) when (e.Fault is SigningFault.Conflict or SigningFault.Forbidden && attempt < Attempts)
            {
                // Another request was faster, or somebody rejected it at the last moment.
                await live.RefreshAsync(cancellationToken);
            }
        }
    }

    /// <summary>Uses up the permit's approval with a change, in one commit.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.Forbidden"/>: it is not good any more.</exception>
    public static Change Use(Approval approval, Snapshot basis, DateTimeOffset now) =>
        basis.Approvals.TryGetValue(approval.Id, out var current) && ApprovalStanding.Of(current, basis, now).State == ApprovalState.Approved
            ? (current with { UsedAt = now }).Put(basis)
            : throw AccessPolicy.Forbidden($"The approval {approval.Id} was used, rejected or expired meanwhile.", isShown: true);

    private static bool IsNeeded(Snapshot snapshot, Caller caller, ApprovalSubject subject) =>
        !snapshot.ApprovalRules.IsEmpty && !ReferenceEquals(caller, Caller.Service)
        && snapshot.ApprovalRulesFor(new AccessRequest
        {
            Caller = caller,
            Action = subject.Action,
            At = default,
            Resource = subject.Resource,
            Facts = new AccessFacts { Key = subject.KeyIn(snapshot) },
        }).Count > 0;

    private async ValueTask<ApprovalStanding> FindOrMakeAsync(Caller caller, ApprovalSubject subject, string hash, CancellationToken cancellationToken)
    {
        if (Find(live.Current, caller, hash) is { } known)
            return known;
        Reserve(caller);
        try
        {
            for (var attempt = 1; ; attempt++)
            {
                var basis = live.Current;
                if (Find(basis, caller, hash) is { } meanwhile)
                    return meanwhile;
                try
                {
                    return await MakeAsync(basis, caller, subject, hash, cancellationToken);
                }
                catch (SigningException e) when (e.Fault is SigningFault.Conflict or SigningFault.NameTaken && attempt < Attempts)
                {
                    await live.RefreshAsync(cancellationToken);
                }
            }
        }
        finally
        {
            Release(caller);
        }
    }

    private void Reserve(Caller caller)
    {
        var now = time.GetUtcNow();
        lock (_gate)
        {
            var kept = live.Current.Approvals.Values.Where(a => !a.IsOver(now)).ToArray();
            var own = _making.GetValueOrDefault(caller.Principal);
            if (kept.Length + _making.Values.Sum() >= ApprovalDecisions.MaxKept)
                throw new SigningException(SigningFault.Overloaded, $"{ApprovalDecisions.MaxKept} approvals are kept, which is as many as there may be.");
            if (kept.Count(a => a.UsedAt is null && string.Equals(a.Requester, caller.Principal, StringComparison.Ordinal)) + own >= ApprovalDecisions.MaxPending)
                throw new SigningException(SigningFault.RateLimited, $"{ApprovalDecisions.MaxPending} of your requests wait for approval, which is as many as may.");
            _making[caller.Principal] = own + 1;
        }
    }

    private void Release(Caller caller)
    {
        lock (_gate)
        {
            if (--_making[caller.Principal] == 0)
                _making.Remove(caller.Principal);
        }
    }

    private async ValueTask<ApprovalStanding> MakeAsync(
        Snapshot basis, Caller caller, ApprovalSubject subject, string hash, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var approval = new Approval
        {
            Id = Guid.CreateVersion7(now).ToString(),
            Subject = subject,
            Hash = hash,
            Requester = caller.Principal,
            RequesterPerson = caller.Person,
            CreatedAt = now,
            ExpiresAt = now.AddHours(1),
        };
        var standing = ApprovalStanding.Of(approval, basis, now);
        approval = approval with { ExpiresAt = now.AddSeconds(standing.Rules.IsEmpty ? 3600 : standing.Rules.Min(r => r.ExpiresAfterSeconds)) };
        var isSame = (Approval a) => string.Equals(a.Hash, hash, StringComparison.Ordinal) && string.Equals(a.Requester, caller.Principal, StringComparison.Ordinal);
        // An expired one for the same has to go first, to leave its name.
        var expired = basis.Approvals.Values.Where(a => a.IsOver(now)).OrderBy(a => isSame(a) ? 0 : 1).Take(MaxCleared);
        var permit = new Permit(caller, Actions.ApprovalsRequest, Ruling.Allowed("request"));
        var record = Draft(caller, Actions.ApprovalsRequest, subject) with
        {
            Detail = string.Create(CultureInfo.InvariantCulture, $"approval {approval.Id} asked for: {subject.Action}, {standing.Required} required, request {hash}"),
            ExpiresAt = approval.ExpiresAt,
        };
        await live.ChangeAsync(permit, record, cancellationToken, [.. expired.Select(a => a.Remove(basis)), approval.Put(basis)]);
        return standing with { Approval = approval };
    }

    private ApprovalStanding? Find(Snapshot snapshot, Caller caller, string hash)
    {
        var now = time.GetUtcNow();
        foreach (var approval in snapshot.Approvals.Values)
        {
            if (approval.UsedAt is null && !approval.IsOver(now) && string.Equals(approval.Hash, hash, StringComparison.Ordinal)
                && string.Equals(approval.Requester, caller.Principal, StringComparison.Ordinal))
            {
                return ApprovalStanding.Of(approval, snapshot, now);
            }
        }

        return null;
    }

    private AuditRecord Draft(Caller caller, string action, ApprovalSubject subject)
    {
        var key = subject.KeyIn(live.Current);
        return Decisions.DraftAt(time.GetUtcNow(), caller, action, key is null ? subject.Resource : null) with
        {
            KeyId = key?.Id,
            KeyName = key?.Name,
            Digest = subject.Digest,
            Context = subject.Context,
        };
    }

    /// <summary>The same request, approved for a version that does not sign it any more: whoever asked would not see why it counts no longer.</summary>
    private Approval? OfAnotherVersion(Snapshot snapshot, Caller caller, ApprovalSubject subject)
    {
        var now = time.GetUtcNow();
        return subject.Kid is null
            ? null
            : snapshot.Approvals.Values.Where(a =>
                a.UsedAt is null && !a.IsOver(now) && string.Equals(a.Requester, caller.Principal, StringComparison.Ordinal)
                && a.Subject.Kid is { } kid && !string.Equals(kid, subject.Kid, StringComparison.Ordinal)
                && string.Equals(a.Subject.Digest, subject.Digest, StringComparison.Ordinal)
                && string.Equals((a.Subject with { Version = subject.Version, Kid = subject.Kid }).Hash(), subject.Hash(), StringComparison.Ordinal)
                && ApprovalStanding.Of(a, snapshot, now).State == ApprovalState.Approved)
                .Max(Approval.ByAge);
    }

    /// <param name="superseded">Null, or what was approved for another version.</param>
    private static SigningException Required(ApprovalStanding standing, Approval? superseded)
    {
        var why = superseded is null
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $"The approval {superseded.Id} is for version {superseded.Subject.Version}, and version {standing.Approval.Subject.Version} would sign now. ");
        return new SigningException(
            SigningFault.ApprovalRequired,
            $"{why}This needs the approval of {standing.Required}: it is asked for as {standing.Approval.Id}. Repeat the request when it is given, before {standing.Approval.ExpiresAt:u}.")
        {
            Approval = standing,
        };
    }

    private static SigningException Rejected(Approval approval) => new(
        SigningFault.Forbidden, $"The approval {approval.Id} was refused by {approval.Rejection!.Principal}: {approval.Rejection.Reason}");
}
