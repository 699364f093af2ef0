namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>The real clock, that can be put forward: for pauses too long to wait for. Timers go on as they are.</summary>
internal sealed class SkippingClock : TimeProvider
{
    private long _skipped;

    public override long GetTimestamp() => System.GetTimestamp() + Volatile.Read(ref _skipped);

    public void Skip(TimeSpan time) => Interlocked.Add(ref _skipped, (long)(time.TotalSeconds * TimestampFrequency));
}
