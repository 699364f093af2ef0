using System.Collections.Concurrent;
using System.Runtime.CompilerServices;

namespace SignSvc.Signing.Storage;

/// <summary>A cluster of one: nobody else is there to wait for.</summary>
public sealed class SingleNode(TimeProvider time) : ICluster
{
    private readonly ConcurrentDictionary<string, (string Holder, long Fence, DateTimeOffset Until)> _leases = new(StringComparer.Ordinal);
    private NodeStatus? _own;

    public Task HeartbeatAsync(NodeStatus status, CancellationToken cancellationToken)
    {
        _own = status;
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<NodeStatus>> ReadNodesAsync(TimeSpan since, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<NodeStatus>>(_own is null ? [] : [_own]);

    public Task<long?> TryLeaseAsync(string name, string holder, TimeSpan length, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var lease = _leases.AddOrUpdate(
            name,
            _ => (holder, 1, now + length),
            (_, known) => string.Equals(known.Holder, holder, StringComparison.Ordinal)
                ? (holder, known.Fence, now + length)
                : known.Until <= now ? (holder, known.Fence + 1, now + length) : known);
        return Task.FromResult<long?>(string.Equals(lease.Holder, holder, StringComparison.Ordinal) ? lease.Fence : null);
    }

    public async IAsyncEnumerable<long> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
        yield break;
    }
}
