using System.Collections.Immutable;

namespace SignSvc.Signing.Keys;

/// <summary>One thing that is due on a key.</summary>
public abstract record DueStep
{
    private DueStep()
    {
    }

    /// <summary>Make a successor's key pair and publish it.</summary>
    public sealed record Announce : DueStep;

    /// <summary>If every live node serves the version: note the time, from which its lead runs.</summary>
    public sealed record ConfirmServed(int Version) : DueStep;

    /// <summary>The version signs from now on; all before it retire.</summary>
    public sealed record Activate(int Version) : DueStep;

    /// <summary>Its hard stop has passed: it signs no more, whether or not there is a successor.</summary>
    public sealed record Retire(int Version) : DueStep;

    /// <summary>Its last token has expired: it leaves the key set.</summary>
    public sealed record Remove(int Version) : DueStep;

    /// <summary>Its private key is of no more use and is ended.</summary>
    public sealed record Destroy(int Version) : DueStep;

    /// <summary>The waiting time is over: the key goes, with all its private keys.</summary>
    public sealed record Delete : DueStep;

    /// <summary>Nothing is done by itself; somebody has to know.</summary>
    public sealed record Alarm(string Message) : DueStep;
}

/// <summary>
/// What is due on a key: a pure function of the key, of what its versions signed, and of the time, so that a missed tick,
/// a restart or a second node changes nothing but the moment at which it is done.
/// </summary>
public static class KeySchedule
{
    /// <summary>Clock skew that verifiers allow (S).</summary>
    public static readonly TimeSpan Skew = TimeSpan.FromSeconds(300);

    /// <summary>Convergence of the nodes (R).</summary>
    public static readonly TimeSpan Convergence = TimeSpan.FromSeconds(60);

    /// <param name="latestExpiry">The greatest <c>exp</c> a version ever signed, by kid, as the store has it; null where it signed no token.</param>
    public static ImmutableArray<DueStep> Due(Key key, Func<string, DateTimeOffset?> latestExpiry, DateTimeOffset now)
    {
        var due = ImmutableArray.CreateBuilder<DueStep>();
        if (key.State == KeyState.Deleted)
            return [];
        // Later than the last cancellation can be on its way: whoever cancels is refused from DeletesAt on.
        if (key.State == KeyState.PendingDeletion)
            return now >= key.DeletesAt + Convergence ? [new DueStep.Delete()] : [];

        AddSuccession(key, now, due);
        foreach (var version in key.Versions)
            AddEnding(key, version, latestExpiry, now, due);
        return due.ToImmutable();
    }

    /// <summary>Earliest first: what was announced is confirmed, then waits its lead, then takes over.</summary>
    private static void AddSuccession(Key key, DateTimeOffset now, ImmutableArray<DueStep>.Builder due)
    {
        var active = key.Versions.LastOrDefault(v => v.State == VersionState.Active);
        var next = key.Versions.FirstOrDefault(v => v.State == VersionState.Announced);
        if (key.Versions.IsEmpty)
            return;
        // Confirmed in the future: the clock has been set back since, and the lead is counted anew.
        var isUnconfirmed = next is not null && (next.ServedAt is null || next.ServedAt > now + Skew);
        var mayTakeOver = next is not null && !isUnconfirmed && (now >= next.SignsFrom || SigningPeriod.IsCutOff(key));

        var takesOver = mayTakeOver && (next!.TakesOverEarly || IsTimeToTakeOver(active, now));

        if (isUnconfirmed)
            due.Add(new DueStep.ConfirmServed(next!.Number));
        else if (takesOver)
            due.Add(new DueStep.Activate(next!.Number));

        if (next is null && (active is null || key.Rotation is { Standby: true } || IsTimeForSuccessor(key, active, now)))
            due.Add(key.Origin == KeyOrigin.Generated ? new DueStep.Announce() : new DueStep.Alarm("its successor has to be imported"));

        if (now >= active?.SignsUntil && !takesOver)
            due.Add(new DueStep.Retire(active.Number));
        if (!takesOver && Lacks(key, active, next, now) is { } lack)
            due.Add(new DueStep.Alarm(lack));
    }

    private static bool IsTimeToTakeOver(KeyVersion? active, DateTimeOffset now) => active is null || now >= SuccessionAt(active);

    /// <summary>
    /// When a version's successor is to take over: at the end of its period; where there is little or no grace before the
    /// hard stop, a margin before that. Null: it has no period.
    /// </summary>
    public static DateTimeOffset? SuccessionAt(KeyVersion version)
    {
        if (version.RetiresAt is not { } end)
            return null;
        var last = version.SignsUntil - Margin(end - version.SignsFrom);
        return last < end ? last : end;
    }

    /// <summary>What keeps the key from signing, or will; null where all is well.</summary>
    private static string? Lacks(Key key, KeyVersion? active, KeyVersion? next, DateTimeOffset now)
    {
        var hope = next is null ? "" : $"; version {next.Number} does not before {next.SignsFrom:u}";
        return active switch
        {
            null when SigningPeriod.IsCutOff(key) => $"no version signs: the one that did was revoked, and no successor could be made; {(next is null ? "the next one" : $"version {next.Number}")} signs as soon as every node serves it",
            null => $"no version signs{hope}",
            _ when now < active.SignsFrom => $"version {active.Number} does not sign before {active.SignsFrom:u}: if the clock is right now, rotate on demand{hope}",
            _ when now >= active.SignsUntil => $"no version signs: version {active.Number} has reached its hard stop{hope}",
            _ when now >= active.RetiresAt => $"the successor of version {active.Number} is not ready; it signs on until {active.SignsUntil:u}{hope}",
            _ => null,
        };
    }

    /// <summary>The lead, and a margin in which a failed attempt can be repeated.</summary>
    private static bool IsTimeForSuccessor(Key key, KeyVersion active, DateTimeOffset now) =>
        active.RetiresAt is { } end && now >= end - SigningPeriod.LeadOf(key) - Margin(end - active.SignsFrom);

    /// <summary>How long before it is needed a successor is announced at the latest, over its lead: room for a failed attempt.</summary>
    public static TimeSpan Margin(TimeSpan period) =>
        period / 10 < TimeSpan.FromHours(1) ? period / 10 : TimeSpan.FromHours(1);

    private static void AddEnding(
        Key key, KeyVersion version, Func<string, DateTimeOffset?> latestExpiry, DateTimeOffset now, ImmutableArray<DueStep>.Builder due)
    {
        var hasHandle = version.Handle is not null;
        switch (version.State)
        {
            // Artifacts are verified for years: their versions stay published until an operator says otherwise.
            case VersionState.Retired when key.Purpose == KeyPurpose.Tokens
                && now >= VersionTimeline.TokensEndedAt(Later(latestExpiry(version.Kid) ?? DateTimeOffset.MinValue, version.RetiredAt))
                && key.Versions.Any(v => v.IsPublished && v.Number != version.Number):
                due.Add(new DueStep.Remove(version.Number));
                break;
            case VersionState.Retired when key.Tier == KeyTier.Volume && hasHandle && now >= version.RetiredAt + Convergence:
            case VersionState.Removed or VersionState.Revoked when key.Tier == KeyTier.Volume && hasHandle:
                due.Add(new DueStep.Destroy(version.Number));
                break;
        }
    }

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset? b) => b > a ? b.Value : a;
}
