using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Access;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Keys;

/// <param name="Name"><c>[a-z0-9][a-z0-9._-]{0,62}</c>, not a UUID.</param>
/// <param name="Purpose"><c>artifacts</c> or <c>tokens</c>.</param>
/// <param name="Spec">AWS KMS name: <c>ECC_NIST_P256</c>, <c>RSA_3072</c>, …</param>
/// <param name="Tier">Default: <c>assured</c> for artifacts, <c>volume</c> for tokens.</param>
/// <param name="Backend">Default: <c>software</c>.</param>
/// <param name="Algorithms">JWA names; default: the spec's first.</param>
/// <param name="Adopt">The backend's name of a key that exists there: a PKCS#11 label or <c>id:</c> with hex CKA_ID, an ARN or KMS alias.</param>
/// <param name="Origin"><c>generated</c>, or <c>imported</c>: the key has no version, and signs nothing, until its material is imported.</param>
/// <param name="Enabled">False: it is made disabled, and signs nothing until it is enabled.</param>
/// <param name="Aliases">Further names, none of them taken.</param>
/// <param name="MultiRegion">AWS KMS: a multi-Region key, whether or not it has replicas yet; default: where the backend has replica Regions.</param>
public sealed record NewKeyBody(
    string Name, KeyPurpose Purpose, string Spec, KeyTier? Tier = null, string? Backend = null,
    ImmutableArray<string>? Algorithms = null, string? Description = null, string? Owner = null,
    Dictionary<string, string>? Tags = null, RotationWish? Rotation = null, bool DeletionProtection = false,
    string? Adopt = null, KeyOrigin Origin = KeyOrigin.Generated, bool? MultiRegion = null, bool Enabled = true,
    ImmutableArray<string>? Aliases = null);

/// <summary>Null: on demand. See <see cref="RotationPolicy"/>.</summary>
public sealed record RotationAnswer(long? PeriodSeconds, long LeadSeconds, long GraceSeconds, long JitterSeconds, bool Standby)
{
    public static RotationAnswer Of(RotationPolicy p) =>
        new((long?)p.Period?.TotalSeconds, (long)p.Lead.TotalSeconds, (long)p.Grace.TotalSeconds, (long)p.Jitter.TotalSeconds, p.Standby);
}

/// <param name="BackendState">In what state this node found it at a backend that has states of its own, such as AWS KMS: <c>enabled</c>, <c>disabled</c>, <c>pendingDeletion</c>… Null: not looked at since the key's state changed.</param>
/// <param name="SignsFrom">Of an announced version: when it takes over, or may where it waits to be asked.</param>
/// <param name="RetiresAt">When its successor takes over; null: when it is rotated.</param>
/// <param name="SignsUntil">The hard stop, successor or not.</param>
public sealed record VersionAnswer(
    int Version, string Kid, VersionState State, Protection Protection, KeyOrigin Origin, DateTimeOffset CreatedAt,
    DateTimeOffset? ServedAt, DateTimeOffset SignsFrom, DateTimeOffset? RetiresAt, DateTimeOffset? SignsUntil,
    DateTimeOffset? RetiredAt, DateTimeOffset? RevokedAt, RevocationReason? RevocationReason, string? BackendState)
{
    public static VersionAnswer Of(Key key, KeyVersion v, BackendSet backends) => new(
        v.Number, v.Kid, v.State, v.Protection, v.Origin, v.CreatedAt, v.ServedAt, v.SignsFrom, v.RetiresAt, v.SignsUntil,
        v.RetiredAt, v.RevokedAt, v.RevocationReason, BackendDrift.StateOf(backends, key, v)?.Name);
}

/// <param name="Etag">For <c>If-Match</c>: another one after every change and every rotation on demand; what the schedule does to its versions does not count.</param>
public sealed record KeyAnswer(
    string Id, string Name, string? Description, string? Owner, KeyPurpose Purpose, KeyTier Tier, string Backend,
    Protection Protection, string Spec, ImmutableArray<string> Algorithms, KeyState State,
    ImmutableArray<string> Aliases, IReadOnlyDictionary<string, string> Tags, RotationAnswer? Rotation, bool DeletionProtection,
    int MinSigningVersion, int MinVerificationVersion, DateTimeOffset CreatedAt, DateTimeOffset? DeletesAt,
    ImmutableArray<VersionAnswer> Versions, ImmutableArray<string>? Warnings, KeyOrigin Origin, bool? MultiRegion, string Etag)
{
    public static KeyAnswer Of(Key key, BackendSet backends) => new(
        key.Id, key.Name, key.Description, key.Owner, key.Purpose, key.Tier, key.Backend, key.Protection, key.Spec.Name,
        [.. key.Algorithms.Select(a => a.Name)], key.State, [.. key.Aliases], key.Tags,
        key.Rotation is null ? null : RotationAnswer.Of(key.Rotation), key.DeletionProtection, key.MinSigningVersion,
        key.MinVerificationVersion, key.CreatedAt, key.DeletesAt, [.. key.Versions.Select(v => VersionAnswer.Of(key, SigningPeriod.Planned(key, v), backends))],
        KeyWarnings.Of(key, backends), key.Origin, key.MultiRegion, KeyTag.Of(key));
}

/// <param name="Next">Give it as <c>after</c> to read on; null: that was all.</param>
public sealed record KeyList(ImmutableArray<KeyAnswer> Keys, string? Next);

