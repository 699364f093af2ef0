using System.Numerics;

namespace SignSvc.Load.Measuring;

/// <summary>
/// Counts times in log-linear buckets: exact to 100 ns up to 0.2 ms, then within 0.05 % of the value, up to an hour
/// (longer ones count as an hour). It takes 220 KB however much is recorded, and may be recorded to from many threads.
/// </summary>
public sealed class Histogram
{
    private const int LinearBits = 10;
    private const int Half = 1 << LinearBits;
    private const long MaxTicks = TimeSpan.TicksPerHour;

    private readonly long[] _counts = new long[IndexOf(MaxTicks) + 1];
    private long _count;
    private long _sum;
    private long _max;

    public long Count => Volatile.Read(ref _count);

    public TimeSpan Max => new(Volatile.Read(ref _max));

    public TimeSpan Mean => new(Count == 0 ? 0 : Volatile.Read(ref _sum) / Count);

    public void Record(TimeSpan value)
    {
        var ticks = Math.Clamp(value.Ticks, 0, MaxTicks);
        Interlocked.Increment(ref _counts[IndexOf(ticks)]);
        Interlocked.Increment(ref _count);
        Interlocked.Add(ref _sum, ticks);
        for (var seen = Volatile.Read(ref _max); ticks > seen;)
        {
            var before = Interlocked.CompareExchange(ref _max, ticks, seen);
            if (before == seen)
                break;
            seen = before;
        }
    }

    /// <param name="percent">Above 0, up to 100.</param>
    /// <returns>The least recorded value that so many percent do not exceed; zero where nothing was recorded.</returns>
    public TimeSpan Percentile(double percent)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(percent);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(percent, 100);
        var total = Count;
        var wanted = Math.Max(1, (long)Math.Ceiling(total * percent / 100));
        var seen = 0L;
        for (var i = 0; i < _counts.Length && total > 0; i++)
        {
            seen += Volatile.Read(ref _counts[i]);
            if (seen >= wanted)
                return new TimeSpan(Math.Min(MiddleOf(i), Max.Ticks));
        }

        return TimeSpan.Zero;
    }

    public void Add(Histogram other)
    {
        for (var i = 0; i < _counts.Length; i++)
            Interlocked.Add(ref _counts[i], Volatile.Read(ref other._counts[i]));
        Interlocked.Add(ref _count, other.Count);
        Interlocked.Add(ref _sum, Volatile.Read(ref other._sum));
        _max = Math.Max(Max.Ticks, other.Max.Ticks);
    }

    /// <summary>Not while somebody records.</summary>
    public void Clear()
    {
        Array.Clear(_counts);
        _count = _sum = _max = 0;
    }

    /// <summary>Below 2,048 each value has a bucket; from there each doubling has 1,024.</summary>
    private static int IndexOf(long ticks)
    {
        var shift = Math.Max(0, BitOperations.Log2((ulong)ticks) - LinearBits);
        return (Half * shift) + (int)(ticks >> shift);
    }

    private static long MiddleOf(int index)
    {
        if (index < 2 * Half)
            return index;
        var shift = (index / Half) - 1;
        var from = (long)(index - (Half * shift)) << shift;
        return from + (1L << shift >> 1);
    }
}
