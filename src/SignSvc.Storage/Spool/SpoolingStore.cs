using System.Runtime.CompilerServices;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Postgres;

namespace SignSvc.Storage.Spool;

/// <summary>
/// Lets a node that is cut off from the database go on recording for a while. Audit segments go into the node's own
/// <see cref="AuditSpool"/>, durable on its disk, and from there, in order, into the database when it is back. Only this
/// node writes its chain, so nothing can come in between. Changes of state are not spooled: they need the database.
/// </summary>
/// <remarks>
/// It begins with the first commit that the database did not confirm, and ends when the spool is empty. Whether that
/// first commit happened is found out then: the database's head tells which segments it has. Until then what is in the
/// spool is durable on this node alone, and searches do not find it.
/// </remarks>
public sealed class SpoolingStore : IStore, IBackupStore, IUseOnce
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(500);

    /// <summary>Below what a caller waits for its record, so that the first callers after a cut are not all refused.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(700);

    private readonly PostgresStore _database;
    private readonly AuditSpool _spool;
    private readonly TimeSpan _bound;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _closing = new();
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly Task _draining;
    private readonly SemaphoreSlim _hasWork = new(0, 1);

    private bool _isSpooling;
    private long _lastContact;

    /// <summary>When spooling began, or a segment was handed over last: a database that is read and takes nothing is not there.</summary>
    private long _lastHandedOver;

    /// <summary>Where this node's chain ends; null where that is not certain, because a commit was not confirmed.</summary>
    private volatile AuditHead? _head;

    private long _revision;
    private volatile SigningException? _failure;

    /// <param name="database">Owned from now on, as is the spool.</param>
    /// <param name="bound">So long after the last contact segments are taken: that of the snapshot's <see cref="SnapshotFreshness"/>.</param>
    public SpoolingStore(PostgresStore database, AuditSpool spool, TimeSpan bound, TimeProvider time)
    {
        (_database, _spool, _bound, _time) = (database, spool, bound, time);
        _lastContact = _lastHandedOver = time.GetTimestamp();
        _isSpooling = spool.Count > 0;
        if (_isSpooling)
            _hasWork.Release();
        _draining = Task.Run(DrainAlwaysAsync);
    }

    /// <summary>Segments that are on this node's disk alone.</summary>
    public long Waiting => _spool.Count;

    /// <summary>True from the first commit that the database did not confirm until the spool is found empty, a moment after its last segment left.</summary>
    public bool IsSpooling => Volatile.Read(ref _isSpooling);

    public async Task<long> CommitAsync(AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken)
    {
        if (_failure is { } failure)
            throw failure;
        if (changes.Count > 0)
        {
            if (IsSpooling)
                throw CutOff("a change needs the database");
            return await ChangeAsync(segment, changes, cancellationToken);
        }

        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (!_isSpooling)
            {
                var commit = _database.CommitAsync(segment, changes, cancellationToken);
                _head = null;
                try
                {
                    var revision = Confirm(await commit.WaitAsync(Patience, _time, cancellationToken));
                    _head = HeadOf(segment);
                    return revision;
                }
                catch (Exception e) when (IsAway(e))
                {
                    // It may still happen: the head of the chain will tell.
                    _ = ObserveAsync(commit);
                }
            }

            Spool(segment);
            _head = HeadOf(segment);
            return Interlocked.Read(ref _revision);
        }
        finally
        {
            _gate.Release();
        }
    }

    public async Task<StateChanges> ReadStateAsync(long afterRevision, CancellationToken cancellationToken)
    {
        var state = await _database.ReadStateAsync(afterRevision, cancellationToken);
        Confirm(state.Revision);
        return state;
    }

    /// <summary>The database's word goes first; where it says nothing, a head that is certain will do to record on from.</summary>
    public async Task<AuditHead?> ReadAuditHeadAsync(string node, CancellationToken cancellationToken)
    {
        if (_spool.HeadOf(node) is { } waiting)
            return waiting;
        var reading = _database.ReadAuditHeadAsync(node, cancellationToken);
        return _head is { } certain && string.Equals(certain.Node, node, StringComparison.Ordinal) && !await AnswersAsync(reading, cancellationToken)
            ? certain
            : await reading;
    }

    public Task<IReadOnlyList<VersionUsage>> ReadUsageAsync(CancellationToken cancellationToken) => _database.ReadUsageAsync(cancellationToken);

    public IAsyncEnumerable<AuditSegment> SearchAuditAsync(AuditSegmentFilter filter, CancellationToken cancellationToken) =>
        _database.SearchAuditAsync(filter, cancellationToken);

    /// <summary>With what waits here at its end, so that it is whole up to its head, also while it is handed over.</summary>
    public async IAsyncEnumerable<AuditSegment> ReadAuditChainAsync(
        string node, long fromSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        long last = 0;
        while (true)
        {
            // The spool first: what has gone from it by now is in the database.
            var waiting = _spool.Next(node, last);
            var isNext = last > 0 && waiting?.FirstSequence == last + 1;
            if (!isNext)
            {
                var isMore = false;
                await foreach (var segment in _database.ReadAuditChainAsync(node, last == 0 ? fromSequence : last + 1, cancellationToken))
                {
                    // Beyond its end a chain leads to its last segment.
                    if (segment.LastSequence <= last)
                        continue;
                    (last, isMore) = (segment.LastSequence, true);
                    yield return segment;
                }

                if (isMore)
                    continue;
            }

            if (waiting is null)
                yield break;
            last = waiting.LastSequence;
            yield return waiting;
        }
    }

    public Task<IReadOnlyList<string>> ReadAuditNodesAsync(CancellationToken cancellationToken) => _database.ReadAuditNodesAsync(cancellationToken);

    public IAsyncEnumerable<BackupItem> ReadAllAsync(CancellationToken cancellationToken) => _database.ReadAllAsync(cancellationToken);

    public Task RestoreAsync(IAsyncEnumerable<BackupItem> items, CancellationToken cancellationToken) => _database.RestoreAsync(items, cancellationToken);

    public Task<bool> TryUseAsync(string scope, string id, DateTimeOffset until, CancellationToken cancellationToken) =>
        _database.TryUseAsync(scope, id, until, cancellationToken);

    public Task<bool> WasUsedAsync(string scope, string id, CancellationToken cancellationToken) => _database.WasUsedAsync(scope, id, cancellationToken);

    public Task<int> ForgetAsync(DateTimeOffset before, CancellationToken cancellationToken) => _database.ForgetAsync(before, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _draining;
        // What came last and fits in a moment; the rest waits in the file for the next start.
        if (_spool.Count > 0 && _failure is null)
            await TryDrainAsync();
        _spool.Dispose();
        await _database.DisposeAsync();
        _closing.Dispose();
        _gate.Dispose();
        _hasWork.Dispose();
    }

    /// <summary>
    /// A change of which nobody knows whether it happened leaves no head to record on from, until the database is back: where
    /// it does not answer, the change is not even tried.
    /// </summary>
    private async Task<long> ChangeAsync(AuditSegment segment, IReadOnlyList<DocumentChange> changes, CancellationToken cancellationToken)
    {
        if (!await AnswersAsync(_database.ReadStateAsync(long.MaxValue, cancellationToken), cancellationToken))
            throw CutOff("a change needs the database");
        var head = _head;
        _head = null;
        try
        {
            var revision = Confirm(await _database.CommitAsync(segment, changes, cancellationToken));
            _head = HeadOf(segment);
            return revision;
        }
        catch (SigningException e) when (e.Fault is SigningFault.Conflict or SigningFault.NameTaken)
        {
            _head = head;
            throw;
        }
    }

    private async Task<bool> AnswersAsync(Task answer, CancellationToken cancellationToken)
    {
        try
        {
            await answer.WaitAsync(Patience, _time, cancellationToken);
            return true;
        }
        catch (Exception e) when (IsAway(e))
        {
            _ = ObserveAsync(answer);
            return false;
        }
    }

    /// <summary>What a database that cannot be reached ends in, or one that does not answer.</summary>
    private static bool IsAway(Exception e) => e is TimeoutException or SigningException { Fault: SigningFault.StoreUnavailable };

    private static async Task ObserveAsync(Task abandoned)
    {
        try
        {
            await abandoned;
        }
        catch (SigningException)
        {
            // Nobody waits for it any more; what became of it is asked when the spool is emptied.
        }
    }

    private long Confirm(long revision)
    {
        Interlocked.Exchange(ref _revision, revision);
        Interlocked.Exchange(ref _lastContact, _time.GetTimestamp());
        return revision;
    }

    private static AuditHead HeadOf(AuditSegment segment) => new(segment.Node, segment.LastSequence, segment.Seal);

    private void Spool(AuditSegment segment)
    {
        var since = _isSpooling ? Math.Min(Interlocked.Read(ref _lastContact), Interlocked.Read(ref _lastHandedOver)) : Interlocked.Read(ref _lastContact);
        if (_time.GetElapsedTime(since) > _bound)
            throw CutOff($"no longer than {_bound.TotalSeconds:F0} s");
        _spool.Add(segment);
        if (!_isSpooling)
        {
            Interlocked.Exchange(ref _lastHandedOver, _time.GetTimestamp());
            Volatile.Write(ref _isSpooling, true);
            _hasWork.Release();
        }
    }

    private async Task DrainAlwaysAsync()
    {
        while (!_closing.IsCancellationRequested)
        {
            try
            {
                await _hasWork.WaitAsync(_closing.Token);
                while (_failure is null && !await TryDrainAsync())
                    await Task.Delay(Retry, _time, _closing.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <returns>True when the spool is empty and commits go to the database again.</returns>
    private async Task<bool> TryDrainAsync()
    {
        try
        {
            while (true)
            {
                while (_spool.First() is { } segment)
                {
                    await HandOverAsync(segment);
                    Interlocked.Exchange(ref _lastContact, _time.GetTimestamp());
                    Interlocked.Exchange(ref _lastHandedOver, _time.GetTimestamp());
                    _spool.Remove(segment);
                }

                await _gate.WaitAsync();
                try
                {
                    if (_spool.Count > 0)
                        continue;
                    Volatile.Write(ref _isSpooling, false);
                    return true;
                }
                finally
                {
                    _gate.Release();
                }
            }
        }
        catch (SigningException e) when (e.Fault == SigningFault.StoreUnavailable)
        {
            return false;
        }
        catch (SigningException e)
        {
            _failure = e;
            return true;
        }
        catch (Exception e)
        {
            // An edge of the process: a defect must stop signing, not leave records on this disk for ever.
            _failure = new SigningException(SigningFault.StoreFailed, "The records that wait on this node's disk cannot be handed over.", e);
            return true;
        }
    }

    /// <summary>Appends it, unless the database has it already: a commit that was not confirmed may have happened, also just now.</summary>
    private async Task HandOverAsync(AuditSegment segment)
    {
        if (await HasAsync(segment))
            return;
        try
        {
            await _database.CommitAsync(segment, [], CancellationToken.None);
        }
        catch (SigningException e) when (e.Fault == SigningFault.StoreFailed)
        {
            if (!await HasAsync(segment))
                throw;
        }
    }

    private async Task<bool> HasAsync(AuditSegment segment)
    {
        var head = await _database.ReadAuditHeadAsync(segment.Node, CancellationToken.None);
        return head is not null && head.LastSequence == segment.LastSequence && head.Seal.Span.SequenceEqual(segment.Seal.Span);
    }

    private static SigningException CutOff(string why) =>
        new(SigningFault.StoreUnavailable, $"This node is cut off from the database: {why}.") { RetryAfter = TimeSpan.FromSeconds(1) };
}
