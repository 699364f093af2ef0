namespace SignSvc.Signing.Telemetry.Usage;

/// <summary>What counts as unusual. Stricter, and a new job or a moved runner raises an alarm; laxer, and a thief goes unseen for longer.</summary>
public sealed record UsageLimits
{
    /// <summary>How long a caller or grant is watched before anything about it is called unusual.</summary>
    public TimeSpan Learning { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How many times its highest rate it may reach.</summary>
    public double RateFactor { get; init; } = 4;

    /// <summary>Uses in five minutes that are never too many.</summary>
    public int RateFloor { get; init; } = 100;

    /// <summary>Callers, and grants, that are watched at once, some 2 KiB each; those that were silent longest are forgotten first. 0: nobody is.</summary>
    public int Subjects { get; init; } = 4096;
}

/// <summary>In what a use is unlike those before.</summary>
public enum UsageBreakKind
{
    /// <summary>More in five minutes than a multiple of the most there ever was.</summary>
    Rate,

    /// <summary>From a network that it never came from: an IPv4 /24, an IPv6 /64.</summary>
    Address,

    /// <summary>At an hour of the day, in UTC, at which it never came, nor in the hours beside it.</summary>
    Hour,
}

/// <summary>Whose use it is.</summary>
public enum UsageSubject
{
    Caller,
    Grant,
}

/// <param name="Name">A principal, or a grant's id.</param>
/// <param name="Seen">What is unusual, in words.</param>
/// <param name="Known">What would have been usual, in words.</param>
public sealed record UsageBreak(UsageSubject Subject, string Name, UsageBreakKind Kind, DateTimeOffset At, string Seen, string Known);
