using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;

namespace SignSvc.Audit;

/// <param name="Records">Newest first.</param>
/// <param name="Next">Give it as <c>after</c> to read on; null: that was all.</param>
public sealed record AuditPage(ImmutableArray<AuditRecord> Records, string? Next);

/// <param name="Intact">Every record of every node is where and as it was written.</param>
/// <param name="Chains">Per node; note the seals elsewhere to prove later that nothing was cut off.</param>
public sealed record AuditCheckAnswer(bool Intact, ImmutableArray<AuditCheckResult> Chains);

/// <summary><c>/v1/audit</c>: who did what, and the proof that the record of it is whole.</summary>
public static class AuditEndpoints
{
    private const int DefaultPage = 100;

    public static void MapAudit(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/audit").WithTags("Audit").WithProblems();
        group.MapGet("/", SearchAsync).WithName("SearchAudit");
        group.MapGet("/check", CheckAsync).WithName("CheckAudit");
    }

    private static async Task<Ok<AuditPage>> SearchAsync(
        HttpContext http, AuditSearch search, Decisions decisions, CancellationToken cancellationToken,
        DateTimeOffset? from = null, DateTimeOffset? to = null, string? caller = null, string? key = null, string? action = null,
        string? outcome = null, string? digest = null, string? auditId = null, int limit = DefaultPage, string? after = null)
    {
        var query = new AuditQuery(from, to, caller, key, action, Query.Enum<AuditOutcome>("outcome", outcome), digest, auditId);
        var size = Query.Limit(limit, AuditSearch.MaxPage);
        var asker = http.Caller();
        var (records, next) = await decisions.ReadAsync(
            asker,
            decisions.Draft(asker, Actions.AuditRead),
            async _ => await search.FindAsync(query, size, after, cancellationToken),
            cancellationToken);
        return TypedResults.Ok(new AuditPage([.. records], next));
    }

    private static async Task<Ok<AuditCheckAnswer>> CheckAsync(
        HttpContext http, AuditCheck check, Decisions decisions, CancellationToken cancellationToken)
    {
        var asker = http.Caller();
        var chains = await decisions.ReadAsync(
            asker,
            decisions.Draft(asker, Actions.AuditRead, "audit/check"),
            async _ => await check.RunAsync(cancellationToken),
            cancellationToken);
        return TypedResults.Ok(new AuditCheckAnswer(chains.All(c => c.Fault is null), [.. chains]));
    }
}
