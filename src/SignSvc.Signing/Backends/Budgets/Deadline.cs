namespace SignSvc.Signing.Backends.Budgets;

/// <summary>When a call has to end, and whether its caller went away before.</summary>
internal sealed class Deadline : IDisposable
{
    private readonly TimeProvider _time;
    private readonly TimeSpan _patience;
    private readonly long _from;
    private readonly CancellationToken _caller;
    private readonly CancellationTokenSource _passing;
    private readonly CancellationTokenSource _ending;

    public Deadline(TimeSpan patience, TimeProvider time, CancellationToken caller)
    {
        caller.ThrowIfCancellationRequested();
        if (patience <= TimeSpan.Zero)
            throw new SigningException(SigningFault.DeadlineExceeded, "The deadline had passed before the backend was asked.");
        _time = time;
        _patience = patience;
        _from = time.GetTimestamp();
        _caller = caller;
        _passing = new CancellationTokenSource(patience, time);
        _ending = CancellationTokenSource.CreateLinkedTokenSource(_passing.Token, caller);
    }

    public CancellationToken Token => _ending.Token;

    public bool CallerLeft => _caller.IsCancellationRequested;

    public TimeSpan Left
    {
        get
        {
            var left = _patience - _time.GetElapsedTime(_from);
            return left > TimeSpan.Zero ? left : TimeSpan.Zero;
        }
    }

    public void Dispose()
    {
        _ending.Dispose();
        _passing.Dispose();
    }
}
