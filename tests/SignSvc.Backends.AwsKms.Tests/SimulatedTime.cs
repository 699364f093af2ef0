using System.Collections.Concurrent;
using SignSvc.Tests.Shared;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>Runs asynchronous work on one thread, under a clock that moves on when nothing is left to do: how busy the machine is counts for nothing.</summary>
internal sealed class SimulatedTime : SynchronizationContext
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Most = TimeSpan.FromMinutes(10);

    private readonly ConcurrentQueue<(SendOrPostCallback Callback, object? State)> _due = new();

    public ManualClock Clock { get; } = new();

    public override void Post(SendOrPostCallback d, object? state) => _due.Enqueue((d, state));

    public T Run<T>(Func<Task<T>> work)
    {
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            var running = work();
            for (var passed = TimeSpan.Zero; ; passed += Step)
            {
                while (_due.TryDequeue(out var next))
                    next.Callback(next.State);
                if (running.IsCompleted)
                    return running.GetAwaiter().GetResult();
                Assert.True(passed < Most, "It does not end.");
                Clock.Advance(Step);
            }
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }
}
