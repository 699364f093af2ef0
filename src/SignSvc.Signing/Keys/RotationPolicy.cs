namespace SignSvc.Signing.Keys;

/// <summary>
/// When a key's versions follow one another. In the words of the timeline: a version signs for <see cref="Period"/>,
/// after its public key has been served for <see cref="Lead"/>; if no successor is ready by then it may go on for
/// <see cref="Grace"/>, under an alarm, and not a moment longer.
/// </summary>
public sealed record RotationPolicy
{
    public static readonly TimeSpan MinPeriod = TimeSpan.FromHours(1);
    public static readonly TimeSpan MaxPeriod = TimeSpan.FromDays(2560);

    /// <summary>How long one version signs; null: it is rotated on demand only.</summary>
    public TimeSpan? Period { get; init; }

    /// <summary>
    /// How much earlier a version may retire, so that keys made together do not rotate together: each version has a share
    /// of its own between nothing and this, always the same one. At most a quarter of the period.
    /// </summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>
    /// How long a public key is served before its version signs. At least the JWKS' max-age, the slowest verifier's
    /// refresh, the replicas' convergence and the clock skew together; shorter, and verifiers refuse good tokens.
    /// </summary>
    public TimeSpan Lead { get; init; }

    /// <summary>How long a version may sign beyond its period while its successor is not ready.</summary>
    public TimeSpan Grace { get; init; }

    /// <summary>
    /// There is an announced successor at all times, not only within a lead of the period's end: made as soon as the one
    /// before it takes over, published since, and ready for a rotation on demand and for a revocation, by which verifiers
    /// then miss nothing. Its private key exists for as long, in the same backend.
    /// </summary>
    public bool Standby { get; init; }

    /// <summary>Tokens: a day's lead, or a quarter of a short period. Artifacts: no lead, because their verifiers are given the public key with the artifact's policy and do not poll for it.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>.</exception>
    public static RotationPolicy Parse(KeyPurpose purpose, int? periodSeconds, int? leadSeconds, int? graceSeconds, int? jitterSeconds = null, bool standby = false)
    {
        TimeSpan? period = periodSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
        if (period < MinPeriod || period > MaxPeriod)
            throw Invalid($"The rotation period is from {MinPeriod.TotalSeconds} to {MaxPeriod.TotalSeconds} seconds.");
        var usual = purpose == KeyPurpose.Artifacts ? TimeSpan.Zero : TimeSpan.FromDays(1);
        if (period is { } span && span / 4 < usual)
            usual = span / 4;
        var lead = leadSeconds is { } given ? TimeSpan.FromSeconds(given) : usual;
        if (lead < TimeSpan.Zero || lead > (period / 2 ?? TimeSpan.FromDays(30)))
            throw Invalid("The lead is from 0 seconds to half of the period, or 30 days where there is no period.");
        var grace = graceSeconds is { } further ? TimeSpan.FromSeconds(further) : lead;
        if (grace < TimeSpan.Zero || grace > TimeSpan.FromDays(90))
            throw Invalid("The grace is from 0 seconds to 90 days.");
        var jitter = TimeSpan.FromSeconds(jitterSeconds ?? 0);
        if (jitter < TimeSpan.Zero || jitter > (period / 4 ?? TimeSpan.Zero))
            throw Invalid("The jitter is from 0 seconds to a quarter of the period.");
        return new RotationPolicy { Period = period, Jitter = jitter, Lead = lead, Grace = grace, Standby = standby };
    }

    private static SigningException Invalid(string message) => new(SigningFault.InvalidRequest, message);
}

/// <summary>A rotation policy as it is asked for; what is null is chosen by <see cref="RotationPolicy.Parse"/>.</summary>
public sealed record RotationWish(
    int? PeriodSeconds = null, int? LeadSeconds = null, int? GraceSeconds = null, int? JitterSeconds = null, bool? Standby = null)
{
    /// <summary>
    /// Read as a change of the policy that a key has: what is null stays, and a period of 0 is none. Lead, grace and jitter
    /// depend on the period, so that with another one those that are null are chosen anew.
    /// </summary>
    public RotationWish Over(RotationPolicy? current)
    {
        var before = Seconds(current?.Period);
        var period = PeriodSeconds switch { null => before, 0 => null, _ => PeriodSeconds };
        var kept = period == before ? current : null;
        return new RotationWish(
            period, LeadSeconds ?? Seconds(kept?.Lead), GraceSeconds ?? Seconds(kept?.Grace), JitterSeconds ?? Seconds(kept?.Jitter), Standby ?? current?.Standby);
    }

    private static int? Seconds(TimeSpan? span) => (int?)span?.TotalSeconds;
}
