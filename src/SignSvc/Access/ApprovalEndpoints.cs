using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Access.Approvals;

namespace SignSvc.Access;

/// <summary><c>/v1/approvals</c> and <c>/v1/approval-rules</c>: what waits for others, and what has to.</summary>
public static partial class ApprovalEndpoints
{
    private const int DefaultPage = 100;
    private const int MostSeconds = 60;

    public static void MapApprovals(this IEndpointRouteBuilder routes)
    {
        var approvals = routes.MapGroup("/v1/approvals").WithTags("Approvals").WithProblems();
        approvals.MapGet("/", ListAsync).WithName("ListApprovals");
        approvals.MapGet("/{approval}", ReadAsync).WithName("ReadApproval");
        approvals.MapPost("/{approval}/approve", ApproveAsync).WithName("Approve");
        approvals.MapPost("/{approval}/reject", RejectAsync).WithName("Reject");
        approvals.MapPost("/{approval}/break-glass", BreakGlassAsync).WithName("BreakGlass");

        var rules = routes.MapGroup("/v1/approval-rules").WithTags("Approvals").WithProblems();
        rules.MapGet("/", ListRulesAsync).WithName("ListApprovalRules");
        rules.MapGet("/{rule}", ReadRuleAsync).WithName("ReadApprovalRule");
        rules.MapPut("/{rule}", PutRuleAsync).WithName("PutApprovalRule");
        rules.MapDelete("/{rule}", DeleteRuleAsync).WithName("DeleteApprovalRule");
    }

    /// <param name="state"><c>pending</c>, <c>approved</c>, <c>rejected</c>, <c>used</c> or <c>expired</c>; default: all.</param>
    private static async Task<Ok<ApprovalList>> ListAsync(
        HttpContext http, ApprovalDecisions approvals, CancellationToken cancellationToken, string? state = null, int limit = DefaultPage, string? after = null)
    {
        var size = Query.Limit(limit, ApprovalDecisions.MaxKept);
        // One more than is shown tells whether there is a next page.
        var page = await approvals.ListAsync(http.Caller(), Query.Enum<ApprovalState>("state", state), size + 1, after, cancellationToken);
        var shown = page.Take(size).Select(a => ApprovalAnswer.Of(a)).ToImmutableArray();
        return TypedResults.Ok(new ApprovalList(shown, page.Length > size ? shown[^1].Id : null));
    }

    /// <param name="wait">Seconds, at most 60: answers as soon as it is pending no more.</param>
    private static async Task<Ok<ApprovalAnswer>> ReadAsync(
        HttpContext http, string approval, ApprovalDecisions approvals, CancellationToken cancellationToken, int wait = 0)
    {
        if (wait is < 0 or > MostSeconds)
            throw new SigningException(SigningFault.InvalidRequest, $"wait is from 0 to {MostSeconds} seconds.");
        return TypedResults.Ok(ApprovalAnswer.Of(await approvals.ReadAsync(http.Caller(), approval, TimeSpan.FromSeconds(wait), cancellationToken)));
    }

    private static async Task<Ok<ApprovalAnswer>> ApproveAsync(
        HttpContext http, string approval, ApproveBody body, ApprovalDecisions approvals, CancellationToken cancellationToken) =>
        TypedResults.Ok(ApprovalAnswer.Of(await approvals.ApproveAsync(http.Caller(), approval, body.Reason, cancellationToken)));

    private static async Task<Ok<ApprovalAnswer>> RejectAsync(
        HttpContext http, string approval, ApprovalReasonBody body, ApprovalDecisions approvals, CancellationToken cancellationToken) =>
        TypedResults.Ok(ApprovalAnswer.Of(await approvals.RejectAsync(http.Caller(), approval, body.Reason, cancellationToken)));

    private static async Task<Ok<ApprovalAnswer>> BreakGlassAsync(
        HttpContext http, string approval, ApprovalReasonBody body, ApprovalDecisions approvals, ILogger<ApprovalDecisions> log, CancellationToken cancellationToken)
    {
        var broken = await approvals.BreakGlassAsync(http.Caller(), approval, body.Reason, cancellationToken);
        LogBrokenGlass(log, http.Caller().Principal, broken.Approval.Subject.Action, broken.Approval.Subject.Resource, broken.Approval.Requester, broken.Approval.Id);
        return TypedResults.Ok(ApprovalAnswer.Of(broken));
    }

    private static async Task<Ok<ApprovalRuleList>> ListRulesAsync(HttpContext http, ApprovalRules rules, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ApprovalRuleList([.. (await rules.ListAsync(http.Caller(), cancellationToken)).Select(ApprovalRuleAnswer.Of)]));

    private static async Task<Ok<ApprovalRuleAnswer>> ReadRuleAsync(
        HttpContext http, string rule, ApprovalRules rules, CancellationToken cancellationToken) =>
        TypedResults.Ok(ApprovalRuleAnswer.Of(await rules.ReadAsync(http.Caller(), rule, cancellationToken)));

    /// <param name="force">Put it also where too few could approve.</param>
    private static async Task<Ok<ApprovalRuleAnswer>> PutRuleAsync(
        HttpContext http, string rule, ApprovalRuleBody body, ApprovalRules rules, CancellationToken cancellationToken, bool force = false)
    {
        var wish = new ApprovalRule
        {
            Name = rule,
            Resources = body.Resources,
            Actions = body.Actions,
            Required = body.Required,
            Approvers = body.Approvers,
            ExpiresAfterSeconds = body.ExpiresAfterSeconds,
            ChangedAt = default,
            ChangedBy = "",
        };
        var put = await rules.PutAsync(http.Caller(), wish, force, cancellationToken);
        return TypedResults.Ok(ApprovalRuleAnswer.Of(put.Rule, put.Findings));
    }

    private static async Task<NoContent> DeleteRuleAsync(HttpContext http, string rule, ApprovalRules rules, CancellationToken cancellationToken)
    {
        await rules.DeleteAsync(http.Caller(), rule, cancellationToken);
        return TypedResults.NoContent();
    }

    [LoggerMessage(1501, LogLevel.Critical, "GLASS BROKEN by {Principal}: {Action} on {Resource}, asked for by {Requester}, goes on without approval ({Approval})")]
    private static partial void LogBrokenGlass(ILogger log, string principal, string action, string resource, string requester, string approval);
}
