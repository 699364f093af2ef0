using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Access.Approvals;

public enum ApprovalState
{
    /// <summary>More have to approve.</summary>
    Pending,

    /// <summary>The same request, made again by the same caller, is carried out.</summary>
    Approved,

    Rejected,

    /// <summary>It was carried out, or tried: an approval is good for once.</summary>
    Used,

    Expired,
}

/// <param name="Person">See <see cref="Caller.Person"/>.</param>
public sealed record ApprovalVote(string Principal, string Person, DateTimeOffset At, string? Reason = null)
{
    /// <summary>One is the same by either: nobody counts twice.</summary>
    internal bool IsBy(Caller caller) =>
        string.Equals(Principal, caller.Principal, StringComparison.Ordinal) || string.Equals(Person, caller.Person, StringComparison.Ordinal);
}

/// <summary>One request that waits for the approval of others. It is a document, so that it outlives restarts and is used once over all nodes.</summary>
public sealed record Approval
{
    /// <summary>From the oldest on. Ids alone are in no order within a millisecond.</summary>
    internal static readonly Comparer<Approval> ByAge = Comparer<Approval>.Create((a, b) =>
        a.CreatedAt.CompareTo(b.CreatedAt) is var order && order != 0 ? order : string.CompareOrdinal(a.Id, b.Id));

    /// <summary>UUID version 7.</summary>
    public required string Id { get; init; }

    public required ApprovalSubject Subject { get; init; }

    /// <summary>SHA-256 of the subject, in hex.</summary>
    public required string Hash { get; init; }

    /// <summary>Who asked: nobody else can use the approval.</summary>
    public required string Requester { get; init; }

    public required string RequesterPerson { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset ExpiresAt { get; init; }

    public ImmutableArray<ApprovalVote> Votes { get; init; } = [];

    public ApprovalVote? Rejection { get; init; }

    /// <summary>Somebody took it upon themselves: the rules are not asked.</summary>
    public ApprovalVote? BrokenGlass { get; init; }

    public DateTimeOffset? UsedAt { get; init; }

    internal bool IsBy(Caller caller) =>
        string.Equals(Requester, caller.Principal, StringComparison.Ordinal) || string.Equals(RequesterPerson, caller.Person, StringComparison.Ordinal);

    internal bool IsOver(DateTimeOffset now) => now >= ExpiresAt;

    internal Change Put(Snapshot basis) => new(
        DocumentKind.Approval, Id, basis.DocumentVersion(DocumentKind.Approval, Id) + 1,
        JsonSerializer.SerializeToUtf8Bytes(this, SigningJson.Default.Approval),
        // Of those who ask for the same at the same time, one makes it.
        UsedAt is null ? [$"approval:{ApprovalSubject.Fingerprint(Requester)}:{Hash}"] : []);

    internal Change Remove(Snapshot basis) =>
        new(DocumentKind.Approval, Id, basis.DocumentVersion(DocumentKind.Approval, Id) + 1, ReadOnlyMemory<byte>.Empty);
}

/// <summary>An approval as it stands now, under the rules of now.</summary>
/// <param name="Rules">Those that have to be met.</param>
/// <param name="Required">People; of several rules the greatest number.</param>
/// <param name="Given">People whose approval counts under a rule. That of a credential revoked since does not.</param>
public sealed record ApprovalStanding(Approval Approval, ApprovalState State, ImmutableArray<ApprovalRule> Rules, int Required, int Given)
{
    public static ApprovalStanding Of(Approval approval, Snapshot snapshot, DateTimeOffset now)
    {
        var request = new AccessRequest
        {
            Caller = Caller.Service,
            Action = approval.Subject.Action,
            At = now,
            Resource = approval.Subject.Resource,
            Facts = new AccessFacts { Key = approval.Subject.KeyIn(snapshot) },
        };
        var rules = snapshot.ApprovalRulesFor(request);
        var votes = approval.Votes.Where(v => !IsRevoked(v.Principal, snapshot)).ToArray();
        var given = votes.Count(v => rules.Any(r => r.Rule.IsApprover(v.Principal)));
        var isMet = rules.All(r => votes.Count(v => r.Rule.IsApprover(v.Principal)) >= r.Rule.Required);
        var state = approval switch
        {
            { UsedAt: not null } => ApprovalState.Used,
            _ when approval.IsOver(now) => ApprovalState.Expired,
            { Rejection: not null } => ApprovalState.Rejected,
            { BrokenGlass: { } broken } when !IsRevoked(broken.Principal, snapshot) => ApprovalState.Approved,
            _ => isMet ? ApprovalState.Approved : ApprovalState.Pending,
        };
        return new ApprovalStanding(
            approval, state, [.. rules.Select(r => r.Rule)], rules.Count == 0 ? 0 : rules.Max(r => r.Rule.Required), given);
    }

    /// <summary>Whoever has stolen a credential may have approved with it, or broken glass, too.</summary>
    private static bool IsRevoked(string principal, Snapshot snapshot) =>
        principal.StartsWith(Credential.PrincipalPrefix, StringComparison.Ordinal)
        && snapshot.Credential(principal[Credential.PrincipalPrefix.Length..]) is { RevokedAt: not null };
}
