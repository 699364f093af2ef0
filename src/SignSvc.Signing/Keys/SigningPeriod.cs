using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Signing.Keys;

/// <summary>From when until when a version signs, as the policy of its key has it.</summary>
public static class SigningPeriod
{
    /// <summary>How long the key's next version is published before it signs, as the policy has it.</summary>
    public static TimeSpan LeadOf(Key key) => (key.Rotation ?? RotationPolicy.Parse(key.Purpose, null, null, null)).Lead;

    /// <summary>The lead as things stand: none where the key <see cref="IsCutOff"/>.</summary>
    public static TimeSpan NextLeadOf(Key key) => IsCutOff(key) ? TimeSpan.Zero : LeadOf(key);

    /// <summary>
    /// Nothing signs, because the version that did was revoked when there was no successor and none could be made. The next
    /// one signs as soon as every node serves it, as if it had been made at once: to wait would spare no verifier anything,
    /// and tokens would be missing for longer.
    /// </summary>
    public static bool IsCutOff(Key key) =>
        key.Versions.All(v => v.State != VersionState.Active)
        && key.Versions.LastOrDefault(v => v.State != VersionState.Announced && !v.NeverSigned) is { State: VersionState.Revoked, RetiredAt: null };

    /// <summary>The moments of a version that follow from when it begins to sign.</summary>
    public static KeyVersion From(DateTimeOffset signsFrom, Key key, KeyVersion version)
    {
        var retiresAt = signsFrom + (key.Rotation is { } policy ? PeriodOf(policy, version) : null);
        return version with { SignsFrom = signsFrom, RetiresAt = retiresAt, SignsUntil = retiresAt + key.Rotation?.Grace };
    }

    /// <summary>
    /// The version with the moments to come as things stand now: an announced one that nobody hastens takes over when the
    /// period before it ends, however early it was announced, and its own period begins then. Where it waits to be asked,
    /// it may sign from the end of its lead, and the end of its period is not known.
    /// </summary>
    public static KeyVersion Planned(Key key, KeyVersion version)
    {
        if (version.State != VersionState.Announced || version.TakesOverEarly || key.Versions.LastOrDefault(v => v.State == VersionState.Active) is not { } active)
            return version;
        return active.RetiresAt is { } end
            ? From(Later(version.SignsFrom, end), key, version)
            : version with { RetiresAt = null, SignsUntil = null };
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
                    VersionState.Announced => From((v.ServedAt ?? now) + NextLeadOf(changed), changed, v),
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
        if (PeriodOf(policy, version) is not { } period)
            return version with { RetiresAt = null, SignsUntil = null };
        var soonest = now + policy.Lead + KeySchedule.Margin(period);
        var retiresAt = Later(version.SignsFrom + period, version.RetiresAt < soonest ? version.RetiresAt.Value : soonest);
        return version with { RetiresAt = retiresAt, SignsUntil = retiresAt + policy.Grace };
    }

    /// <summary>The version's own: less its share of the jitter, which follows from key and number, so that what is due follows from the key alone.</summary>
    private static TimeSpan? PeriodOf(RotationPolicy policy, KeyVersion version)
    {
        if (policy.Period is null || policy.Jitter == TimeSpan.Zero)
            return policy.Period;
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.ASCII.GetBytes(FormattableString.Invariant($"{version.KeyId}/{version.Number}")), hash);
        var share = BinaryPrimitives.ReadUInt32BigEndian(hash) / (double)uint.MaxValue;
        return policy.Period - TimeSpan.FromSeconds(Math.Floor(share * policy.Jitter.TotalSeconds));
    }

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;
}
