using System.Collections.Concurrent;

namespace SignSvc.Signing.Backends;

/// <summary>
/// The calls to remote backends that one piece of work led to, under the backends' own names for them (AWS request ids),
/// so that its audit record can be held against the backend's. It flows with the work, as <see cref="Budgets.CallTerms"/> does.
/// </summary>
public sealed class CallTrail : IDisposable
{
    /// <summary>Bounds a record; of work that calls more often it keeps the last.</summary>
    private const int Most = 32;

    private static readonly AsyncLocal<CallTrail?> Flowing = new();

    private readonly ConcurrentQueue<(string Operation, string RequestId)> _calls;
    private readonly CallTrail? _before;

    private CallTrail(CallTrail? before)
    {
        _before = before;
        // Work within work is on the trail of the whole.
        _calls = before?._calls ?? new ConcurrentQueue<(string, string)>();
    }

    /// <summary>The request ids of the work at hand so far, separated by spaces; null: none.</summary>
    public static string? Current => Flowing.Value?.RequestIds;

    public string? RequestIds => _calls.IsEmpty ? null : string.Join(' ', _calls.Select(c => c.RequestId));

    public IEnumerable<string> Operations => _calls.Select(c => c.Operation);

    /// <summary>Until it is disposed, for this flow and what it starts.</summary>
    public static CallTrail Begin() => Flowing.Value = new CallTrail(Flowing.Value);

    /// <summary>Called by backends, for answers and refusals alike.</summary>
    public static void Add(string operation, string? requestId)
    {
        if (Flowing.Value is not { } trail || string.IsNullOrEmpty(requestId))
            return;
        trail._calls.Enqueue((operation, requestId));
        while (trail._calls.Count > Most)
            trail._calls.TryDequeue(out _);
    }

    public void Dispose() => Flowing.Value = _before;
}