/// <summary><c>/v1/keys</c>: create, list, read, public key.</summary>
public static class KeyEndpoints
{
    private const int DefaultPage = 100;

    public static void MapKeys(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1/keys").WithTags("Keys").WithProblems();
        group.MapPost("/", CreateAsync).WithName("CreateKey");
        group.MapGet("/", ListAsync).WithName("ListKeys");
        group.MapGet("/{key}", ReadAsync).WithName("ReadKey");
        group.MapGet("/{key}/public-key", ReadPublicKeyAsync).WithName("ReadPublicKey")
            .Produces(200, contentType: "application/x-pem-file", additionalContentTypes: ["application/pkix-spki", "application/jwk+json"]);
    }

    private static async Task<Created<KeyAnswer>> CreateAsync(
        HttpContext http, NewKeyBody body, KeyLifecycle keys, CancellationToken cancellationToken)
    {
        var request = NewKey.Parse(
            body.Name, body.Purpose, body.Tier, body.Backend, body.Spec, body.Algorithms, body.Description, body.Owner, body.Tags,
            body.Rotation, body.DeletionProtection, body.Adopt, body.Origin, body.MultiRegion, body.Enabled, body.Aliases);
        var key = await keys.CreateAsync(http.Caller(), request, cancellationToken);
        return TypedResults.Created($"/v1/keys/{key.Name}", http.AnswerOf(key));
    }

    private static async Task<Ok<KeyList>> ListAsync(
        HttpContext http, KeyLifecycle keys, BackendSet backends, CancellationToken cancellationToken,
        string? purpose = null, string? tier = null, string? state = null, string? prefix = null, string? tag = null,
        int limit = DefaultPage, string? after = null)
    {
        var filter = new KeyFilter(
            Query.Enum<KeyPurpose>("purpose", purpose), Query.Enum<KeyTier>("tier", tier), Query.Enum<KeyState>("state", state), prefix, tag);
        var size = Query.Limit(limit, KeyLifecycle.MaxPage);
        // One more than is shown tells whether there is a next page.
        var page = await keys.ListAsync(http.Caller(), filter, size + 1, after, cancellationToken);
        var shown = page.Take(size).Select(k => KeyAnswer.Of(k, backends)).ToImmutableArray();
        return TypedResults.Ok(new KeyList(shown, page.Length > size ? shown[^1].Name : null));
    }

    private static async Task<Ok<KeyAnswer>> ReadAsync(
        HttpContext http, string key, KeyLifecycle keys, CancellationToken cancellationToken) =>
        TypedResults.Ok(http.AnswerOf(await keys.ReadAsync(http.Caller(), key, cancellationToken)));

    /// <summary>PEM and DER are SubjectPublicKeyInfo; JWK carries the kid.</summary>
    private static async Task<Results<ContentHttpResult, FileContentHttpResult>> ReadPublicKeyAsync(
        HttpContext http, string key, KeyLifecycle keys, TimeProvider time, CancellationToken cancellationToken,
        string format = "pem", int? version = null)
    {
        var found = await keys.ReadAsync(http.Caller(), key, cancellationToken);
        var wanted = (version is { } number ? found.Version(number) : found.InForce(time.GetUtcNow()) ?? found.Versions.LastOrDefault())
            ?? throw new SigningException(SigningFault.NotFound, "There is no such version of this key.");
        switch (format)
        {
            case "pem":
                return TypedResults.Text(wanted.PublicKey.ToPem() + "\n", "application/x-pem-file");
            case "der":
                return TypedResults.File(wanted.PublicKey.Spki.ToArray(), "application/pkix-spki");
            case "jwk":
                var buffer = new System.Buffers.ArrayBufferWriter<byte>(512);
                await using (var writer = new Utf8JsonWriter(buffer))
                    KeySet.WriteJwk(writer, found, wanted);
                return TypedResults.File(buffer.WrittenSpan.ToArray(), "application/jwk+json");
            default:
                throw new SigningException(SigningFault.InvalidRequest, "format is pem, der or jwk.");
        }
    }
}

/// <summary>What a caller should know of a key before it trusts it.</summary>
internal static class KeyWarnings
{
    public static ImmutableArray<string>? Of(Key key, Protection protection) =>
        key.Tier == KeyTier.Assured && protection == Protection.Software
            ? ["protection: software. This assured key is not in an HSM; use a backend that is one for production."]
            : null;

    /// <summary>Of the key as a whole.</summary>
    /// <param name="backends">With what was found there; null: with nothing.</param>
    public static ImmutableArray<string>? Of(Key key, BackendSet? backends)
    {
        ImmutableArray<string> all = [.. Of(key, key.Protection) ?? [], .. OfLead(key), .. backends is null ? [] : BackendDrift.Warnings(backends, key)];
        return all.IsEmpty ? null : all;
    }

    /// <summary>Artifacts' verifiers are given the public key; tokens' verifiers read the key set, when they do.</summary>
    private static ImmutableArray<string> OfLead(Key key)
    {
        var lead = SigningPeriod.LeadOf(key);
        return key.Purpose == KeyPurpose.Tokens && lead < KeySet.EnoughLead
            ? [string.Create(CultureInfo.InvariantCulture, $"rotation: with a lead of {lead.TotalSeconds} seconds verifiers refuse good tokens of a new version until they read the key set anew. {KeySet.EnoughLead.TotalSeconds} seconds would do for those that follow its max-age; some libraries cache for up to 86400.")]
            : [];
    }
}
