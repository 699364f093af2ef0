namespace SignSvc.Signing.Backends.Budgets;

/// <summary>What one budget may spend, and when it gives up. One stands for each (account, Region, key family).</summary>
public sealed record BudgetLimits
{
    /// <summary>The backend's quota in calls per second; null: none, only calls in flight are bounded. Set above the real quota, it is found by throttling; set below, capacity is left unused.</summary>
    public double? PerSecond { get; init; }

    /// <summary>Calls that may leave at once after a pause, in time's worth of the rate. It evens out late timers; below the second's worth that a backend's own bucket is likely to hold.</summary>
    public TimeSpan Burst { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>What a throttle leaves of the rate.</summary>
    public double DecreaseFactor { get; init; } = 0.75;

    /// <summary>Throttles within this time are one event: they answer calls that left before the rate was lowered. As long, less a half, nothing leaves.</summary>
    public TimeSpan DecreaseInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Share of <see cref="PerSecond"/> by which the rate rises each second.</summary>
    public double IncreasePerSecond { get; init; } = 0.03;

    /// <summary>Share of <see cref="PerSecond"/> below which the rate does not fall, so that an end of the throttling is noticed.</summary>
    public double LeastShare { get; init; } = 0.1;

    /// <summary>Calls that may wait, in both lanes together; more are refused at once.</summary>
    public int QueueLimit { get; init; } = 1_024;

    /// <summary>Where somebody has to be refused though the queue is longer than this, more come than leave: it is overloaded until it is empty.</summary>
    public TimeSpan LongQueue { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>What a newcomer may spend of its patience in the queue while it is overloaded; the others are refused at once.</summary>
    public double OverloadShare { get; init; } = 0.2;

    /// <summary>Calls that may be at the backend at once.</summary>
    public int InFlightLimit { get; init; } = 512;

    /// <summary>Where both lanes wait, one call in so many is from the bulk lane.</summary>
    public int BulkTurn { get; init; } = 8;

    /// <summary>Failures in a row after which the backend counts as down.</summary>
    public int BreakerFailures { get; init; } = 5;

    /// <summary>How long calls are refused before one is let through to see; doubled by each that fails, up to <see cref="BreakerOpenMost"/>.</summary>
    public TimeSpan BreakerOpen { get; init; } = TimeSpan.FromMilliseconds(500);

    public TimeSpan BreakerOpenMost { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Every fault at once; empty where the limits hold.</summary>
    public IReadOnlyList<string> Validate()
    {
        var faults = new List<string>();
        void Check(bool holds, string fault)
        {
            if (!holds)
                faults.Add(fault);
        }

        Check(PerSecond is null or (>= 0.01 and <= 1_000_000), $"{nameof(PerSecond)} must be 0.01 to 1,000,000.");
        Check(Burst > TimeSpan.Zero && Burst <= TimeSpan.FromSeconds(10), $"{nameof(Burst)} must be above 0 and at most 10 s.");
        Check(DecreaseFactor is > 0 and < 1, $"{nameof(DecreaseFactor)} must be between 0 and 1.");
        Check(DecreaseInterval > TimeSpan.Zero && DecreaseInterval <= TimeSpan.FromSeconds(10), $"{nameof(DecreaseInterval)} must be above 0 and at most 10 s.");
        Check(IncreasePerSecond is > 0 and <= 1, $"{nameof(IncreasePerSecond)} must be above 0 and at most 1.");
        Check(LeastShare is > 0 and <= 1, $"{nameof(LeastShare)} must be above 0 and at most 1.");
        Check(QueueLimit is >= 0 and <= 1_000_000, $"{nameof(QueueLimit)} must be 0 to 1,000,000.");
        Check(LongQueue > TimeSpan.Zero && LongQueue <= TimeSpan.FromMinutes(5), $"{nameof(LongQueue)} must be above 0 and at most 5 minutes.");
        Check(OverloadShare is > 0 and <= 1, $"{nameof(OverloadShare)} must be above 0 and at most 1.");
        Check(InFlightLimit is >= 1 and <= 100_000, $"{nameof(InFlightLimit)} must be 1 to 100,000.");
        Check(BulkTurn is >= 2 and <= 1_000, $"{nameof(BulkTurn)} must be 2 to 1,000.");
        Check(BreakerFailures is >= 1 and <= 10_000, $"{nameof(BreakerFailures)} must be 1 to 10,000.");
        Check(BreakerOpen > TimeSpan.Zero && BreakerOpen <= BreakerOpenMost, $"{nameof(BreakerOpen)} must be above 0 and at most {nameof(BreakerOpenMost)}.");
        Check(BreakerOpenMost <= TimeSpan.FromMinutes(5), $"{nameof(BreakerOpenMost)} must be at most 5 minutes.");
        return faults;
    }
}
