using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Http;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;

namespace SignSvc.Operations;

/// <param name="Status"><c>ok</c>, or what keeps this node from signing.</param>
/// <param name="Backends">Those that are not in this process; null: there are none.</param>
public sealed record Health(
    string Status, long? Revision = null, int? AuditQueue = null, ImmutableArray<BackendHealth>? Backends = null);

/// <summary>Health and the description of the API: open to everybody, and silent about anything worth knowing.</summary>
public static class OperationsEndpoints
{
    public static void MapOperations(this IEndpointRouteBuilder routes)
    {
        var health = routes.MapGroup("/healthz").WithTags("Operations").AllowAnonymous();
        health.MapGet("/live", () => TypedResults.Ok(new Health("ok"))).WithName("Live");
        health.MapGet("/ready", Ready).WithName("Ready");
        routes.MapGet(
            $"/openapi/{ApiDescription.Name}.json",
            (ApiDescription description, CancellationToken cancellationToken) => description.AnswerAsync(cancellationToken))
            .AllowAnonymous().ExcludeFromDescription();
    }

    private static Results<Ok<Health>, JsonHttpResult<Health>> Ready(
        LiveSnapshot live, AuditLog audit, SnapshotFreshness freshness, BackendSet backends)
    {
        var trouble = audit.Trouble ?? (freshness.IsStale ? "This node has been cut off from the store for too long." : null);
        return trouble is null
            ? TypedResults.Ok(new Health("ok", live.Current.Revision, audit.Queued, BackendHealth.Of(backends)))
            : TypedResults.Json(new Health(trouble, Backends: BackendHealth.Of(backends)), statusCode: StatusCodes.Status503ServiceUnavailable);
    }
}
