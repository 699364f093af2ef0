using SignSvc.Operations;
using SignSvc.Signing.Telemetry.Usage;

namespace SignSvc.Telemetry;

/// <summary>When the use of a credential or a grant counts as unlike its own past. It raises alarms, and refuses nothing.</summary>
public sealed record UsageSettings
{
    /// <summary>How long a caller is watched before anything about it is called unusual. Shorter than a week, and what is done weekly is.</summary>
    [Reloadable]
    public TimeSpan Learning { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How many times its highest rate (uses in five minutes) a caller may reach.</summary>
    [Reloadable]
    public double RateFactor { get; set; } = 4;

    /// <summary>Uses in five minutes that are never too many.</summary>
    [Reloadable]
    public int RateFloor { get; set; } = 100;

    /// <summary>Callers, and as many grants, that a node watches, some 2 KiB each; beyond it those that were silent longest are forgotten. 0: nobody is watched.</summary>
    [Reloadable]
    public int Callers { get; set; } = 4096;

    internal UsageLimits Limits => new() { Learning = Learning, RateFactor = RateFactor, RateFloor = RateFloor, Subjects = Callers };

    internal IEnumerable<string> Check()
    {
        if (Learning < TimeSpan.FromSeconds(1) || Learning > TimeSpan.FromDays(30))
            yield return "Usage:Learning is from 00:00:01 to 30.00:00:00.";
        if (RateFactor is not (>= 1 and <= 1000))
            yield return "Usage:RateFactor is from 1 to 1000.";
        if (RateFloor is < 1 or > 10_000_000)
            yield return "Usage:RateFloor is from 1 to 10000000.";
        if (Callers is < 0 or > 100_000)
            yield return "Usage:Callers is from 0 to 100000.";
    }
}
