using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>The store's guarantees without a disk, so that years pass in seconds. The audit is counted, not kept.</summary>
internal sealed class MemoryStore : IStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Kind, string Id), (Document Document, long Revision, IReadOnlyList<string> Names)> _documents = [];
    private readonly Dictionary<string, VersionUsage> _usage = new(StringComparer.Ordinal);
    private AuditHead? _head;
    private long _revision;

    private SigningException? _readRefusal;

    public long Records { get; private set; }

    /// <summary>Thrown once by the next commit with changes, of which nothing is kept.</summary>
    public SigningException? RefusalOfChange { get; set; }

    /// <summary>Thrown once by the first read of the state after the next commit with changes.</summary>
    public SigningException? RefusalAfterChange { get; set; }

    public Task<StateChanges> ReadStateAsync(long afterRevision, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_readRefusal is { } refusal)
            {
                _readRefusal = null;
                return Task.FromException<StateChanges>(refusal);
            }

            return Task.FromResult(new StateChanges(
                _revision,
                [.. _documents.Values.Where(d => d.Revision > afterRevision).OrderBy(d => d.Revision).Select(d => d.Document)]));
        }
    }

    public Task<long> CommitAsync(AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (changes.Count > 0 && RefusalOfChange is { } refusal)
            {
                RefusalOfChange = null;
                return Task.FromException<long>(refusal);
            }

            foreach (var change in changes)
                Check(change, changes);
            if (changes.Count > 0)
            {
                _revision++;
                (_readRefusal, RefusalAfterChange) = (RefusalAfterChange, null);
            }

            foreach (var change in changes)
                _documents[(change.Document.Kind, change.Document.Id)] = (change.Document, _revision, change.Names);
            foreach (var use in segment.Usage)
                _usage[use.Kid] = _usage.TryGetValue(use.Kid, out var known) ? Add(known, use) : use;
            Records += segment.Count;
            _head = new AuditHead(segment.Node, segment.LastSequence, segment.Seal);
            return Task.FromResult(_revision);
        }
    }

    public Task<IReadOnlyList<VersionUsage>> ReadUsageAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            return Task.FromResult<IReadOnlyList<VersionUsage>>([.. _usage.Values]);
    }

    public Task<AuditHead?> ReadAuditHeadAsync(string node, CancellationToken cancellationToken) => Task.FromResult(_head);

    public IAsyncEnumerable<AuditSegment> SearchAuditAsync(AuditSegmentFilter filter, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public IAsyncEnumerable<AuditSegment> ReadAuditChainAsync(string node, long fromSequence, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<IReadOnlyList<string>> ReadAuditNodesAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Check(DocumentChange change, IReadOnlyList<DocumentChange> together)
    {
        var id = (change.Document.Kind, change.Document.Id);
        var version = _documents.TryGetValue(id, out var known) ? known.Document.Version : 0;
        if (change.Document.Version != version + 1)
            throw new SigningException(SigningFault.Conflict, "It was changed meanwhile.");
        // What is changed in the same commit holds other names after it.
        if (_documents.Any(d => !together.Any(c => d.Key == (c.Document.Kind, c.Document.Id)) && d.Value.Names.Intersect(change.Names, StringComparer.Ordinal).Any()))
            throw new SigningException(SigningFault.NameTaken, "The name is taken.");
    }

    private static VersionUsage Add(VersionUsage a, VersionUsage b) => new(
        a.Kid,
        a.Uses + b.Uses,
        a.LastUsedAt > b.LastUsedAt ? a.LastUsedAt : b.LastUsedAt,
        a.LatestExpiry > b.LatestExpiry || b.LatestExpiry is null ? a.LatestExpiry : b.LatestExpiry);
}
