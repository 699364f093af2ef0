namespace SignSvc.Signing.Keys;

/// <summary>From when until when a version signs, as the policy of its key has it.</summary>
public static class SigningPeriod
{
    /// <summary>How long the key's next version is published before it signs.</summary>
    public static TimeSpan LeadOf(Key key) => (key.Rotation ?? RotationPolicy.Parse(key.Purpose, null, null, null)).Lead;

    /// <summary>The moments of a version that follow from when it begins to sign.</summary>
    public static KeyVersion From(DateTimeOffset signsFrom, Key key, KeyVersion version)
    {
        var retiresAt = signsFrom + key.Rotation?.Period;
        return version with { SignsFrom = signsFrom, RetiresAt = retiresAt, SignsUntil = retiresAt + key.Rotation?.Grace };
    }

    /// <summary>
    /// The key under another policy, which holds at once: for the version that signs and for the one that waits. A shorter
    /// period leaves time to announce the successor; and the same policy given again changes nothing.
    /// </summary>
    public static Key Under(RotationPolicy policy, Key key, DateTimeOffset now)
    {
        var changed = key with { Rotation = policy };
        return changed with
        {
            Versions =
            [
                .. key.Versions.Select(v => v.State switch
                {
                    VersionState.Active => Signing(policy, v, now),
                    VersionState.Announced => From((v.ServedAt ?? now) + policy.Lead, changed, v),
                    _ => v,
                }),
            ],
        };
    }

    private static KeyVersion Signing(RotationPolicy policy, KeyVersion version, DateTimeOffset now)
    {
        // A hard stop that has passed is not taken back.
        if (now >= version.SignsUntil)
            return version;
        if (policy.Period is not { } period)
            return version with { RetiresAt = null, SignsUntil = null };
        var soonest = now + policy.Lead + KeySchedule.Margin(period);
        var retiresAt = Later(version.SignsFrom + period, version.RetiresAt < soonest ? version.RetiresAt.Value : soonest);
        return version with { RetiresAt = retiresAt, SignsUntil = retiresAt + policy.Grace };
    }

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;
}
