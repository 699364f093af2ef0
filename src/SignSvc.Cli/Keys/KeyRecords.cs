namespace SignSvc.Cli.Keys;

internal sealed record NewKeyBody(
    string Name, string Purpose, string Spec, string? Tier = null, string? Backend = null, string[]? Algorithms = null, string? Description = null,
    string? Owner = null, Dictionary<string, string>? Tags = null, RotationPolicy? Rotation = null, bool? DeletionProtection = null, string? Adopt = null,
    string? Origin = null, bool? MultiRegion = null, bool? Enabled = null, string[]? Aliases = null);

/// <summary>What is null stays as it is, in the rotation too; tags are replaced whole.</summary>
internal sealed record KeyUpdateBody(
    string? Description = null, string? Owner = null, Dictionary<string, string>? Tags = null, RotationPolicy? Rotation = null,
    bool? DeletionProtection = null, int? MinSigningVersion = null, int? MinVerificationVersion = null);

/// <param name="PeriodSeconds">Null, and in a change 0: on demand.</param>
internal sealed record RotationPolicy(long? PeriodSeconds, long? LeadSeconds, long? GraceSeconds, long? JitterSeconds = null, bool? Standby = null)
{
    public override string ToString()
    {
        var period = PeriodSeconds is { } seconds ? $"every {Durations.Text(seconds)}" : "on demand";
        if (JitterSeconds is > 0)
            period += $", up to {Durations.Text(JitterSeconds.Value)} sooner";
        var lead = LeadSeconds is { } before ? $", lead {Durations.Text(before)}" : "";
        var grace = GraceSeconds is { } after ? $", grace {Durations.Text(after)}" : "";
        return $"{period}{lead}{grace}{(Standby == true ? ", standby" : "")}";
    }
}

internal sealed record RevokeBody(string Reason);

internal sealed record VersionAnswer(
    int Version, string Kid, string State, string Protection, DateTimeOffset CreatedAt, DateTimeOffset? SignsFrom = null,
    DateTimeOffset? SignsUntil = null, string? Origin = null, string? BackendState = null);

internal sealed record KeyAnswer(
    string Id, string Name, string? Description, string? Owner, string Purpose, string Tier, string Backend,
    string Protection, string Spec, string[] Algorithms, string State, string[]? Aliases, Dictionary<string, string>? Tags,
    RotationPolicy? Rotation, bool DeletionProtection, DateTimeOffset CreatedAt, DateTimeOffset? DeletesAt,
    VersionAnswer[] Versions, string[]? Warnings, string? Etag = null, bool? MultiRegion = null,
    string? Origin = null, int MinSigningVersion = 1, int MinVerificationVersion = 1)
{
    /// <summary>The newest version that signs, else the newest.</summary>
    public VersionAnswer? Current => Active ?? Versions.LastOrDefault();

    public VersionAnswer? Active => Array.FindLast(Versions, v => string.Equals(v.State, "active", StringComparison.Ordinal));

    public bool Is(string state) => string.Equals(State, state, StringComparison.Ordinal);
}

internal sealed record KeyList(KeyAnswer[] Keys, string? Next);

/// <param name="RemovableAt">From when on nobody needs its public key any more.</param>
internal sealed record VersionUse(
    int Version, string Kid, string State, DateTimeOffset CreatedAt, DateTimeOffset? SignsFrom, DateTimeOffset? RetiresAt,
    DateTimeOffset? SignsUntil, DateTimeOffset? RetiredAt, DateTimeOffset? RevokedAt, string? RevocationReason, long Uses,
    DateTimeOffset? LastUsedAt, DateTimeOffset? TokensExpireAt, DateTimeOffset? RemovableAt, DateTimeOffset? SafeToDeleteAt = null);

internal sealed record VersionUseList(VersionUse[] Versions);

internal sealed record TimelineAnswer(string Key, string State, DateTimeOffset? DeletesAt, VersionUse[] Versions, string[]? Due);

internal sealed record AliasBody(string Key);

internal sealed record AliasAnswer(string Alias, string KeyId, string Key);

internal sealed record AliasList(AliasAnswer[] Aliases);
