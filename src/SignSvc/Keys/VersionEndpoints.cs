using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Keys;

/// <param name="Uses">Signatures it made; exact, and durable with them.</param>
/// <param name="TokensExpireAt">When the last token it signed expires.</param>
/// <param name="RemovableAt">From when on nobody needs its public key any more; null while it signs, and for artifacts.</param>
public sealed record VersionUse(
    int Version, string Kid, VersionState State, DateTimeOffset CreatedAt, DateTimeOffset? ServedAt, DateTimeOffset SignsFrom,
    DateTimeOffset? RetiresAt, DateTimeOffset? SignsUntil, DateTimeOffset? RetiredAt, DateTimeOffset? RevokedAt,
    RevocationReason? RevocationReason, long Uses, DateTimeOffset? LastUsedAt, DateTimeOffset? TokensExpireAt, DateTimeOffset? RemovableAt);

public sealed record VersionList(ImmutableArray<VersionUse> Versions);

/// <param name="Due">What the schedule does with the key at its next tick, in words.</param>
public sealed record TimelineAnswer(string Key, KeyState State, DateTimeOffset? DeletesAt, ImmutableArray<VersionUse> Versions, ImmutableArray<string> Due);

/// <param name="Reason"><c>compromised</c>, <c>superseded</c> or <c>ceased</c>.</param>
public sealed record RevokeBody(RevocationReason Reason);

/// <summary><c>/v1/keys/{key}/versions</c> and <c>/timeline</c>.</summary>
public static class VersionEndpoints
{
    public static void MapVersions(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/keys/{key}").WithTags("Keys").WithProblems();
        group.MapGet("/versions", ListAsync).WithName("ListVersions");
        group.MapPost("/versions/{version:int}/revoke", RevokeAsync).WithName("RevokeVersion");
        group.MapGet("/timeline", ReadTimelineAsync).WithName("ReadTimeline");
    }

    private static async Task<Ok<VersionList>> ListAsync(
        HttpContext http, string key, KeyLifecycle keys, IStore store, CancellationToken cancellationToken)
    {
        var found = await keys.ReadAsync(http.Caller(), key, cancellationToken);
        return TypedResults.Ok(new VersionList(await UsesAsync(found, store, cancellationToken)));
    }

    private static async Task<Ok<KeyAnswer>> RevokeAsync(
        HttpContext http, string key, int version, RevokeBody body, KeyRotation rotation, CancellationToken cancellationToken) =>
        TypedResults.Ok(KeyAnswer.Of(await rotation.RevokeAsync(http.Caller(), key, version, body.Reason, cancellationToken)));

    private static async Task<Ok<TimelineAnswer>> ReadTimelineAsync(
        HttpContext http, string key, KeyLifecycle keys, IStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var found = await keys.ReadAsync(http.Caller(), key, cancellationToken);
        return TypedResults.Ok(await TimelineAsync(found, store, time, cancellationToken));
    }

    internal static async Task<TimelineAnswer> TimelineAsync(Key key, IStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var uses = await UsesAsync(key, store, cancellationToken);
        var due = KeySchedule.Due(
            key, kid => uses.FirstOrDefault(u => string.Equals(u.Kid, kid, StringComparison.Ordinal))?.TokensExpireAt, time.GetUtcNow());
        return new TimelineAnswer(key.Name, key.State, key.DeletesAt, uses, [.. due.Select(Describe)]);
    }

    /// <summary>In the order of the key's versions.</summary>
    internal static async Task<ImmutableArray<VersionUse>> UsesAsync(Key key, IStore store, CancellationToken cancellationToken)
    {
        var usage = (await store.ReadUsageAsync(cancellationToken)).ToDictionary(u => u.Kid, StringComparer.Ordinal);
        return [.. key.Versions.Select(v => Of(key, v, usage.GetValueOrDefault(v.Kid)))];
    }

    private static VersionUse Of(Key key, KeyVersion v, VersionUsage? usage)
    {
        var end = v.RetiredAt ?? v.SignsUntil;
        var removable = key.Purpose != KeyPurpose.Tokens || end is null
            ? null
            : (DateTimeOffset?)((usage?.LatestExpiry > end ? usage.LatestExpiry.Value : end.Value) + KeySchedule.Skew + KeySchedule.Convergence);
        return new VersionUse(
            v.Number, v.Kid, v.State, v.CreatedAt, v.ServedAt, v.SignsFrom, v.RetiresAt, v.SignsUntil, v.RetiredAt, v.RevokedAt,
            v.RevocationReason, usage?.Uses ?? 0, usage?.LastUsedAt, usage?.LatestExpiry, removable);
    }

    private static string Describe(DueStep step) => step switch
    {
        DueStep.Announce => "announce a successor",
        DueStep.ConfirmServed s => $"confirm that every node serves version {s.Version}",
        DueStep.Activate s => $"activate version {s.Version}",
        DueStep.Retire s => $"retire version {s.Version}",
        DueStep.Remove s => $"remove version {s.Version} from the key set",
        DueStep.Destroy s => $"destroy the private key of version {s.Version}",
        DueStep.Delete => "delete the key",
        DueStep.Alarm a => $"alarm: {a.Message}",
        _ => step.ToString(),
    };
}
