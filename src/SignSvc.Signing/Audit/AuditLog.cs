using System.Diagnostics;
using System.Threading.Channels;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Telemetry;
using SignSvc.Signing.Telemetry.Usage;

namespace SignSvc.Signing.Audit;

/// <summary>
/// The one writer of the audit (invariant 1). It commits, as one segment, whatever arrived while the commit before ran;
/// a caller goes on when the commit that holds its record has returned. State changes pass through the same writer, so
/// that a change and its record are one commit.
/// </summary>
/// <remarks>
/// After <see cref="SigningFault.StoreFailed"/> (a failed fsync, a damaged file) the log refuses everything until the
/// process is started again and the store has been checked: a later fsync that succeeds proves nothing about what an
/// earlier one lost.
/// </remarks>
public sealed class AuditLog : IAsyncDisposable
{
    private readonly IStore _store;
    private readonly AuditChain _chain;
    private readonly AuditLimits _limits;
    private readonly TimeProvider _time;
    private readonly Channel<AuditEntry> _queue;
    private readonly Task _writer;
    private readonly string _node;

    // Owned by the writer.
    private long _nextSequence;
    private ReadOnlyMemory<byte> _previous;
    private bool _headIsKnown;
    private AuditEntry? _heldBack;

    // Written by the writer, read by everyone.
    private long _commitStartedAt;
    private long _refusedAt;
    private volatile SigningException? _failed;

    private AuditLog(IStore store, AuditChain chain, string node, AuditLimits limits, TimeProvider time)
    {
        _store = store;
        _chain = chain;
        _node = node;
        _limits = limits;
        _time = time;
        _queue = Channel.CreateBounded<AuditEntry>(new BoundedChannelOptions(limits.QueuedEntries)
        {
            SingleReader = true,
            FullMode = BoundedChannelFullMode.Wait,
        });
        _writer = Task.Run(WriteAsync);
    }

    /// <summary>Opens a node's chain where it ended.</summary>
    public static async Task<AuditLog> OpenAsync(
        IStore store, AuditChain chain, string node, AuditLimits limits, TimeProvider time, CancellationToken cancellationToken)
    {
        var log = new AuditLog(store, chain, node, limits, time);
        await log.ReadHeadAsync(cancellationToken);
        return log;
    }

    /// <summary>Why the log refuses everything until a restart; null while it does not.</summary>
    public SigningException? Failure => _failed;

    /// <summary>Why signatures are refused now, until a restart or until the store takes records again; null: they become durable.</summary>
    public string? Trouble =>
        _failed is { } failed ? failed.Message
        : StuckFor() > _limits.CommitTimeout ? "The audit store does not answer."
        : Volatile.Read(ref _refusedAt) is not 0 and var at && _time.GetElapsedTime(at) < _limits.TroubleAfterRefusal ? "The audit store cannot be written."
        : null;

    /// <summary>Is told of every record that became durable; null: nobody watches.</summary>
    public UsageWatch? Usage { get; set; }

    /// <summary>Entries that wait for a commit.</summary>
    public int Queued => _queue.Reader.Count;

    /// <summary>Returns when the record is durable.</summary>
    /// <returns>Its audit id.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.AuditUnavailable"/>: it may or may not become durable; release nothing.</exception>
    public async ValueTask<string> AppendAsync(AuditRecord record, CancellationToken cancellationToken)
    {
        var entry = new AuditEntry(record);
        await CommitAsync(entry, cancellationToken);
        return AuditId.Format(_node, entry.FirstSequence);
    }

    /// <summary>Returns when all records are durable; they are neighbours in the chain.</summary>
    /// <returns>Their audit ids, in order.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.AuditUnavailable"/>.</exception>
    public async ValueTask<string[]> AppendAsync(IReadOnlyCollection<AuditRecord> records, CancellationToken cancellationToken)
    {
        if (records.Count == 0)
            return [];
        var entry = new AuditEntry(records as AuditRecord[] ?? [.. records]);
        await CommitAsync(entry, cancellationToken);
        var ids = new string[records.Count];
        for (var i = 0; i < ids.Length; i++)
            ids[i] = AuditId.Format(_node, entry.FirstSequence + i);
        return ids;
    }

