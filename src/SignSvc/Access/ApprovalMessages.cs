using System.Collections.Immutable;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Policies;

namespace SignSvc.Access;

/// <param name="Resources"><c>*</c>, or patterns <c>kind/name</c>: <c>key/release-*</c>, <c>policy/*</c>.</param>
/// <param name="Actions">Patterns: <c>keys:Sign</c>, <c>keys:ScheduleDeletion</c>, <c>policies:*</c>, …</param>
/// <param name="Required">How many people.</param>
/// <param name="Approvers">Patterns of principals; they need <c>approvals:Decide</c>, too.</param>
/// <param name="ExpiresAfterSeconds">60 to 86400, from the request until its use.</param>
public sealed record ApprovalRuleBody(
    ImmutableArray<string> Resources, ImmutableArray<string> Actions, int Required, ImmutableArray<string> Approvers, int ExpiresAfterSeconds = 3600);

/// <param name="Findings">What lint thinks of it; only in the answer to a change.</param>
public sealed record ApprovalRuleAnswer(
    string Name, ImmutableArray<string> Resources, ImmutableArray<string> Actions, int Required, ImmutableArray<string> Approvers,
    int ExpiresAfterSeconds, DateTimeOffset ChangedAt, string ChangedBy, ImmutableArray<PolicyFinding>? Findings = null)
{
    public static ApprovalRuleAnswer Of(ApprovalRule r) => Of(r, findings: null);

    public static ApprovalRuleAnswer Of(ApprovalRule r, ImmutableArray<PolicyFinding>? findings) =>
        new(r.Name, r.Resources, r.Actions, r.Required, r.Approvers, r.ExpiresAfterSeconds, r.ChangedAt, r.ChangedBy, findings);
}

public sealed record ApprovalRuleList(ImmutableArray<ApprovalRuleAnswer> Rules);

/// <param name="Request">What is to be approved: the whole request, as approval binds it.</param>
/// <param name="RequestSha256">Of the request in its canonical form.</param>
/// <param name="Required">People; of several rules the greatest number.</param>
/// <param name="Given">People whose approval counts.</param>
/// <param name="Detail">In words, to whoever asked for what needs approval: what is needed, and why an approval that was given does not count.</param>
public sealed record ApprovalAnswer(
    string Id, ApprovalState State, ApprovalSubject Request, string RequestSha256, string Requester, int Required, int Given,
    ImmutableArray<string> Rules, ImmutableArray<ApprovalVote> Approvals, ApprovalVote? Rejection, ApprovalVote? BreakGlass,
    DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt, DateTimeOffset? UsedAt, string? AuditId = null, string? Detail = null)
{
    public static ApprovalAnswer Of(ApprovalStanding s, string? auditId = null, string? detail = null) => new(
        s.Approval.Id, s.State, s.Approval.Subject, s.Approval.Hash, s.Approval.Requester, s.Required, s.Given,
        [.. s.Rules.Select(r => r.Name)], s.Approval.Votes, s.Approval.Rejection, s.Approval.BrokenGlass,
        s.Approval.CreatedAt, s.Approval.ExpiresAt, s.Approval.UsedAt, auditId, detail);
}

/// <param name="Next">Give it as <c>after</c> for the next page; null: this was the last.</param>
public sealed record ApprovalList(ImmutableArray<ApprovalAnswer> Approvals, string? Next);

public sealed record ApproveBody(string? Reason = null);

/// <param name="Reason">For those who asked, and for the audit.</param>
public sealed record ApprovalReasonBody(string Reason);
