namespace SignSvc.Signing.Backends.Budgets;

/// <summary>
/// Refuses calls to a backend that is down, and lets one through from time to time to see. Its owner's lock guards it.
/// A throttle or a refusal of one key is an answer: only calls without a usable answer count as failures.
/// </summary>
internal sealed class CircuitBreaker(BudgetLimits limits, TimeProvider time)
{
    private int _failures;
    private long _openedAt;
    private TimeSpan _openFor;
    private bool _isOpen;
    private bool _isProbing;

    public long Opened { get; private set; }

    public BreakerState State =>
        !_isOpen ? BreakerState.Closed
        : _isProbing || time.GetElapsedTime(_openedAt) >= _openFor ? BreakerState.HalfOpen
        : BreakerState.Open;

    /// <param name="isProbe">The call decides for all; its verdict has to be reported.</param>
    /// <param name="retryAfter">Where it may not pass: when the next probe is due.</param>
    public bool MayPass(out bool isProbe, out TimeSpan retryAfter)
    {
        isProbe = false;
        retryAfter = TimeSpan.Zero;
        if (!_isOpen)
            return true;
        var left = _openFor - time.GetElapsedTime(_openedAt);
        if (_isProbing || left > TimeSpan.Zero)
        {
            retryAfter = left > limits.BreakerOpen ? left : limits.BreakerOpen;
            return false;
        }

        return _isProbing = isProbe = true;
    }

    /// <summary>Any answer proves that the backend is there, whoever asked for it.</summary>
    public void Answered()
    {
        _failures = 0;
        _isOpen = _isProbing = false;
    }

    /// <returns>Whether it has opened by this.</returns>
    public bool Failed(bool isProbe)
    {
        if (_isOpen)
        {
            if (!isProbe)
                return false;
            var doubled = _openFor * 2;
            Open(doubled < limits.BreakerOpenMost ? doubled : limits.BreakerOpenMost);
            return false;
        }

        if (++_failures < limits.BreakerFailures)
            return false;
        Opened++;
        Open(limits.BreakerOpen);
        return true;
    }

    /// <summary>A probe that ended without a verdict: its caller went away.</summary>
    public void Undecided(bool isProbe) => _isProbing &= !isProbe;

    private void Open(TimeSpan period)
    {
        _isOpen = true;
        _isProbing = false;
        _openFor = period;
        _openedAt = time.GetTimestamp();
    }
}
