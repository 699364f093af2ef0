using System.Runtime.CompilerServices;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tests.Audit;

/// <summary>A store in memory that can be slow, hang, refuse and lose the connection after a commit, as real ones do.</summary>
internal sealed class MemoryStore : IStore
{
    private readonly List<AuditSegment> _segments = [];
    private TaskCompletionSource _open = Completed();

    public IReadOnlyList<AuditSegment> Segments => _segments;

    /// <summary>Thrown by the next commits, before anything is kept; null ends it.</summary>
    public SigningException? Refusal { get; set; }

    /// <summary>Thrown once by the next commit, after everything was kept.</summary>
    public SigningException? RefusalAfterCommit { get; set; }

    /// <summary>Commits that began.</summary>
    public int Commits { get; private set; }

    public void Hang() => _open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Release() => _open.TrySetResult();

    public async Task<long> CommitAsync(
        AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken)
    {
        Commits++;
        await _open.Task;
        if (Refusal is not null)
            throw Refusal;
        _segments.Add(segment);
        if (RefusalAfterCommit is { } lost)
        {
            RefusalAfterCommit = null;
            throw lost;
        }

        return changes.Count;
    }

    public Task<AuditHead?> ReadAuditHeadAsync(string node, CancellationToken cancellationToken) => Task.FromResult(
        _segments.Count == 0 ? null : new AuditHead(node, _segments[^1].LastSequence, _segments[^1].Seal));

    public async IAsyncEnumerable<AuditSegment> ReadAuditChainAsync(
        string node, long fromSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var segment in _segments.Where(s => s.LastSequence >= fromSequence))
            yield return segment;
        await Task.CompletedTask;
    }

    public Task<IReadOnlyList<string>> ReadAuditNodesAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<string>>(_segments.Select(s => s.Node).Distinct(StringComparer.Ordinal).ToArray());

    public Task<StateChanges> ReadStateAsync(long afterRevision, CancellationToken cancellationToken) =>
        Task.FromResult(new StateChanges(afterRevision, []));

    public Task<IReadOnlyList<VersionUsage>> ReadUsageAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<VersionUsage>>([]);

    public IAsyncEnumerable<AuditSegment> SearchAuditAsync(AuditSegmentFilter filter, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static TaskCompletionSource Completed()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }
}
