namespace SignSvc.Signing.Backends.Budgets;

/// <summary>
/// A token bucket whose rate begins at the quota, is lowered by a throttle, and rises slowly again to the quota, never
/// above it. Its owner's lock guards it.
/// </summary>
internal sealed class AdaptiveBucket
{
    private readonly BudgetLimits _limits;
    private readonly TimeProvider _time;
    private readonly double _quota;
    private double _rate;
    private double _tokens;
    private long _filledAt;
    private long? _loweredAt;

    public AdaptiveBucket(BudgetLimits limits, TimeProvider time)
    {
        _limits = limits;
        _time = time;
        _quota = limits.PerSecond ?? double.PositiveInfinity;
        _rate = _quota;
        _tokens = Capacity;
        _filledAt = time.GetTimestamp();
    }

    public bool IsUnlimited => double.IsPositiveInfinity(_quota);

    public double Rate => _rate;

    public double Tokens => IsUnlimited ? 0 : _tokens;

    private double Capacity => IsUnlimited ? double.PositiveInfinity : Math.Max(1, _rate * _limits.Burst.TotalSeconds);

    public void Refill()
    {
        if (IsUnlimited)
            return;
        var now = _time.GetTimestamp();
        var seconds = _time.GetElapsedTime(_filledAt, now).TotalSeconds;
        _filledAt = now;
        _rate = Math.Min(_quota, _rate + (seconds * _quota * _limits.IncreasePerSecond));
        _tokens = Math.Min(Capacity, _tokens + (seconds * _rate));
    }

    public bool TryTake()
    {
        if (IsUnlimited)
            return true;
        if (_tokens < 1)
            return false;
        _tokens--;
        return true;
    }

    /// <summary>
    /// Lowers the rate, and owes half an interval's tokens: the backend's own bucket is empty now, and what would leave
    /// at once would be throttled too.
    /// </summary>
    public void Throttled()
    {
        if (IsUnlimited || (_loweredAt is { } at && _time.GetElapsedTime(at) < _limits.DecreaseInterval))
            return;
        Refill();
        _loweredAt = _time.GetTimestamp();
        _rate = Math.Max(_quota * _limits.LeastShare, _rate * _limits.DecreaseFactor);
        _tokens = Math.Min(_tokens, -_rate * _limits.DecreaseInterval.TotalSeconds / 2);
    }

    /// <summary>Until there are so many tokens, at the rate of now.</summary>
    public TimeSpan Until(double tokens) =>
        IsUnlimited || _tokens >= tokens
            ? TimeSpan.Zero
            : TimeSpan.FromSeconds(Math.Min((tokens - _tokens) / _rate, TimeSpan.FromDays(1).TotalSeconds));
}
