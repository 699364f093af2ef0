using Google.Protobuf;
using SignSvc.Access;
using SignSvc.Grpc;
using SignSvc.Http;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Keys;

/// <summary><c>signsvc.v1.Keys</c>, as far as it makes keys, shows them and changes them as a whole.</summary>
internal sealed class GrpcKeys(KeyLifecycle keys, KeyChanges changes, BackendSet backends, TimeProvider time)
{
    private const int DefaultPage = 100;
    private const int SecondsOfDay = 86_400;

    public async ValueTask<V1.CreateKeyResponse> CreateAsync(V1.CreateKeyRequest request, GrpcCall call)
    {
        var wish = NewKey.Parse(
            request.Name,
            KeyMessages.Parse(request.Purpose) ?? throw Wishes.Invalid("purpose is missing."),
            KeyMessages.Parse(request.Tier),
            Wishes.Text(request.Backend),
            request.Spec,
            request.Algorithms,
            Wishes.Text(request.Description),
            Wishes.Text(request.Owner),
            request.Tags.ToDictionary(StringComparer.Ordinal),
            new RotationWish(
                Wishes.Seconds(request.RotationPeriod, "rotation_period"),
                Wishes.Seconds(request.RotationLead, "rotation_lead"),
                Wishes.Seconds(request.RotationGrace, "rotation_grace"),
                Wishes.Seconds(request.RotationJitter, "rotation_jitter"),
                request.RotationStandby),
            request.DeletionProtection,
            Wishes.Text(request.Adopt),
            KeyMessages.Parse(request.Origin) ?? KeyOrigin.Generated,
            request.HasMultiRegion ? request.MultiRegion : null,
            enabled: !request.Disabled,
            request.Aliases);
        return new V1.CreateKeyResponse { Key = KeyMessages.Of(await keys.CreateAsync(call.HttpContext.Caller(), wish, call.CancellationToken)) };
    }

