namespace SignSvc.Signing.Backends.Budgets;

/// <summary>Whom a call is for: someone who waits for this one answer, or a batch.</summary>
public enum Lane
{
    Interactive,
    Bulk,
}

/// <summary>
/// The terms of the request that is being served: its lane and its deadline. They flow with the request, beside the
/// cancellation token, to whatever backend its calls reach. The edge sets them once; without them a call is
/// interactive and has the backend's usual patience.
/// </summary>
/// <param name="DeadlineAt">A timestamp of the <see cref="TimeProvider"/> in use, so that a clock set back or forth changes nothing; null: none named.</param>
/// <param name="EndsAt">When everything ends where no deadline is named, as another timestamp: it makes the backend's usual patience shorter, never longer. Null: no such end.</param>
public sealed record CallTerms(Lane Lane, long? DeadlineAt, long? EndsAt = null)
{
    private static readonly AsyncLocal<CallTerms?> Flowing = new();

    private static readonly CallTerms Usual = new(Lane.Interactive, DeadlineAt: null);

    public static CallTerms Current => Flowing.Value ?? Usual;

    /// <summary>Sets the terms until the result is disposed, for this flow and what it starts.</summary>
    /// <param name="patience">From the <c>Request-Timeout</c> header or <c>grpc-timeout</c>. Where a sooner deadline is set already, that stays.</param>
    public static IDisposable Begin(Lane lane, TimeSpan? patience, TimeProvider time)
    {
        var before = Flowing.Value;
        var deadline = before?.DeadlineAt;
        if (patience is { } p && time.GetTimestamp() + Ticks(p, time) is var own && (deadline is null || own < deadline))
            deadline = own;
        Flowing.Value = new CallTerms(lane, deadline, before?.EndsAt);
        return new Restored(before);
    }

    /// <summary>The terms of a batch: its calls are bulk, each has its own time, and together they end after <paramref name="longest"/> unless their caller named a deadline.</summary>
    public static IDisposable BeginBatch(TimeSpan longest, TimeProvider time)
    {
        var before = Flowing.Value;
        Flowing.Value = new CallTerms(Lane.Bulk, before?.DeadlineAt, before?.DeadlineAt is null ? time.GetTimestamp() + Ticks(longest, time) : null);
        return new Restored(before);
    }

    /// <summary>For work that others wait for too: it has the backend's usual patience, whoever began it.</summary>
    public static IDisposable BeginShared()
    {
        var before = Flowing.Value;
        Flowing.Value = null;
        return new Restored(before);
    }

    /// <summary>What is left until the deadline, never below zero.</summary>
    internal TimeSpan Left(TimeSpan usual, TimeProvider time)
    {
        var patience = DeadlineAt is { } deadline ? Until(deadline, time) : usual;
        return EndsAt is { } end && Until(end, time) is var left && left < patience ? left : patience;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.DeadlineExceeded"/>.</exception>
    public void ThrowIfLate(TimeProvider time)
    {
        if (time.GetTimestamp() is var now && (now >= DeadlineAt || now >= EndsAt))
            throw new SigningException(SigningFault.DeadlineExceeded, "The deadline passed before the backend was asked.");
    }

    private static TimeSpan Until(long at, TimeProvider time)
    {
        var left = time.GetElapsedTime(time.GetTimestamp(), at);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private static long Ticks(TimeSpan span, TimeProvider time) => (long)(span.TotalSeconds * time.TimestampFrequency);

    private sealed class Restored(CallTerms? before) : IDisposable
    {
        public void Dispose() => Flowing.Value = before;
    }
}
