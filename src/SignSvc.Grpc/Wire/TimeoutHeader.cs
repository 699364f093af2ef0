namespace SignSvc.Grpc.Wire;

/// <summary><c>grpc-timeout</c>: one to eight digits and a unit (PROTOCOL-HTTP2.md, Timeout). Nothing else is taken.</summary>
public static class TimeoutHeader
{
    /// <summary>Timers reach no further; a longer timeout is cut to this.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(24);

    public static bool TryParse(string? header, out TimeSpan timeout)
    {
        timeout = default;
        if (header is not { Length: >= 2 and <= 9 })
            return false;

        var value = 0L;
        foreach (var c in header.AsSpan(0, header.Length - 1))
        {
            if (!char.IsAsciiDigit(c))
                return false;
            value = (value * 10) + (c - '0');
        }

        // Rounded up to a tick: a timeout of 1 ns has not passed when it is read.
        long? ticks = header[^1] switch
        {
            'H' => value * TimeSpan.TicksPerHour,
            'M' => value * TimeSpan.TicksPerMinute,
            'S' => value * TimeSpan.TicksPerSecond,
            'm' => value * TimeSpan.TicksPerMillisecond,
            'u' => value * TimeSpan.TicksPerMicrosecond,
            'n' => (value + TimeSpan.NanosecondsPerTick - 1) / TimeSpan.NanosecondsPerTick,
            _ => null,
        };
        if (ticks is not { } known)
            return false;

        timeout = known > Longest.Ticks ? Longest : TimeSpan.FromTicks(known);
        return true;
    }
}
