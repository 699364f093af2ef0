using System.Globalization;

namespace SignSvc.Signing.Access.Limits;

/// <summary>Whose requests share one budget.</summary>
public enum LimitShare
{
    /// <summary>Each caller has one of its own, for all that the statement speaks of.</summary>
    Caller,

    /// <summary>Each caller has one of its own for each key.</summary>
    CallerAndKey,

    /// <summary>All callers have one for each key together.</summary>
    Key,
}

/// <summary>How much a statement with the effect <c>limit</c> leaves: a rate, a number of uses in a period, or both.</summary>
/// <remarks>
/// Each node counts by itself, from its start: over n nodes it is up to n times as much. What must hold over all nodes and
/// restarts together is a grant's number of uses.
/// </remarks>
public sealed record Limit
{
    public const double LeastPerSecond = 0.01;
    public const double MostPerSecond = 1_000_000;
    public const int MostBurst = 1_000_000;
    public const int MostUses = 1_000_000_000;
    public const int LeastPeriodSeconds = 10;
    public const int MostPeriodSeconds = 366 * 86_400;

    public required LimitShare Per { get; init; }

    /// <summary>Requests; a batch counts its items.</summary>
    public double? PerSecond { get; init; }

    /// <summary>Requests that may come at once after a pause; null: as many as in a second, at least one.</summary>
    public int? Burst { get; init; }

    /// <summary>Requests in each period.</summary>
    public int? Uses { get; init; }

    /// <summary>Periods follow one another from 1970-01-01T00:00:00Z on: 86400 is a day of UTC.</summary>
    public int? PeriodSeconds { get; init; }

    internal int Capacity => Burst ?? (int)Math.Max(1, Math.Ceiling(PerSecond ?? 1));

    /// <summary>Between two requests at the rate.</summary>
    internal long IntervalTicks => PerSecond is { } rate ? Math.Max(1, (long)(TimeSpan.TicksPerSecond / rate)) : 0;

    /// <summary>What is wrong with it; null: nothing.</summary>
    internal string? Fault =>
        PerSecond is null && Uses is null ? "a limit has perSecond, or uses and periodSeconds"
        : PerSecond is < LeastPerSecond or > MostPerSecond or double.NaN ? $"perSecond is from {LeastPerSecond} to {MostPerSecond}"
        : Burst is not null && PerSecond is null ? "burst goes with perSecond"
        : Burst is < 1 or > MostBurst ? $"burst is from 1 to {MostBurst}"
        : Uses is null != PeriodSeconds is null ? "uses and periodSeconds go together"
        : Uses is < 1 or > MostUses ? $"uses is from 1 to {MostUses}"
        : PeriodSeconds is < LeastPeriodSeconds or > MostPeriodSeconds ? $"periodSeconds is from {LeastPeriodSeconds} to {MostPeriodSeconds}"
        : null;

    public override string ToString()
    {
        var rate = PerSecond is null ? null : string.Create(CultureInfo.InvariantCulture, $"{PerSecond} a second, {Capacity} at once");
        var uses = Uses is null ? null : string.Create(CultureInfo.InvariantCulture, $"{Uses} in {PeriodSeconds} s");
        return string.Join(", ", new[] { rate, uses }.Where(p => p is not null));
    }
}

/// <summary>What a limit leaves of a budget, on the node that answers.</summary>
/// <param name="Name">The statement: <c>policy/team-a#pipelines</c>.</param>
/// <param name="Available">Requests that may come now.</param>
public sealed record LimitStanding(string Name, Limit Limit, int Available);
