namespace SignSvc.Emulation.Quotas;

/// <summary>
/// A token bucket whose rate may change between takes. It starts full and holds one second's worth, at least one.
/// </summary>
internal sealed class TokenBucket(TimeProvider clock)
{
    private readonly Lock _gate = new();
    private double _tokens = double.MaxValue;
    private long _filledAt = clock.GetTimestamp();

    public bool TryTake(double perSecond)
    {
        lock (_gate)
        {
            var now = clock.GetTimestamp();
            var refill = clock.GetElapsedTime(_filledAt, now).TotalSeconds * perSecond;
            _filledAt = now;
            var capacity = perSecond == 0 ? 0 : Math.Max(1, perSecond);
            _tokens = Math.Min(capacity, _tokens + refill);
            if (_tokens < 1)
                return false;
            _tokens--;
            return true;
        }
    }
}
