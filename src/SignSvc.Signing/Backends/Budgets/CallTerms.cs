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
public sealed record CallTerms(Lane Lane, long? DeadlineAt)
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
        if (patience is { } p && time.GetTimestamp() + (long)(p.TotalSeconds * time.TimestampFrequency) is var own && (deadline is null || own < deadline))
            deadline = own;
        Flowing.Value = new CallTerms(lane, deadline);
        return new Restored(before);
    }

    /// <summary>What is left until the deadline, never below zero.</summary>
    internal TimeSpan Left(TimeSpan usual, TimeProvider time)
    {
        if (DeadlineAt is not { } at)
            return usual;
        var left = time.GetElapsedTime(time.GetTimestamp(), at);
        return left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.DeadlineExceeded"/>.</exception>
    public void ThrowIfLate(TimeProvider time)
    {
        if (DeadlineAt is { } at && time.GetTimestamp() >= at)
            throw new SigningException(SigningFault.DeadlineExceeded, "The deadline passed before the backend was asked.");
    }

    private sealed class Restored(CallTerms? before) : IDisposable
    {
        public void Dispose() => Flowing.Value = before;
    }
}