    /// <summary>Returns when the changes and their record are durable, in one commit, and served.</summary>
    /// <param name="serve">Makes this node serve what is durable. It runs also where the caller gave up before: a change that landed takes effect.</param>
    /// <returns>The record's audit id and the revision that the changes led to.</returns>
    /// <exception cref="SigningException"><see cref="SigningFault.NameTaken"/>, <see cref="SigningFault.Conflict"/> (nothing was changed), <see cref="SigningFault.AuditUnavailable"/> (it may or may not take effect).</exception>
    public async Task<(string AuditId, long Revision)> ChangeAsync(
        AuditRecord record, IReadOnlyList<DocumentChange> changes, Func<Task> serve, CancellationToken cancellationToken)
    {
        var entry = new AuditEntry(record) { Changes = changes };
        var served = ServeAsync(entry, serve);
        await CommitAsync(entry, cancellationToken);
        try
        {
            await served;
        }
        catch (SigningException e)
        {
            // It stands: whoever took this for a refusal would undo what is in use, a key pair first of all.
            throw Unavailable("The change is durable, but this node could not read it back yet.", e);
        }

        return (AuditId.Format(_node, entry.FirstSequence), entry.Revision);
    }

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _writer;
    }

    private async ValueTask CommitAsync(AuditEntry entry, CancellationToken cancellationToken)
    {
        using var span = SigningSpans.Start(SigningSpans.Audit);
        try
        {
            Enqueue(entry);
            await entry.Done.Task.WaitAsync(_limits.CommitTimeout, _time, cancellationToken);
            span?.SetTag(Tags.AuditId, AuditId.Format(_node, entry.FirstSequence));
            entry.Measure(isDurable: true, Usage);
        }
        catch (TimeoutException e)
        {
            var refusal = Unavailable("The audit store did not answer in time.", e);
            Measure(entry, span, refusal);
            throw refusal;
        }
        catch (SigningException e)
        {
            Measure(entry, span, e);
            throw;
        }
    }

    private void Enqueue(AuditEntry entry)
    {
        if (_failed is { } failed)
            throw failed;
        // A commit that hangs would only collect callers who are all refused in the end: refuse them now.
        if (StuckFor() > _limits.CommitTimeout)
            throw Unavailable("The audit store does not answer.");
        if (!_queue.Writer.TryWrite(entry))
            throw Unavailable("Too many requests wait for the audit store.");
    }

    /// <summary>A change that is refused for its own sake gets a record of its refusal, and is counted with that.</summary>
    private static void Measure(AuditEntry entry, Activity? span, SigningException refusal)
    {
        span.Refused(refusal);
        if (refusal.Fault == SigningFault.AuditUnavailable)
            entry.Measure(isDurable: false, usage: null);
    }

    private static async Task ServeAsync(AuditEntry entry, Func<Task> serve)
    {
        await entry.Done.Task;
        await serve();
    }

    private TimeSpan StuckFor()
    {
        var started = Volatile.Read(ref _commitStartedAt);
        return started == 0 ? TimeSpan.Zero : _time.GetElapsedTime(started);
    }

    private async Task WriteAsync()
    {
        var batch = new List<AuditEntry>();
        while (_heldBack is not null || await _queue.Reader.WaitToReadAsync())
        {
            // To the back of the thread pool's queue: requests that are there already come into this commit. It costs an
            // idle service nothing, and a busy one far fewer commits.
            await Task.Yield();
            Collect(batch);
            var started = Math.Max(1, _time.GetTimestamp());
            Volatile.Write(ref _commitStartedAt, started);
            var isCommitted = false;
            try
            {
                await CommitAsync(batch);
                isCommitted = true;
            }
            catch (SigningException e)
            {
                Refuse(batch, e);
            }
            catch (Exception e)
            {
                // The writer is an edge of the process: a defect in a store must stop signing, not leave callers waiting for nobody.
                Refuse(batch, new SigningException(SigningFault.StoreFailed, "The audit store failed in a way that is not foreseen.", e));
            }
            finally
            {
                Volatile.Write(ref _commitStartedAt, 0);
                SigningMeters.Committed(batch.Sum(e => e.Count), failed: !isCommitted, _time.GetElapsedTime(started));
                batch.Clear();
            }
        }
    }

    /// <summary>Takes what waits: a segment's worth of records, or one entry with changes, which is committed alone because its refusal must touch nobody else.</summary>
    private void Collect(List<AuditEntry> batch)
    {
        var bytes = 0;
        while (true)
        {
            var entry = _heldBack;
            _heldBack = null;
            if (entry is null && !_queue.Reader.TryRead(out entry))
                return;
            if (batch.Count > 0 && !FitsWith(batch[0], entry, bytes))
            {
                _heldBack = entry;
                return;
            }

            batch.Add(entry);
            bytes += entry.Text.Length;
            if (entry.Changes.Count > 0)
                return;
        }
    }

    private bool FitsWith(AuditEntry first, AuditEntry entry, int bytes) =>
        entry.Changes.Count == 0
        && bytes + entry.Text.Length <= _limits.SegmentBytes
        && (entry.LastAt - first.FirstAt).Duration() <= AuditSegment.MaxSpan;

    private async Task CommitAsync(List<AuditEntry> batch)
    {
        if (_failed is { } failed)
            throw failed;
        if (!_headIsKnown)
            await ReadHeadAsync(CancellationToken.None);

        var segment = SegmentAssembly.Of(batch, _node, _nextSequence, _previous, _chain);
        var revision = await _store.CommitAsync(segment, batch[^1].Changes, CancellationToken.None);
        _nextSequence += segment.Count;
        _previous = segment.Seal;
        // Whoever has an answer must find that the store is well again.
        Volatile.Write(ref _refusedAt, 0);
        Volatile.Write(ref _commitStartedAt, 0);

        var sequence = segment.FirstSequence;
        foreach (var entry in batch)
        {
            entry.FirstSequence = sequence;
            entry.Revision = revision;
            sequence += entry.Count;
            entry.Done.TrySetResult();
        }
    }

    private void Refuse(List<AuditEntry> batch, SigningException e)
    {
        if (e.Fault == SigningFault.StoreFailed)
            _failed ??= new SigningException(
                SigningFault.AuditUnavailable,
                "The audit store failed; nothing is signed until the service was restarted and has checked it.", e);

        var isAboutTheChange = e.Fault is SigningFault.NameTaken or SigningFault.Conflict;
        if (!isAboutTheChange)
        {
            _headIsKnown = false;
            Volatile.Write(ref _refusedAt, Math.Max(1, _time.GetTimestamp()));
        }

        var refusal = _failed ?? (isAboutTheChange ? e : Unavailable("The audit store cannot be written.", e));
        foreach (var entry in batch)
            entry.Done.TrySetException(refusal);
    }

    private async Task ReadHeadAsync(CancellationToken cancellationToken)
    {
        var head = await _store.ReadAuditHeadAsync(_node, cancellationToken);
        _nextSequence = head is null ? 1 : head.LastSequence + 1;
        _previous = head?.Seal ?? AuditChain.Genesis;
        _headIsKnown = true;
    }

    private static SigningException Unavailable(string message, Exception? inner = null) =>
        new(SigningFault.AuditUnavailable, message, inner) { RetryAfter = TimeSpan.FromSeconds(1) };
}
