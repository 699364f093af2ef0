namespace SignSvc.Signing.Access.Limits;

/// <summary>
/// What one caller, or one key, has spent of a limit: two words, changed by compare-and-swap. The rate is the virtual
/// scheduling of ITU-T I.371 (GCRA): what is kept is the time at which the bucket would be full again.
/// </summary>
internal sealed class CallerBudget
{
    private const long CountMask = uint.MaxValue;

    /// <summary>In ticks of the steady clock.</summary>
    private long _fullAt = long.MinValue;

    /// <summary>The period's number, and behind it the uses in it.</summary>
    private long _uses;

    /// <param name="steady">Ticks of a clock that nobody sets.</param>
    /// <param name="second">Seconds since 1970.</param>
    /// <returns>How long to wait; null: it was taken.</returns>
    public TimeSpan? Take(Limit limit, long steady, long second)
    {
        if (limit.Uses is { } most && !TryUse(most, limit.PeriodSeconds!.Value, second))
            return TimeSpan.FromSeconds(limit.PeriodSeconds.Value - (second % limit.PeriodSeconds.Value));
        if (limit.PerSecond is null || TryPass(limit, steady) is not { } wait)
            return null;
        ReturnUse(limit, second);
        return wait;
    }

    /// <summary>For a request that another limit refused.</summary>
    /// <param name="second">As it was taken at.</param>
    public void Return(Limit limit, long second)
    {
        ReturnUse(limit, second);
        if (limit.PerSecond is not null)
            Interlocked.Add(ref _fullAt, -limit.IntervalTicks);
    }

    public int Available(Limit limit, long steady, long second)
    {
        var available = limit.Capacity;
        if (limit.PerSecond is not null)
        {
            var debt = Math.Max(0, Math.Max(Volatile.Read(ref _fullAt), steady) - steady);
            available = (int)Math.Max(0, limit.Capacity - Math.Ceiling((double)debt / limit.IntervalTicks));
        }

        if (limit.Uses is not { } most)
            return available;
        var uses = Volatile.Read(ref _uses);
        var left = most - (uses >> 32 == second / limit.PeriodSeconds!.Value ? (int)(uses & CountMask) : 0);
        return Math.Max(0, limit.PerSecond is null ? left : Math.Min(left, available));
    }

    private TimeSpan? TryPass(Limit limit, long steady)
    {
        while (true)
        {
            var fullAt = Volatile.Read(ref _fullAt);
            var next = Math.Max(fullAt, steady) + limit.IntervalTicks;
            var wait = next - steady - (limit.IntervalTicks * limit.Capacity);
            if (wait > 0)
                return TimeSpan.FromTicks(wait);
            if (Interlocked.CompareExchange(ref _fullAt, next, fullAt) == fullAt)
                return null;
        }
    }

    private bool TryUse(int most, int periodSeconds, long second)
    {
        var period = second / periodSeconds;
        while (true)
        {
            var uses = Volatile.Read(ref _uses);
            var next = uses >> 32 == period ? uses + 1 : (period << 32) | 1;
            if ((next & CountMask) > most)
                return false;
            if (Interlocked.CompareExchange(ref _uses, next, uses) == uses)
                return true;
        }
    }

    /// <summary>A period that ended meanwhile keeps what the next one has none of.</summary>
    private void ReturnUse(Limit limit, long second)
    {
        if (limit.Uses is null)
            return;
        var period = second / limit.PeriodSeconds!.Value;
        while (true)
        {
            var uses = Volatile.Read(ref _uses);
            if (uses >> 32 != period || (uses & CountMask) == 0 || Interlocked.CompareExchange(ref _uses, uses - 1, uses) == uses)
                return;
        }
    }
}
