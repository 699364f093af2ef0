using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing.Keys;

namespace SignSvc.Keys;

/// <summary>What is null stays as it is.</summary>
/// <param name="Tags">All tags from now on.</param>
/// <param name="Rotation">
/// What is null stays, and a <c>periodSeconds</c> of 0 is none; with another period the service chooses lead, grace and jitter that are null anew. It
/// holds for the version that signs, too; a shorter period leaves time to announce its successor.
/// </param>
public sealed record KeyUpdateBody(
    string? Description = null, string? Owner = null, Dictionary<string, string>? Tags = null, RotationWish? Rotation = null,
    bool? DeletionProtection = null, int? MinSigningVersion = null, int? MinVerificationVersion = null)
{
    public KeyUpdate For(Key key) => new(
        Description, Owner, Tags is null ? null : TagRules.Parse(Tags),
        Rotation is null ? null : NewKey.ChangeRotation(key, Rotation),
        DeletionProtection, MinSigningVersion, MinVerificationVersion);
}

/// <summary>Changes of a key as a whole: <c>PATCH</c>, <c>DELETE</c>, <c>/enable</c>, <c>/disable</c>, <c>/rotate</c>, <c>/rewrap</c>, <c>/cancel-deletion</c>.</summary>
public static class KeyChangeEndpoints
{
    public static void MapKeyChanges(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/keys/{key}").WithTags("Keys").WithProblems();
        group.MapPatch("/", UpdateAsync).WithName("UpdateKey");
        group.MapDelete("/", ScheduleDeletionAsync).WithName("ScheduleKeyDeletion");
        group.MapPost("/enable", EnableAsync).WithName("EnableKey");
        group.MapPost("/disable", DisableAsync).WithName("DisableKey");
        group.MapPost("/rotate", RotateAsync).WithName("RotateKey");
        group.MapPost("/rewrap", RewrapAsync).WithName("RewrapKey");
        group.MapPost("/cancel-deletion", CancelDeletionAsync).WithName("CancelKeyDeletion");
    }

    private static async Task<Ok<KeyAnswer>> UpdateAsync(
        HttpContext http, string key, KeyUpdateBody body, KeyChanges changes, CancellationToken cancellationToken) =>
        Answer(http, await changes.UpdateAsync(http.Caller(), key, body.For, cancellationToken, http.OnlyIf()));

    /// <param name="pendingWindowInDays">The waiting time: 7 to 30 days. Until it is over the deletion can be cancelled.</param>
    private static async Task<Ok<KeyAnswer>> ScheduleDeletionAsync(
        HttpContext http, string key, KeyChanges changes, CancellationToken cancellationToken,
        int pendingWindowInDays = KeyChanges.MaxDeletionDays) =>
        Answer(http, await changes.ScheduleDeletionAsync(http.Caller(), key, pendingWindowInDays, cancellationToken, http.OnlyIf()));

    private static async Task<Ok<KeyAnswer>> EnableAsync(
        HttpContext http, string key, KeyChanges changes, CancellationToken cancellationToken) =>
        Answer(http, await changes.EnableAsync(http.Caller(), key, cancellationToken, http.OnlyIf()));

    private static async Task<Ok<KeyAnswer>> DisableAsync(
        HttpContext http, string key, KeyChanges changes, CancellationToken cancellationToken) =>
        Answer(http, await changes.DisableAsync(http.Caller(), key, cancellationToken, http.OnlyIf()));

    /// <summary>With a lead of 0 the successor signs already in the answer; else it is announced there, with its time.</summary>
    private static async Task<Ok<KeyAnswer>> RotateAsync(
        HttpContext http, string key, KeyRotation rotation, KeyScheduler scheduler, CancellationToken cancellationToken)
    {
        var rotated = await rotation.RotateAsync(http.Caller(), key, cancellationToken, http.OnlyIf());
        return Answer(http, await scheduler.AdvanceAsync(rotated, cancellationToken));
    }

    /// <summary>For keys that are stored wrapped: under the newest material of their wrapping key, which an AWS KMS key gets by rotation.</summary>
    private static async Task<Ok<KeyAnswer>> RewrapAsync(
        HttpContext http, string key, KeyRotation rotation, CancellationToken cancellationToken) =>
        Answer(http, await rotation.RewrapAsync(http.Caller(), key, cancellationToken, http.OnlyIf()));

    private static async Task<Ok<KeyAnswer>> CancelDeletionAsync(
        HttpContext http, string key, KeyChanges changes, CancellationToken cancellationToken) =>
        Answer(http, await changes.CancelDeletionAsync(http.Caller(), key, cancellationToken, http.OnlyIf()));

    private static Ok<KeyAnswer> Answer(HttpContext http, Key key) => TypedResults.Ok(http.AnswerOf(key));
}
