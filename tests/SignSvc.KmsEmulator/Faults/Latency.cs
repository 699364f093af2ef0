namespace SignSvc.Emulation.Faults;

/// <summary>
/// Time an answer takes beside the work itself: log-normal with this median and 99th percentile, which is the shape of
/// a remote service's latency.
/// </summary>
public sealed record Latency(TimeSpan Median, TimeSpan Percentile99)
{
    public static readonly Latency None = new(TimeSpan.Zero, TimeSpan.Zero);

    /// <summary>The standard normal distribution's 99th percentile.</summary>
    private const double Z99 = 2.3263;

    public TimeSpan Draw(Random random)
    {
        if (Median <= TimeSpan.Zero)
            return TimeSpan.Zero;

        // Box-Muller: a standard normal deviate from two uniform ones.
        var normal = Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        var sigma = Percentile99 > Median ? Math.Log(Percentile99 / Median) / Z99 : 0;
        return Median * Math.Exp(sigma * normal);
    }
}
