using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using V1 = SignSvc.Grpc.V1;

namespace SignSvc.Keys;

/// <summary>Keys as gRPC shows them, and its enumerations.</summary>
internal static class KeyMessages
{
    /// <param name="backends">Whose findings to show; null: none.</param>
    public static V1.Key Of(Key key, bool withVersions = true, BackendSet? backends = null)
    {
        var message = new V1.Key
        {
            Id = key.Id,
            Name = key.Name,
            Aliases = { key.Aliases },
            Purpose = key.Purpose == KeyPurpose.Tokens ? V1.KeyPurpose.Tokens : V1.KeyPurpose.Artifacts,
            Tier = key.Tier == KeyTier.Volume ? V1.KeyTier.Volume : V1.KeyTier.Assured,
            Backend = key.Backend,
            Protection = Of(key.Protection),
            Spec = key.Spec.Name,
            Algorithms = { key.Algorithms.Select(a => a.Name) },
            State = Of(key.State),
            Owner = key.Owner ?? "",
            Description = key.Description ?? "",
            Tags = { key.Tags },
            RotationPeriod = Of(key.Rotation?.Period),
            RotationLead = Of(key.Rotation?.Lead),
            RotationGrace = Of(key.Rotation?.Grace),
            RotationJitter = Of(key.Rotation?.Jitter),
            RotationStandby = key.Rotation is { Standby: true },
            Etag = KeyTag.Of(key),
            CreatedAt = Timestamp.FromDateTimeOffset(key.CreatedAt),
            DeletesAt = Of(key.DeletesAt),
            Warnings = { KeyWarnings.Of(key, backends) ?? [] },
            DeletionProtection = key.DeletionProtection,
            MinSigningVersion = (uint)key.MinSigningVersion,
            MinVerificationVersion = (uint)key.MinVerificationVersion,
            Origin = Of(key.Origin),
        };
        if (key.MultiRegion is { } multiRegion)
            message.MultiRegion = multiRegion;
        if (withVersions)
            message.Versions.Add(key.Versions.Select(v => Of(key, v, backends)));
        return message;
    }

    private static V1.KeyVersion Of(Key key, KeyVersion version, BackendSet? backends)
    {
        var message = Of(SigningPeriod.Planned(key, version));
        if (backends is not null)
            message.BackendState = BackendDrift.StateOf(backends, key, version)?.Name ?? "";
        return message;
    }

    public static V1.KeyVersion Of(KeyVersion version) => new()
    {
        Version = (uint)version.Number,
        Kid = version.Kid,
        State = Of(version.State),
        Protection = Of(version.Protection),
        PublicKey = ByteString.CopyFrom(version.PublicKey.Spki.Span),
        CreatedAt = Timestamp.FromDateTimeOffset(version.CreatedAt),
        SignsFrom = Timestamp.FromDateTimeOffset(version.SignsFrom),
        SignsUntil = Of(version.SignsUntil),
        Origin = Of(version.Origin),
        ServedAt = Of(version.ServedAt),
        RetiresAt = Of(version.RetiresAt),
        RetiredAt = Of(version.RetiredAt),
        RevokedAt = Of(version.RevokedAt),
        RevocationReason = version.RevocationReason switch
        {
            null => "",
            RevocationReason.Compromised => "compromised",
            RevocationReason.Superseded => "superseded",
            _ => "ceased",
        },
    };

    public static V1.VersionUse Of(KeyVersion version, VersionUse use) => new()
    {
        Version = Of(version),
        Uses = use.Uses,
        LastUsedAt = Of(use.LastUsedAt),
        TokensExpireAt = Of(use.TokensExpireAt),
        RemovableAt = Of(use.RemovableAt),
        SafeToDeleteAt = Of(use.SafeToDeleteAt),
    };

    public static V1.Alias Of(string alias, Key key) => new() { Alias_ = alias, KeyId = key.Id, KeyName = key.Name };

    public static V1.Protection Of(Protection protection) => protection switch
    {
        Protection.Hsm => V1.Protection.Hsm,
        Protection.Kms => V1.Protection.Kms,
        _ => V1.Protection.Software,
    };

    /// <summary>Null: not given.</summary>
    public static KeyPurpose? Parse(V1.KeyPurpose purpose) => purpose switch
    {
        V1.KeyPurpose.Unspecified => null,
        V1.KeyPurpose.Artifacts => KeyPurpose.Artifacts,
        V1.KeyPurpose.Tokens => KeyPurpose.Tokens,
        _ => throw Wishes.Unknown("purpose"),
    };

    /// <summary>Null: not given.</summary>
    public static KeyTier? Parse(V1.KeyTier tier) => tier switch
    {
        V1.KeyTier.Unspecified => null,
        V1.KeyTier.Assured => KeyTier.Assured,
        V1.KeyTier.Volume => KeyTier.Volume,
        _ => throw Wishes.Unknown("tier"),
    };

    /// <summary>Null: not given.</summary>
    public static KeyState? Parse(V1.KeyState state) => state switch
    {
        V1.KeyState.Unspecified => null,
        V1.KeyState.Enabled => KeyState.Enabled,
        V1.KeyState.Disabled => KeyState.Disabled,
        V1.KeyState.PendingDeletion => KeyState.PendingDeletion,
        V1.KeyState.Deleted => KeyState.Deleted,
        _ => throw Wishes.Unknown("state"),
    };

    /// <summary>Null: not given.</summary>
    public static KeyOrigin? Parse(V1.KeyOrigin origin) => origin switch
    {
        V1.KeyOrigin.Unspecified => null,
        V1.KeyOrigin.Generated => KeyOrigin.Generated,
        V1.KeyOrigin.Imported => KeyOrigin.Imported,
        V1.KeyOrigin.Adopted => KeyOrigin.Adopted,
        _ => throw Wishes.Unknown("origin"),
    };

    public static RevocationReason ParseReason(string reason) => reason switch
    {
        "" or "compromised" => RevocationReason.Compromised,
        "superseded" => RevocationReason.Superseded,
        "ceased" => RevocationReason.Ceased,
        _ => throw Wishes.Invalid("reason is compromised, superseded or ceased."),
    };

    public static V1.KeyState Of(KeyState state) => state switch
    {
        KeyState.Enabled => V1.KeyState.Enabled,
        KeyState.Disabled => V1.KeyState.Disabled,
        KeyState.PendingDeletion => V1.KeyState.PendingDeletion,
        KeyState.Deleted => V1.KeyState.Deleted,
        _ => V1.KeyState.Unspecified,
    };

    private static V1.KeyOrigin Of(KeyOrigin origin) => origin switch
    {
        KeyOrigin.Imported => V1.KeyOrigin.Imported,
        KeyOrigin.Adopted => V1.KeyOrigin.Adopted,
        _ => V1.KeyOrigin.Generated,
    };

    private static V1.VersionState Of(VersionState state) => state switch
    {
        VersionState.Announced => V1.VersionState.Announced,
        VersionState.Active => V1.VersionState.Active,
        VersionState.Retired => V1.VersionState.Retired,
        VersionState.Removed => V1.VersionState.Removed,
        VersionState.Destroyed => V1.VersionState.Destroyed,
        VersionState.Revoked => V1.VersionState.Revoked,
        _ => V1.VersionState.Unspecified,
    };

    public static Timestamp? Of(DateTimeOffset? at) => at is null ? null : Timestamp.FromDateTimeOffset(at.Value);

    private static Duration? Of(TimeSpan? span) => span is null ? null : Duration.FromTimeSpan(span.Value);
}
