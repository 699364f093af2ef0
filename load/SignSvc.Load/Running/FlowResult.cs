using System.Collections.Concurrent;
using SignSvc.Load.Measuring;

namespace SignSvc.Load.Running;

/// <summary>What happened within one second of a flow.</summary>
public sealed record Second(int At, double Offered, long Answered, long Failed, long NotSent, double P50, double P99, double Max);

/// <summary>
/// What became of a flow's calls. Latency is from the time at which a call was meant to be sent, so that a stall of the
/// service stands in the figures of all who were due meanwhile (no coordinated omission). Safe to record to from many threads.
/// </summary>
public sealed class FlowResult(string name)
{
    private readonly ConcurrentDictionary<string, long> _outcomes = new(StringComparer.Ordinal);
    private readonly List<Second> _seconds = [];
    private readonly Histogram[] _bySecond = [new(), new()];
    private long _succeeded;
    private long _refused;
    private long _refusedWithoutRetryAfter;
    private long _failed;
    private long _lost;
    private long _notSent;
    private int _writing;
    private (long Answered, long Failed, long NotSent) _before;

    public string Name => name;

    /// <summary>Of the calls that succeeded.</summary>
    public Histogram Latency { get; } = new();

    /// <summary>How late the driver itself was with a call. Where it is large, the machine had no time for the driver.</summary>
    public Histogram Lateness { get; } = new();

    /// <summary>Time in which calls were measured: without the warm-up, and without the flow's pauses.</summary>
    public TimeSpan Measured { get; set; }

    /// <summary>Calls that succeeded, in a second of <see cref="Measured"/>.</summary>
    public double Goodput => Measured > TimeSpan.Zero ? Succeeded / Measured.TotalSeconds : 0;

    public long Succeeded => Volatile.Read(ref _succeeded);

    public long Refused => Volatile.Read(ref _refused);

    /// <summary>Refusals that did not say when to come again.</summary>
    public long RefusedWithoutRetryAfter => Volatile.Read(ref _refusedWithoutRetryAfter);

    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Failures without any answer: no connection, or one that broke.</summary>
    public long Lost => Volatile.Read(ref _lost);

    public long NotSent => Volatile.Read(ref _notSent);

    /// <summary>Calls by what came of them: a status with the problem's code, or how the connection failed.</summary>
    public IReadOnlyDictionary<string, long> Outcomes => _outcomes;

    public IReadOnlyList<Second> Seconds
    {
        get
        {
            lock (_seconds)
                return [.. _seconds];
        }
    }

    public void Sent(TimeSpan late) => Lateness.Record(late);

    public void CouldNotSend() => Interlocked.Increment(ref _notSent);

    public void Success(string outcome, TimeSpan latency)
    {
        Interlocked.Increment(ref _succeeded);
        Latency.Record(latency);
        _bySecond[Volatile.Read(ref _writing)].Record(latency);
        Count(outcome);
    }

    public void Refusal(string outcome, bool saysWhen)
    {
        Interlocked.Increment(ref _refused);
        if (!saysWhen)
            Interlocked.Increment(ref _refusedWithoutRetryAfter);
        Count(outcome);
    }

    public void Failure(string outcome)
    {
        Interlocked.Increment(ref _failed);
        Count(outcome);
    }

    public void Loss(string outcome)
    {
        Interlocked.Increment(ref _lost);
        Failure(outcome);
    }

    /// <summary>Ends a second: once a second, from one thread.</summary>
    public Second EndSecond(int at, double offered)
    {
        var ended = _bySecond[_writing];
        Volatile.Write(ref _writing, 1 - _writing);
        var now = (Answered: Succeeded + Refused, Failed, NotSent);
        var second = new Second(
            at, offered, now.Answered - _before.Answered, now.Failed - _before.Failed, now.NotSent - _before.NotSent,
            ended.Percentile(50).TotalMilliseconds, ended.Percentile(99).TotalMilliseconds, ended.Max.TotalMilliseconds);
        _before = now;
        ended.Clear();
        lock (_seconds)
            _seconds.Add(second);
        return second;
    }

    private void Count(string outcome) => _outcomes.AddOrUpdate(outcome, 1, static (_, n) => n + 1);
}
