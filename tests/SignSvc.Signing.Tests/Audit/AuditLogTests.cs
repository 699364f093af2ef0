using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Audit;

public sealed class AuditLogTests : IAsyncDisposable
{
    private static readonly AuditLimits Limits = new() { CommitTimeout = TimeSpan.FromSeconds(1.5), QueuedEntries = 64 };

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private readonly ManualClock _clock = new();
    private readonly MemoryStore _store = new();
    private readonly AuditChain _chain = new(new byte[32]);
    private AuditLog? _log;

    [Fact]
    public async Task What_arrives_during_a_commit_shares_the_next_one()
    {
        var log = await OpenAsync();
        _store.Hang();
        var first = log.AppendAsync(Record("first"), Stop).AsTask();
        await UntilAsync(() => _store.Commits == 1);
        var others = Enumerable.Range(0, 50).Select(i => log.AppendAsync(Record($"other {i}"), Stop).AsTask()).ToArray();

        _store.Release();
        await first;
        var ids = await Task.WhenAll(others);

        Assert.Equal(2, _store.Commits);
        Assert.Equal(50, ids.Distinct(StringComparer.Ordinal).Count());
        Assert.Equal(51, _store.Segments.Sum(s => s.Count));
    }

    [Fact]
    public async Task An_audit_id_leads_to_its_record()
    {
        var log = await OpenAsync();
        await log.AppendAsync(Record("before"), Stop);
        var ids = await log.AppendAsync([Record("a"), Record("b"), Record("c")], Stop);

        var (found, _) = await new AuditSearch(_store).FindAsync(new AuditQuery(AuditId: ids[1]), 10, after: null, Stop);

        Assert.Equal("b", Assert.Single(found).Detail);
        Assert.Equal(ids[1], found[0].AuditId);
    }

    [Fact]
    public async Task A_hanging_store_is_given_up_within_the_bound_and_refuses_newcomers_at_once()
    {
        var log = await OpenAsync();
        _store.Hang();
        var waiting = log.AppendAsync(Record("waits"), Stop).AsTask();
        await UntilAsync(() => _store.Commits == 1);

        _clock.Advance(TimeSpan.FromSeconds(1.6));
        var refusal = await Assert.ThrowsAsync<SigningException>(() => waiting);
        var newcomer = log.AppendAsync(Record("newcomer"), Stop).AsTask();

        Assert.Equal(SigningFault.AuditUnavailable, refusal.Fault);
        Assert.True(newcomer.IsFaulted);
        await Assert.ThrowsAsync<SigningException>(() => newcomer);

        _store.Release();
        await UntilAsync(() => _store.Segments.Count == 1);
        await UntilAsync(() => log.Queued == 0);
        Assert.NotNull(await RetryAsync(() => log.AppendAsync(Record("after"), Stop)));
    }

    [Fact]
    public async Task A_full_queue_refuses_instead_of_growing()
    {
        var log = await OpenAsync();
        _store.Hang();
        _ = log.AppendAsync(Record("in the commit"), Stop).AsTask();
        await UntilAsync(() => _store.Commits == 1);

        var tasks = Enumerable.Range(0, 200).Select(i => log.AppendAsync(Record($"{i}"), Stop).AsTask()).ToArray();

        Assert.Equal(200 - Limits.QueuedEntries, tasks.Count(t => t.IsFaulted));
        Assert.Equal(Limits.QueuedEntries, log.Queued);
        _store.Release();
        await Task.WhenAll(tasks.Where(t => !t.IsFaulted));
        foreach (var refused in tasks.Where(t => t.IsFaulted))
            await Assert.ThrowsAsync<SigningException>(() => refused);
    }

    [Fact]
    public async Task After_a_failed_store_nothing_is_recorded_until_a_restart()
    {
        var log = await OpenAsync();
        _store.Refusal = new SigningException(SigningFault.StoreFailed, "fsync failed");
        await Assert.ThrowsAsync<SigningException>(() => log.AppendAsync(Record("lost"), Stop).AsTask());

        _store.Refusal = null;
        var later = await Assert.ThrowsAsync<SigningException>(() => log.AppendAsync(Record("later"), Stop).AsTask());

        Assert.Equal(SigningFault.AuditUnavailable, later.Fault);
        Assert.NotNull(log.Failure);
        Assert.Empty(_store.Segments);
    }

    [Fact]
    public async Task A_passing_fault_refuses_its_callers_and_the_log_goes_on()
    {
        var log = await OpenAsync();
        _store.Refusal = new SigningException(SigningFault.StoreUnavailable, "the disk is full");
        await Assert.ThrowsAsync<SigningException>(() => log.AppendAsync(Record("refused"), Stop).AsTask());

        _store.Refusal = null;
        await log.AppendAsync(Record("kept"), Stop);

        await AssertIntactAsync(1);
    }

