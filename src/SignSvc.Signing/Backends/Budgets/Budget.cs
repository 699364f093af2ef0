using System.Diagnostics;

namespace SignSvc.Signing.Backends.Budgets;

/// <summary>What became of a try.</summary>
internal enum TryOutcome
{
    /// <summary>There was an answer, good or bad.</summary>
    Answered,
    Throttled,

    /// <summary>No usable answer: the backend or the way to it is down.</summary>
    Failed,

    /// <summary>The caller went away first: nothing is known.</summary>
    Undecided,
}

/// <summary>
/// One budget: a bucket at the quota, two bounded lanes of callers that wait for it, and a breaker. Whoever enters has
/// to leave. Nobody waits who cannot get through before the deadline, and nobody is let through whom the backend could no
/// longer answer in time: a turn that is spent on a late call is lost for one that is not. A queue that stays, because more
/// come than leave, serves nobody: it makes everyone wait and lets no more through. So it is let shrink. A waiting bulk call
/// gets its turn among interactive ones. There is one timer, and it is set only while somebody waits.
/// </summary>
public sealed class Budget : IDisposable
{
    /// <summary>
    /// How much of what answers took before each new one makes forgotten: the slowest of about a hundred is what callers
    /// keep time for. Forgotten faster, one call in a hundred gets a turn that leaves it no time for its answer.
    /// </summary>
    private const double Forgetting = 0.01;

    private readonly Lock _gate = new();
    private readonly BudgetLimits _limits;
    private readonly TimeProvider _time;
    private readonly AdaptiveBucket _bucket;
    private readonly CircuitBreaker _breaker;
    private readonly LinkedList<Waiter> _interactive = new();
    private readonly LinkedList<Waiter> _bulk = new();
    private readonly ITimer _timer;
    private bool _timerIsSet;
    private bool _isOverloaded;
    private int _inFlight;
    private int _turn;
    private long _passed;
    private long _throttled;
    private long _refused;
    private TimeSpan _usual;

