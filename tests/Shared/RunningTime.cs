namespace SignSvc.Tests.Shared;

/// <summary>
/// Time in which this machine ran. A promise such as "within five seconds" is the service's; of a machine that stands still
/// for a while, or has no turn for this process, nothing is promised, and what it loses there does not count.
/// </summary>
public sealed class RunningTime : IDisposable
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

    private readonly PeriodicTimer _timer = new(Tick, TimeProvider.System);
    private long _ticks;

    private RunningTime() => _ = CountAsync();

    /// <summary>At the most one tick less than a clock shows, where the machine was always there.</summary>
    public TimeSpan Elapsed => Volatile.Read(ref _ticks) * Tick;

    public static RunningTime Start() => new();

    public void Dispose() => _timer.Dispose();

    /// <summary>Ticks that come late come as one.</summary>
    private async Task CountAsync()
    {
        while (await _timer.WaitForNextTickAsync())
            Interlocked.Increment(ref _ticks);
    }
}
