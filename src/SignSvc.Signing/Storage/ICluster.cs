namespace SignSvc.Signing.Storage;

/// <summary>
/// What the nodes on one store know of each other. With SQLite there is one node and <see cref="SingleNode"/> answers;
/// PostgreSQL answers for several.
/// </summary>
public interface ICluster
{
    /// <summary>Says that this node lives and which revision it serves to verifiers.</summary>
    Task HeartbeatAsync(NodeStatus status, CancellationToken cancellationToken);

    /// <summary>Every node that has been heard of within <paramref name="since"/> by the store's own clock.</summary>
    Task<IReadOnlyList<NodeStatus>> ReadNodesAsync(TimeSpan since, CancellationToken cancellationToken);

    /// <summary>
    /// Takes or renews a lease. The fence rises by one each time the lease changes hands, and never falls: a holder that
    /// slept through its lease's end is told apart from the one that came after.
    /// </summary>
    /// <returns>The fence; null while another holder's lease runs.</returns>
    Task<long?> TryLeaseAsync(string name, string holder, TimeSpan length, CancellationToken cancellationToken);

    /// <summary>Completes each time another node may have committed a change. It may miss some and may invent some: callers poll as well.</summary>
    IAsyncEnumerable<long> WatchAsync(CancellationToken cancellationToken);
}

/// <param name="Revision">The revision of the snapshot that the node serves.</param>
public sealed record NodeStatus(string Node, long Revision);