    public async ValueTask<V1.GetKeyResponse> GetAsync(V1.GetKeyRequest request, GrpcCall call) => new()
    {
        Key = KeyMessages.Of(await keys.ReadAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken), backends: backends),
    };

    public async ValueTask<V1.ListKeysResponse> ListAsync(V1.ListKeysRequest request, GrpcCall call)
    {
        var filter = new KeyFilter(
            KeyMessages.Parse(request.Purpose), KeyMessages.Parse(request.Tier), KeyMessages.Parse(request.State),
            Wishes.Text(request.NamePrefix), Tags: request.Tags.Count == 0 ? null : request.Tags.ToDictionary(StringComparer.Ordinal));
        var size = Query.Limit(request.PageSize == 0 ? DefaultPage : request.PageSize, KeyLifecycle.MaxPage);
        // One more than is shown tells whether there is a next page.
        var page = await keys.ListAsync(
            call.HttpContext.Caller(), filter, size + 1, Wishes.Text(request.PageToken), call.CancellationToken);
        return new V1.ListKeysResponse
        {
            Keys = { page.Take(size).Select(k => KeyMessages.Of(k, withVersions: false, backends)) },
            NextPageToken = page.Length > size ? page[size - 1].Name : "",
        };
    }

    public async ValueTask<V1.UpdateKeyResponse> UpdateAsync(V1.UpdateKeyRequest request, GrpcCall call)
    {
        if (request.Tags.Count > 0 && !request.ReplaceTags)
            throw Wishes.Invalid("tags are given, but replace_tags is not set.");
        var key = await changes.UpdateAsync(
            call.HttpContext.Caller(), request.Key, current => UpdateOf(request, current), call.CancellationToken, Wishes.Text(request.Etag));
        return new V1.UpdateKeyResponse { Key = KeyMessages.Of(key) };
    }

    public async ValueTask<V1.EnableKeyResponse> EnableAsync(V1.EnableKeyRequest request, GrpcCall call) => new()
    {
        Key = KeyMessages.Of(await changes.EnableAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken, Wishes.Text(request.Etag))),
    };

    public async ValueTask<V1.DisableKeyResponse> DisableAsync(V1.DisableKeyRequest request, GrpcCall call) => new()
    {
        Key = KeyMessages.Of(await changes.DisableAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken, Wishes.Text(request.Etag))),
    };

    public async ValueTask<V1.ScheduleKeyDeletionResponse> ScheduleDeletionAsync(V1.ScheduleKeyDeletionRequest request, GrpcCall call)
    {
        var seconds = Wishes.Seconds(request.Wait, "wait") ?? KeyChanges.MaxDeletionDays * SecondsOfDay;
        if (seconds % SecondsOfDay != 0)
            throw Wishes.Invalid("wait is a whole number of days of 86400 seconds.");
        var key = await changes.ScheduleDeletionAsync(
            call.HttpContext.Caller(), request.Key, seconds / SecondsOfDay, call.CancellationToken, Wishes.Text(request.Etag));
        return new V1.ScheduleKeyDeletionResponse { Key = KeyMessages.Of(key) };
    }

    public async ValueTask<V1.CancelKeyDeletionResponse> CancelDeletionAsync(V1.CancelKeyDeletionRequest request, GrpcCall call) => new()
    {
        Key = KeyMessages.Of(await changes.CancelDeletionAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken)),
    };

    public async ValueTask<V1.GetPublicKeyResponse> GetPublicKeyAsync(V1.GetPublicKeyRequest request, GrpcCall call)
    {
        var number = Wishes.Version(request.Version);
        var key = await keys.ReadAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken);
        var version = (number is null ? key.InForce(time.GetUtcNow()) ?? key.Versions.LastOrDefault() : key.Version(number.Value))
            ?? throw new SigningException(SigningFault.NotFound, "There is no such version of this key.");
        return new V1.GetPublicKeyResponse
        {
            PublicKey = ByteString.CopyFrom(version.PublicKey.Spki.Span),
            Kid = version.Kid,
            Version = (uint)version.Number,
            Algorithms = { key.Algorithms.Select(a => a.Name) },
        };
    }

    private static KeyUpdate UpdateOf(V1.UpdateKeyRequest request, Key key)
    {
        var wish = new RotationWish(
            Wishes.Seconds(request.RotationPeriod, "rotation_period"),
            Wishes.Seconds(request.RotationLead, "rotation_lead"),
            Wishes.Seconds(request.RotationGrace, "rotation_grace"),
            Wishes.Seconds(request.RotationJitter, "rotation_jitter"),
            request.HasRotationStandby ? request.RotationStandby : null);
        return new KeyUpdate(
            request.HasDescription ? request.Description : null,
            request.HasOwner ? request.Owner : null,
            request.ReplaceTags ? TagRules.Parse(request.Tags.ToDictionary(StringComparer.Ordinal)) : null,
            wish == new RotationWish() ? null : NewKey.ChangeRotation(key, wish),
            request.HasDeletionProtection ? request.DeletionProtection : null,
            request.HasMinSigningVersion ? Floor(request.MinSigningVersion) : null,
            request.HasMinVerificationVersion ? Floor(request.MinVerificationVersion) : null);
    }

    private static int Floor(uint version) => Wishes.Version(version) ?? 0;
}

