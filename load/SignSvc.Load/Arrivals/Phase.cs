namespace SignSvc.Load.Arrivals;

/// <summary>A stretch of time in which the rate of arrivals goes evenly from one value to another.</summary>
/// <param name="FromRate">Arrivals a second.</param>
public sealed record Phase(TimeSpan Length, double FromRate, double ToRate)
{
    /// <summary>Arrivals that are due in it, on average.</summary>
    public double Total => CountAt(Length);

    public double RateAt(TimeSpan at) => FromRate + ((ToRate - FromRate) * (at / Length));

    /// <summary>Arrivals that are due until then.</summary>
    public double CountAt(TimeSpan at) => (FromRate + RateAt(at)) / 2 * at.TotalSeconds;

    /// <summary>The inverse of <see cref="CountAt"/>.</summary>
    /// <param name="count">Above 0, up to <see cref="Total"/>.</param>
    public TimeSpan TimeOf(double count)
    {
        var slope = (ToRate - FromRate) / Length.TotalSeconds;
        // FromRate·t + slope·t²/2 = count; this form of the root has no cancellation where the slope is near zero.
        var root = Math.Sqrt(Math.Max(0, (FromRate * FromRate) + (2 * slope * count)));
        return TimeSpan.FromSeconds(Math.Min(Length.TotalSeconds, 2 * count / (FromRate + root)));
    }
}
