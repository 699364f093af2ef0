namespace SignSvc.Signing.Keys;

/// <summary>
/// A version's moments in their order, each no earlier than the one before: what has happened as it happened, and what is
/// to come as policy, announced successor and tokens stand now.
/// </summary>
/// <param name="SignsFrom">Of a version that waits to be asked: from when on it may. Null: it was revoked before it ever signed.</param>
/// <param name="RetiresAt">When its successor takes over, or took over; null: when it is rotated.</param>
/// <param name="StopsAt">When it signed, or may sign, at the latest: its hard stop, where nothing stopped it before. Null: it signs until it is rotated.</param>
/// <param name="RemovableAt">From when on it is in the key set for nobody: its last token has expired. Null: not known, or a key for artifacts, which are verified for years.</param>
/// <param name="SafeToDeleteAt">From when on the key can be deleted as far as this version's tokens go. Null: not known, or a key for artifacts.</param>
public sealed record VersionTimeline(
    DateTimeOffset AnnouncedAt, DateTimeOffset? SignsFrom, DateTimeOffset? RetiresAt, DateTimeOffset? StopsAt, DateTimeOffset? RemovableAt,
    DateTimeOffset? SafeToDeleteAt)
{
    /// <param name="latestExpiry">The greatest <c>exp</c> it ever signed; null: none.</param>
    /// <param name="longestLife">How long a token lives that it signs at its last moment.</param>
    public static VersionTimeline Of(Key key, KeyVersion version, DateTimeOffset? latestExpiry, TimeSpan longestLife)
    {
        version = SigningPeriod.Planned(key, version);
        var stopped = Earliest(version.RetiredAt, version.RevokedAt);
        var retires = Earliest(stopped, version.RetiresAt, TakenOverAt(key, version));
        var stops = stopped is null ? version.SignsUntil ?? retires : Earliest(stopped, version.SignsUntil);
        // What has stopped signs no further token; what has not may sign one at its last moment.
        var ends = stopped ?? stops + longestLife;
        var removable = Removable(key, version, Later(latestExpiry, ends));
        return new VersionTimeline(
            version.CreatedAt, version.NeverSigned ? null : version.SignsFrom, version.NeverSigned ? null : retires, stops,
            removable, removable is null ? null : Later(removable.Value, latestExpiry is { } expiry ? TokensEndedAt(expiry) : null));
    }

    /// <summary>Verifiers whose clocks are late have let go of the last token, and nodes that are behind of the key set that had its kid.</summary>
    public static DateTimeOffset TokensEndedAt(DateTimeOffset expiry) => expiry + KeySchedule.Skew + KeySchedule.Convergence;

    /// <summary>A revoked version leaves at once, if it has not left before.</summary>
    private static DateTimeOffset? Removable(Key key, KeyVersion version, DateTimeOffset? ends) =>
        key.Purpose != KeyPurpose.Tokens ? null : Earliest(version.RevokedAt, ends is { } end ? TokensEndedAt(end) : null);

    /// <summary>A successor that was asked for does not wait for the period's end.</summary>
    private static DateTimeOffset? TakenOverAt(Key key, KeyVersion version) =>
        version.State == VersionState.Active
        && key.Versions.FirstOrDefault(v => v is { State: VersionState.Announced, TakesOverEarly: true }) is { } next
        && next.SignsFrom >= version.SignsFrom
            ? next.SignsFrom
            : null;

    private static DateTimeOffset? Earliest(params ReadOnlySpan<DateTimeOffset?> moments)
    {
        DateTimeOffset? earliest = null;
        foreach (var moment in moments)
        {
            if (earliest is null || moment < earliest)
                earliest = moment ?? earliest;
        }

        return earliest;
    }

    private static DateTimeOffset? Later(DateTimeOffset? a, DateTimeOffset? b) => a is null || b > a ? b : a;
}