/// <summary><c>signsvc.v1.Keys</c>, as far as it is about the versions of a key and its further names.</summary>
internal sealed class GrpcKeyVersions(
    KeyLifecycle keys, KeyRotation rotation, KeyScheduler scheduler, KeyAliases aliases, CertificateChains chains, LiveSnapshot live, IStore store,
    TimeProvider time)
{
    /// <summary>With a lead of 0 the successor signs already in the answer; else it is announced there, with its time.</summary>
    public async ValueTask<V1.RotateKeyResponse> RotateAsync(V1.RotateKeyRequest request, GrpcCall call)
    {
        var rotated = await rotation.RotateAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken, Wishes.Text(request.Etag));
        var key = await scheduler.AdvanceAsync(rotated, call.CancellationToken);
        return new V1.RotateKeyResponse { Version = KeyMessages.Of(key.Versions[^1]), Key = KeyMessages.Of(key) };
    }

    public async ValueTask<V1.RevokeKeyVersionResponse> RevokeAsync(V1.RevokeKeyVersionRequest request, GrpcCall call)
    {
        var reason = KeyMessages.ParseReason(request.Reason);
        var number = Wishes.Version(request.Version) ?? throw Wishes.Invalid("version is missing.");
        var key = await rotation.RevokeAsync(call.HttpContext.Caller(), request.Key, number, reason, call.CancellationToken);
        return new V1.RevokeKeyVersionResponse { Version = KeyMessages.Of(key.Version(number)!), Key = KeyMessages.Of(key) };
    }

    public async ValueTask<V1.ListKeyVersionsResponse> ListAsync(V1.ListKeyVersionsRequest request, GrpcCall call)
    {
        var key = await keys.ReadAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken);
        var uses = await VersionEndpoints.UsesAsync(key, live, store, call.CancellationToken);
        return new V1.ListKeyVersionsResponse { Versions = { key.Versions.Zip(uses, (v, use) => KeyMessages.Of(SigningPeriod.Planned(key, v), use)) } };
    }

    public async ValueTask<V1.GetKeyTimelineResponse> GetTimelineAsync(V1.GetKeyTimelineRequest request, GrpcCall call)
    {
        var key = await keys.ReadAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken);
        var timeline = await VersionEndpoints.TimelineAsync(key, live, store, time, call.CancellationToken);
        return new V1.GetKeyTimelineResponse
        {
            KeyId = key.Id,
            KeyName = key.Name,
            State = KeyMessages.Of(key.State),
            DeletesAt = KeyMessages.Of(key.DeletesAt),
            Versions = { key.Versions.Zip(timeline.Versions, (v, use) => KeyMessages.Of(SigningPeriod.Planned(key, v), use)) },
            Due = { timeline.Due },
        };
    }

    public async ValueTask<V1.RewrapKeyResponse> RewrapAsync(V1.RewrapKeyRequest request, GrpcCall call) => new()
    {
        Key = KeyMessages.Of(await rotation.RewrapAsync(call.HttpContext.Caller(), request.Key, call.CancellationToken)),
    };

    public async ValueTask<V1.PutCertificateChainResponse> PutChainAsync(V1.PutCertificateChainRequest request, GrpcCall call)
    {
        var number = Wishes.Version(request.Version) ?? throw Wishes.Invalid("version is missing.");
        var key = await chains.PutAsync(call.HttpContext.Caller(), request.Key, number, request.Pem, call.CancellationToken);
        return new V1.PutCertificateChainResponse { Key = KeyMessages.Of(key) };
    }

    public async ValueTask<V1.PutAliasResponse> PutAliasAsync(V1.PutAliasRequest request, GrpcCall call)
    {
        var key = await aliases.PutAsync(
            call.HttpContext.Caller(), request.Alias, request.Key, call.CancellationToken, onlyIf: Wishes.Text(request.Etag));
        return new V1.PutAliasResponse { Alias = KeyMessages.Of(request.Alias, key) };
    }

    public async ValueTask<V1.GetAliasResponse> GetAliasAsync(V1.GetAliasRequest request, GrpcCall call)
    {
        var key = await aliases.ReadAsync(call.HttpContext.Caller(), request.Alias, call.CancellationToken);
        return new V1.GetAliasResponse { Alias = KeyMessages.Of(request.Alias, key) };
    }

    public async ValueTask<V1.ListAliasesResponse> ListAliasesAsync(V1.ListAliasesRequest request, GrpcCall call)
    {
        var all = await aliases.ListAsync(call.HttpContext.Caller(), call.CancellationToken);
        return new V1.ListAliasesResponse { Aliases = { all.Select(a => KeyMessages.Of(a.Alias, a.Key)) } };
    }

    public async ValueTask<V1.DeleteAliasResponse> DeleteAliasAsync(V1.DeleteAliasRequest request, GrpcCall call)
    {
        await aliases.DeleteAsync(call.HttpContext.Caller(), request.Alias, call.CancellationToken, Wishes.Text(request.Etag));
        return new V1.DeleteAliasResponse();
    }
}
