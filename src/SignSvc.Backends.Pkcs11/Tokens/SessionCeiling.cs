namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// How many sessions may be open for work. A token that opens no more (CKR_SESSION_COUNT) lowers it; others may have had
/// them for a while, so it is tried again, doubling. Guarded by the lock of its token.
/// </summary>
internal sealed class SessionCeiling(int limit, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(15);

    private int _lowered = int.MaxValue;
    private long _changedAt;

    public int Value => Math.Min(limit, _lowered);

    public void Lower(int value)
    {
        _lowered = Math.Max(1, value);
        _changedAt = time.GetTimestamp();
    }

    public void Reset() => _lowered = int.MaxValue;

    public void GrowIfDue(long now)
    {
        if (Value == limit || time.GetElapsedTime(_changedAt, now) < Pause)
            return;
        _lowered = Value * 2;
        _changedAt = now;
    }
}