    [Fact]
    public async Task A_connection_lost_after_the_commit_does_not_break_the_chain()
    {
        var log = await OpenAsync();
        await log.AppendAsync(Record("one"), Stop);
        _store.RefusalAfterCommit = new SigningException(SigningFault.StoreUnavailable, "connection lost");
        await Assert.ThrowsAsync<SigningException>(() => log.AppendAsync(Record("kept though refused"), Stop).AsTask());

        await log.AppendAsync(Record("three"), Stop);

        await AssertIntactAsync(3);
    }

    [Fact]
    public async Task A_change_that_is_refused_touches_nobody_else()
    {
        var log = await OpenAsync();
        _store.Hang();
        var first = log.AppendAsync(Record("first"), Stop).AsTask();
        await UntilAsync(() => _store.Commits == 1);
        var before = log.AppendAsync(Record("before"), Stop).AsTask();
        var change = log.ChangeAsync(Record("change"), [new DocumentChange(new Document("key", "1", 1, new byte[1], new byte[32]), ["key:a"])], () => Task.CompletedTask, Stop);
        var after = log.AppendAsync(Record("after"), Stop).AsTask();

        _store.Release();
        await Task.WhenAll(first, before, change, after);

        Assert.Equal([1, 1, 1, 1], _store.Segments.Select(s => s.Count));
        await AssertIntactAsync(4);
    }

    [Fact]
    public async Task Every_edit_drop_and_reorder_is_detected()
    {
        var log = await OpenAsync();
        for (var i = 0; i < 20; i++)
            await log.AppendAsync([Record($"{i} a"), Record($"{i} b")], Stop);
        var whole = _store.Segments.ToArray();

        for (var i = 0; i < whole.Length; i++)
        {
            var edited = whole[i].Body.ToArray();
            edited[i] ^= 1;
            await AssertBrokenAsync([.. whole[..i], whole[i] with { Body = edited }, .. whole[(i + 1)..]]);
            await AssertBrokenAsync([.. whole[..i], whole[i] with { Count = 1 }, .. whole[(i + 1)..]]);
            if (i < whole.Length - 1)
            {
                await AssertBrokenAsync([.. whole[..i], .. whole[(i + 1)..]]);
                await AssertBrokenAsync([.. whole[..i], whole[i + 1], whole[i], .. whole[(i + 2)..]]);
            }
        }
    }

    [Fact]
    public async Task Uses_are_counted_per_version_with_the_latest_expiry()
    {
        var log = await OpenAsync();
        var expiry = _clock.GetUtcNow().AddMinutes(5);
        await log.AppendAsync(
            [
                Token("k1", expiry), Token("k1", expiry.AddMinutes(-3)), Token("k2", expiry),
                Token("k1", expiry.AddHours(1)) with { Outcome = AuditOutcome.Failed },
            ],
            Stop);

        var usage = Assert.Single(_store.Segments).Usage.OrderBy(u => u.Kid, StringComparer.Ordinal).ToArray();

        Assert.Equal([("k1", 2L, expiry), ("k2", 1L, expiry)], usage.Select(u => (u.Kid, u.Uses, u.LatestExpiry!.Value)));
    }

    public async ValueTask DisposeAsync()
    {
        _store.Release();
        if (_log is not null)
            await _log.DisposeAsync();
    }

    private async Task<AuditLog> OpenAsync() =>
        _log = await AuditLog.OpenAsync(_store, _chain, "n1", Limits, _clock, Stop);

    private AuditRecord Record(string detail) => new()
    {
        At = _clock.GetUtcNow(),
        Caller = "credential:test",
        Action = "keys:Sign",
        Outcome = AuditOutcome.Allowed,
        Detail = detail,
    };

    private AuditRecord Token(string kid, DateTimeOffset expiresAt) =>
        Record("token") with { Action = "tokens:Issue", Kid = kid, ExpiresAt = expiresAt };

    private async Task AssertIntactAsync(long records)
    {
        var result = Assert.Single(await new AuditCheck(_store, _chain).RunAsync(Stop));
        Assert.Null(result.Fault);
        Assert.Equal(records, result.Records);
    }

    private async Task AssertBrokenAsync(AuditSegment[] segments)
    {
        var store = new MemoryStore();
        foreach (var segment in segments)
            await store.CommitAsync(segment, [], Stop);
        Assert.NotNull(Assert.Single(await new AuditCheck(store, _chain).RunAsync(Stop)).Fault);
    }

    /// <summary>The writer works on a thread of its own: what it does is waited for, and bounded.</summary>
    private static async Task UntilAsync(Func<bool> condition)
    {
        using var bound = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            bound.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private static async Task<string> RetryAsync(Func<ValueTask<string>> append)
    {
        while (true)
        {
            try
            {
                return await append();
            }
            catch (SigningException e) when (e.Fault == SigningFault.AuditUnavailable)
            {
                await Task.Yield();
            }
        }
    }
}
