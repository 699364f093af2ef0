using System.Collections.Immutable;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Keys;

/// <param name="Uses">Signatures it made; exact, and durable with them.</param>
/// <param name="TokensExpireAt">When the last token it signed expires.</param>
/// <param name="SignsFrom">Null: it was revoked before it ever signed.</param>
/// <param name="RetiresAt">When its successor takes over, or took over; null: when it is rotated.</param>
/// <param name="SignsUntil">When it stopped; before that its hard stop, successor or not. Null: when it is rotated.</param>
/// <param name="RemovableAt">From when on nobody needs its public key any more; of a version that signs on, when its last token will have expired as the token profiles stand now. Null for artifacts, and where it is not known.</param>
/// <param name="SafeToDeleteAt">From when on its tokens no longer keep the key from being deleted; null as <paramref name="RemovableAt"/>.</param>
public sealed record VersionUse(
    int Version, string Kid, VersionState State, DateTimeOffset CreatedAt, DateTimeOffset? ServedAt, DateTimeOffset? SignsFrom,
    DateTimeOffset? RetiresAt, DateTimeOffset? SignsUntil, DateTimeOffset? RetiredAt, DateTimeOffset? RevokedAt,
    RevocationReason? RevocationReason, long Uses, DateTimeOffset? LastUsedAt, DateTimeOffset? TokensExpireAt, DateTimeOffset? RemovableAt,
    DateTimeOffset? SafeToDeleteAt);

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
        HttpContext http, string key, KeyLifecycle keys, LiveSnapshot live, IStore store, CancellationToken cancellationToken)
    {
        var found = await keys.ReadAsync(http.Caller(), key, cancellationToken);
        return TypedResults.Ok(new VersionList(await UsesAsync(found, live, store, cancellationToken)));
    }

    private static async Task<Ok<KeyAnswer>> RevokeAsync(
        HttpContext http, string key, int version, RevokeBody body, KeyRotation rotation, CancellationToken cancellationToken) =>
        TypedResults.Ok(http.AnswerOf(await rotation.RevokeAsync(http.Caller(), key, version, body.Reason, cancellationToken, http.OnlyIf())));

    private static async Task<Ok<TimelineAnswer>> ReadTimelineAsync(
        HttpContext http, string key, KeyLifecycle keys, LiveSnapshot live, IStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var found = await keys.ReadAsync(http.Caller(), key, cancellationToken);
        return TypedResults.Ok(await TimelineAsync(found, live, store, time, cancellationToken));
    }

    internal static async Task<TimelineAnswer> TimelineAsync(
        Key key, LiveSnapshot live, IStore store, TimeProvider time, CancellationToken cancellationToken)
    {
        var uses = await UsesAsync(key, live, store, cancellationToken);
        var due = KeySchedule.Due(
            key, kid => uses.FirstOrDefault(u => string.Equals(u.Kid, kid, StringComparison.Ordinal))?.TokensExpireAt, time.GetUtcNow());
        return new TimelineAnswer(key.Name, key.State, key.DeletesAt, uses, [.. due.Select(Describe)]);
    }

    /// <summary>In the order of the key's versions.</summary>
    internal static async Task<ImmutableArray<VersionUse>> UsesAsync(
        Key key, LiveSnapshot live, IStore store, CancellationToken cancellationToken)
    {
        var usage = (await store.ReadUsageAsync(cancellationToken)).ToDictionary(u => u.Kid, StringComparer.Ordinal);
        var longestLife = live.Current.Profiles.Values
            .Where(p => string.Equals(p.KeyId, key.Id, StringComparison.Ordinal))
            .Select(p => TimeSpan.FromSeconds(p.MaxLifetimeSeconds))
            .DefaultIfEmpty()
            .Max();
        return [.. key.Versions.Select(v => Of(key, v, usage.GetValueOrDefault(v.Kid), longestLife))];
    }

    private static VersionUse Of(Key key, KeyVersion v, VersionUsage? usage, TimeSpan longestLife)
    {
        var timeline = VersionTimeline.Of(key, v, usage?.LatestExpiry, longestLife);
        return new VersionUse(
            v.Number, v.Kid, v.State, v.CreatedAt, v.ServedAt, timeline.SignsFrom, timeline.RetiresAt, timeline.StopsAt, v.RetiredAt,
            v.RevokedAt, v.RevocationReason, usage?.Uses ?? 0, usage?.LastUsedAt, usage?.LatestExpiry, timeline.RemovableAt,
            timeline.SafeToDeleteAt);
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
