namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// Whether a waiting call is served soonest by a thread that is busy or by one that has to wake up. A module that signs
/// faster than a thread wakes up (a software token) does best with few threads that stay awake: while there are as many
/// as processors and the queue is short against a wake-up, the next one free takes the call. Where this guesses wrong,
/// since a thread hangs, the watch hands the call out at its next tick. Guarded by the lock of its token.
/// </summary>
internal sealed class SigningPace(TimeProvider time)
{
    private static readonly TimeSpan WakeUpTime = TimeSpan.FromMicroseconds(100);

    private int _signing;
    private TimeSpan _signTime = WakeUpTime;

    public bool WillSoonServe(int waiting) =>
        _signing >= Environment.ProcessorCount && _signTime * (waiting + 1) / _signing < WakeUpTime;

    public void Begins(TokenWorker worker)
    {
        worker.SignsSince = time.GetTimestamp();
        _signing++;
    }

    public void Ends(TokenWorker worker)
    {
        if (worker.SignsSince is not { } since)
            return;
        worker.SignsSince = null;
        _signing--;
        _signTime += (time.GetElapsedTime(since) - _signTime) / 16;
    }
}
