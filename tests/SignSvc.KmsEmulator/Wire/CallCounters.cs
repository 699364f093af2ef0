using System.Collections.Concurrent;

namespace SignSvc.Emulation.Wire;

/// <summary>Requests that named an operation, with what became of them.</summary>
public sealed record OperationCalls(long Received, long Succeeded, long Throttled, long Failed)
{
    public static readonly OperationCalls None = new(0, 0, 0, 0);
}

/// <summary>
/// Counts requests per operation from the moment they arrive, refused ones included; one that hangs or is reset is
/// received and nothing else.
/// </summary>
public sealed class CallCounters
{
    private readonly ConcurrentDictionary<string, OperationCalls> _calls = new(StringComparer.Ordinal);

    public OperationCalls this[string operation] => _calls.GetValueOrDefault(operation, OperationCalls.None);

    public long TotalReceived => _calls.Values.Sum(c => c.Received);

    public IReadOnlyDictionary<string, OperationCalls> Snapshot() =>
        _calls.OrderBy(c => c.Key, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal);

    public void Reset() => _calls.Clear();

    internal void Received(string operation) => Change(operation, c => c with { Received = c.Received + 1 });

    internal void Succeeded(string operation) => Change(operation, c => c with { Succeeded = c.Succeeded + 1 });

    internal void Throttled(string operation) => Change(operation, c => c with { Throttled = c.Throttled + 1 });

    internal void Failed(string operation) => Change(operation, c => c with { Failed = c.Failed + 1 });

    private void Change(string operation, Func<OperationCalls, OperationCalls> change) =>
        _calls.AddOrUpdate(operation, o => change(OperationCalls.None), (_, c) => change(c));
}