    public Budget(string name, BudgetLimits limits, TimeProvider time)
    {
        Name = name;
        _limits = limits;
        _time = time;
        _bucket = new AdaptiveBucket(limits, time);
        _breaker = new CircuitBreaker(limits, time);
        _timer = time.CreateTimer(_ => TimerFired(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public string Name { get; }

    public BudgetState State
    {
        get
        {
            lock (_gate)
            {
                _bucket.Refill();
                return new BudgetState(
                    Name, _bucket.IsUnlimited ? null : _bucket.Rate, _limits.PerSecond, _bucket.Tokens, _interactive.Count,
                    _bulk.Count, _inFlight, _breaker.State, _passed, _throttled, _refused, _breaker.Opened);
            }
        }
    }

    private int Waiting => _interactive.Count + _bulk.Count;

    /// <param name="isRetry">It was here before: it waits at the head of its lane.</param>
    /// <returns>Whether this try is the breaker's probe; <see cref="Leave"/> wants to know.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendUnavailable"/>: the breaker is open. <see cref="SigningFault.Overloaded"/>: no room, or no turn within <paramref name="patience"/>.</exception>
    internal ValueTask<bool> EnterAsync(Lane lane, TimeSpan patience, bool isRetry, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Waiter waiter;
        lock (_gate)
        {
            if (!_breaker.MayPass(out var isProbe, out var retryAfter))
                throw Down(retryAfter);
            _bucket.Refill();
            _isOverloaded &= Waiting > 0;
            if (Waiting == 0 && TryPass())
                return ValueTask.FromResult(isProbe);
            var wait = WaitOf(lane, isRetry);
            var longest = patience - ReserveOf(patience);
            if (_isOverloaded)
                longest = Earlier(longest, patience * _limits.OverloadShare);
            if (Waiting >= _limits.QueueLimit || wait > longest)
            {
                // Who has little patience says nothing of the queue.
                _isOverloaded |= wait > _limits.LongQueue;
                _refused++;
                _breaker.Undecided(isProbe);
                throw Full(wait);
            }

            waiter = new Waiter(isProbe, _time.GetTimestamp(), longest);
            waiter.Place = isRetry ? LaneOf(lane).AddFirst(waiter) : LaneOf(lane).AddLast(waiter);
            SetTimer();
        }

        return new ValueTask<bool>(WaitAsync(waiter, cancellationToken));
    }

    /// <param name="took">From its turn to its answer.</param>
    internal void Leave(TryOutcome outcome, bool isProbe, TimeSpan took)
    {
        Waiter[] stranded = [];
        lock (_gate)
        {
            _inFlight--;
            if (outcome == TryOutcome.Answered)
                _usual = took > _usual ? took : _usual + ((took - _usual) * Forgetting);
            switch (outcome)
            {
                case TryOutcome.Answered:
                    _breaker.Answered();
                    break;
                case TryOutcome.Throttled:
                    _throttled++;
                    _breaker.Answered();
                    _bucket.Throttled();
                    break;
                case TryOutcome.Failed:
                    if (_breaker.Failed(isProbe))
                        stranded = TakeAll();
                    break;
                case TryOutcome.Undecided:
                    _breaker.Undecided(isProbe);
                    break;
                default:
                    throw new UnreachableException();
            }

            Release();
        }

        foreach (var waiter in stranded)
            waiter.Turn.TrySetException(Down(_limits.BreakerOpen));
    }

    public void Dispose() => _timer.Dispose();

    private async Task<bool> WaitAsync(Waiter waiter, CancellationToken cancellationToken)
    {
        await using var registration = cancellationToken.UnsafeRegister(_ => Abandon(waiter, cancellationToken), state: null);
        return await waiter.Turn.Task;
    }

    /// <summary>One that was let through meanwhile goes on, and leaves as any other.</summary>
    private void Abandon(Waiter waiter, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (waiter.Place?.List is not { } lane)
                return;
            lane.Remove(waiter.Place);
            _breaker.Undecided(waiter.IsProbe);
        }

        waiter.Turn.TrySetCanceled(cancellationToken);
    }

    private void TimerFired()
    {
        lock (_gate)
        {
            _timerIsSet = false;
            _bucket.Refill();
            Release();
        }
    }

    private void Release()
    {
        RefuseLate(_interactive);
        RefuseLate(_bulk);
        while (Waiting > 0 && TryPass())
        {
            var lane = NextLane();
            var waiter = lane.First!.Value;
            lane.RemoveFirst();
            waiter.Turn.TrySetResult(waiter.IsProbe);
            RefuseLate(lane);
        }

        _isOverloaded &= Waiting > 0;
        SetTimer();
    }

    private static TimeSpan Earlier(TimeSpan a, TimeSpan b) => a < b ? a : b;

    /// <summary>What a caller keeps of its patience for the answer: what answers took lately, the slow ones longest remembered.</summary>
    private TimeSpan ReserveOf(TimeSpan patience) => Earlier(_usual, patience / 2);

    /// <summary>The rate fell while they waited, and their turn comes too late.</summary>
    private void RefuseLate(LinkedList<Waiter> lane)
    {
        while (lane.First?.Value is { } waiter && _time.GetElapsedTime(waiter.Since) > waiter.Longest)
        {
            lane.RemoveFirst();
            _refused++;
            _breaker.Undecided(waiter.IsProbe);
            waiter.Turn.TrySetException(Full(_bucket.Until(Waiting + 1)));
        }
    }

    private bool TryPass()
    {
        if (_inFlight >= _limits.InFlightLimit || !_bucket.TryTake())
            return false;
        _inFlight++;
        _passed++;
        return true;
    }

    private LinkedList<Waiter> NextLane()
    {
        if (_interactive.Count == 0 || _bulk.Count == 0)
            return _interactive.Count == 0 ? _bulk : _interactive;
        _turn = (_turn + 1) % _limits.BulkTurn;
        return _turn == 0 ? _bulk : _interactive;
    }

    private LinkedList<Waiter> LaneOf(Lane lane) => lane == Lane.Interactive ? _interactive : _bulk;

    /// <summary>Where calls in flight are what is short, a leaving one releases the next.</summary>
    private void SetTimer()
    {
        if (_timerIsSet || Waiting == 0 || _inFlight >= _limits.InFlightLimit)
            return;
        _timerIsSet = true;
        var millisecond = TimeSpan.FromMilliseconds(1);
        var due = _bucket.Until(1);
        _timer.Change(due < millisecond ? millisecond : due, Timeout.InfiniteTimeSpan);
    }

    /// <summary>How long a newcomer would wait at the rate of now, with the other lane's turns in between.</summary>
    private TimeSpan WaitOf(Lane lane, bool isRetry)
    {
        var ahead = isRetry ? 0 : LaneOf(lane).Count;
        var others = lane == Lane.Interactive
            ? Math.Min(_bulk.Count, (ahead / (_limits.BulkTurn - 1)) + 1)
            : Math.Min(_interactive.Count, (ahead + 1) * (_limits.BulkTurn - 1));
        return _bucket.Until(ahead + others + 1);
    }

    private Waiter[] TakeAll()
    {
        var all = _interactive.Concat(_bulk).ToArray();
        _interactive.Clear();
        _bulk.Clear();
        return all;
    }

    private SigningException Down(TimeSpan retryAfter) =>
        new(SigningFault.BackendUnavailable, $"{Name} does not answer; it is tried again soon.") { RetryAfter = retryAfter };

    private SigningException Full(TimeSpan wait) =>
        new(SigningFault.Overloaded, $"{Name} is at its limit.") { RetryAfter = wait < TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : wait };

    /// <param name="since">When it came.</param>
    /// <param name="longest">Later than so its turn is of no use.</param>
    private sealed class Waiter(bool isProbe, long since, TimeSpan longest)
    {
        public bool IsProbe => isProbe;

        public long Since => since;

        public TimeSpan Longest => longest;

        public TaskCompletionSource<bool> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public LinkedListNode<Waiter>? Place { get; set; }
    }
}
