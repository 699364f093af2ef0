using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;
using static SignSvc.Storage.Tests.Documents;

namespace SignSvc.Storage.Tests;

/// <summary>What <see cref="IStore"/> guarantees; every store runs it on an empty database of its own.</summary>
public abstract partial class StoreContract : IAsyncLifetime
{
    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    protected IStore Store { get; private set; } = null!;

    /// <summary>Opens the test's one database; the first call makes it.</summary>
    protected abstract Task<IStore> OpenAsync();

    public async ValueTask InitializeAsync() => Store = await OpenAsync();

    public virtual async ValueTask DisposeAsync()
    {
        await Store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_new_store_is_empty()
    {
        var state = await Store.ReadStateAsync(0, Cancel);
        Assert.Equal(0, state.Revision);
        Assert.Empty(state.Documents);
        Assert.Null(await Store.ReadAuditHeadAsync("a", Cancel));
        Assert.Empty(await Store.ReadAuditNodesAsync(Cancel));
        Assert.Empty(await Store.ReadUsageAsync(Cancel));
        Assert.Empty(await Store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync());
        Assert.Empty(await Store.SearchAuditAsync(new AuditSegmentFilter([], null, null), Cancel).ToListAsync());
    }

    [Fact]
    public async Task A_commit_that_returned_is_there_unchanged_and_stays_after_a_restart()
    {
        var use = new VersionUsage("kid", 3, ChainWriter.Noon.AddTicks(7), ChainWriter.Noon.AddTicks(11));
        var segment = new ChainWriter("a").Next(
            count: 3, ChainWriter.Noon.AddTicks(1), ChainWriter.Noon.AddTicks(9), ["caller=x"], [use], [0, 255, 10, 13, 128]);
        var change = Change("k1", 1, "key:one", "alias:uno");
        Assert.Equal(1, await Store.CommitAsync(segment, [change], Cancel));

        await CheckAsync(Store);
        await Store.DisposeAsync();
        await using var reopened = await OpenAsync();
        await CheckAsync(reopened);

        async Task CheckAsync(IStore store)
        {
            var read = Assert.Single(await store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync());
            AssertSame(segment, read);
            Assert.True(read.Id > 0);
            AssertSame(segment, Assert.Single(await store.SearchAuditAsync(new AuditSegmentFilter(["caller=x"], null, null), Cancel).ToListAsync()));
            var head = await store.ReadAuditHeadAsync("a", Cancel);
            Assert.Equal(3, head!.LastSequence);
            Assert.Equal(segment.Seal.ToArray(), head.Seal.ToArray());
            var state = await store.ReadStateAsync(0, Cancel);
            Assert.Equal(1, state.Revision);
            AssertSame(change.Document, Assert.Single(state.Documents));
            Assert.Equal(use, Assert.Single(await store.ReadUsageAsync(Cancel)));
        }
    }

    [Fact]
    public async Task Every_change_takes_the_next_revision_and_a_reader_gets_what_is_after_its_own()
    {
        var chain = new ChainWriter("a");
        Assert.Equal(2, await chain.CommitAsync(Store, Change("k1", 1), Change("k2", 1)));
        Assert.Equal(2, await chain.CommitAsync(Store));
        Assert.Equal(3, await chain.CommitAsync(Store, Change("k1", 2)));

        Assert.Equal([("k2", 1), ("k1", 2)], await ReadAsync(after: 0));
        Assert.Equal([("k1", 2)], await ReadAsync(after: 2));
        Assert.Empty(await ReadAsync(after: 3));

        async Task<List<(string, int)>> ReadAsync(long after)
        {
            var state = await Store.ReadStateAsync(after, Cancel);
            Assert.Equal(3, state.Revision);
            return [.. state.Documents.Select(d => (d.Id, d.Version))];
        }
    }

    [Fact]
    public async Task A_document_may_change_twice_in_one_commit()
    {
        Assert.Equal(2, await new ChainWriter("a").CommitAsync(Store, Change("k1", 1, "key:one"), Change("k1", 2, "key:two")));
        var state = await Store.ReadStateAsync(0, Cancel);
        Assert.Equal(2, state.Revision);
        Assert.Equal(2, Assert.Single(state.Documents).Version);
    }

    [Fact]
    public async Task A_taken_name_is_refused_and_named_and_nothing_of_the_commit_is_there()
    {
        var chain = new ChainWriter("a");
        await chain.CommitAsync(Store, Change("k1", 1, "key:one"));
        await RefusedAsync(
            chain, SigningFault.NameTaken, "The name one is taken.", Change("k2", 1, "key:two"), Change("k3", 1, "key:three", "key:one"));

        // The names that the refused commit would have taken are free, and the chain goes on where it stood.
        Assert.Equal(2, await chain.CommitAsync(Store, Change("k4", 1, "key:two", "key:three")));
    }

    [Theory]
    [InlineData("k1", 1)]
    [InlineData("k1", 2)]
    [InlineData("k1", 4)]
    [InlineData("new", 2)]
    public async Task A_document_that_is_not_at_the_version_before_is_refused_and_nothing_of_the_commit_is_there(string id, int version)
    {
        var chain = new ChainWriter("a");
        await chain.CommitAsync(Store, Change("k1", 1));
        await chain.CommitAsync(Store, Change("k1", 2));
        await RefusedAsync(chain, SigningFault.Conflict, expectedMessage: null, Change("other", 1, "key:other"), Change(id, version));
        Assert.Equal(3, await chain.CommitAsync(Store, Change("k1", 3)));
    }

    [Fact]
    public async Task A_document_holds_exactly_the_names_of_its_last_change()
    {
        var chain = new ChainWriter("a");
        await chain.CommitAsync(Store, Change("k1", 1, "key:one", "alias:a"));
        await chain.CommitAsync(Store, Change("k1", 2, "key:one", "alias:b"));
        await chain.CommitAsync(Store, Change("k2", 1, "key:two", "alias:a"));
        await RefusedAsync(chain, SigningFault.NameTaken, "The name one is taken.", Change("k2", 2, "key:one"));

        // A name moves within one commit when its holder lets go first; the scopes are apart.
        await chain.CommitAsync(Store, Change("k1", 3), Change("k2", 2, "key:one", "alias:a", "alias:one"));
    }

    [Theory]
    [InlineData("another seal before")]
    [InlineData("a gap before")]
    [InlineData("the last again")]
    [InlineData("the first again")]
    [InlineData("a chain without a first")]
    public async Task A_segment_that_does_not_follow_the_head_is_refused_as_a_failure_and_nothing_of_it_is_there(string how)
    {
        var chain = new ChainWriter("a");
        var first = chain.Next(count: 2);
        await chain.CommitAsync(Store, first, Change("k1", 1));
        var second = chain.Next(usage: [new VersionUsage("kid", 1, ChainWriter.Noon, null)]);
        await chain.CommitAsync(Store, second);
        var next = chain.Next(usage: second.Usage, terms: ["caller=x"]);
        var wrong = how switch
        {
            "another seal before" => next with { Previous = first.Seal },
            "a gap before" => next with { FirstSequence = next.FirstSequence + 1 },
            "the last again" => second,
            "the first again" => first,
            _ => next with { Node = "b" },
        };

        var thrown = await Assert.ThrowsAsync<SigningException>(() => Store.CommitAsync(wrong, [Change("k2", 1, "key:two")], Cancel));
        Assert.Equal(SigningFault.StoreFailed, thrown.Fault);

        Assert.Equal(["a"], await Store.ReadAuditNodesAsync(Cancel));
        Assert.Equal(3, (await Store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);
        Assert.Equal(2, (await Store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync()).Count);
        Assert.Equal(1, (await Store.ReadStateAsync(0, Cancel)).Revision);
        Assert.Equal(1, Assert.Single(await Store.ReadUsageAsync(Cancel)).Uses);
        Assert.Equal(2, await chain.CommitAsync(Store, next, Change("k2", 1, "key:two")));
    }

    [Fact]
    public async Task Use_adds_up_over_segments_and_nodes_and_keeps_the_latest_times()
    {
        var (a, b) = (new ChainWriter("a"), new ChainWriter("b"));
        var noon = ChainWriter.Noon;
        await a.CommitAsync(Store, a.Next(usage: [new("k1", 2, noon.AddHours(2), null), new("k2", 1, noon, noon.AddHours(1))]));
        await b.CommitAsync(Store, b.Next(usage: [new("k1", 5, noon.AddHours(1), noon.AddHours(3))]));
        await a.CommitAsync(Store, a.Next(usage: [new("k1", 1, noon, noon.AddHours(2)), new("k2", 1, noon.AddHours(4), null)]));
        await b.CommitAsync(Store, b.Next(usage: [new("k3", 1, noon, null)]));

        Assert.Equal(
            [
                new VersionUsage("k1", 8, noon.AddHours(2), noon.AddHours(3)),
                new VersionUsage("k2", 2, noon.AddHours(4), noon.AddHours(1)),
                new VersionUsage("k3", 1, noon, null),
            ],
            (await Store.ReadUsageAsync(Cancel)).OrderBy(u => u.Kid, StringComparer.Ordinal));
    }

    [Fact]
    public async Task Concurrent_readers_see_each_commit_whole_or_not_at_all_and_never_an_older_state_again()
    {
        const int Commits = 150;
        var chain = new ChainWriter("a");
        await chain.CommitAsync(Store, Change("k1", 1), Change("k2", 1));
        var readers = Enumerable.Range(0, 4).Select(_ => Task.Run(ReadUntilTheLastAsync, Cancel)).ToArray();
        for (var version = 2; version <= Commits; version++)
            await chain.CommitAsync(Store, Change("k1", version), Change("k2", version));
        await Task.WhenAll(readers);

        async Task ReadUntilTheLastAsync()
        {
            for (var seen = 0; seen < Commits;)
            {
                var state = await Store.ReadStateAsync(0, Cancel);
                Assert.Equal(state.Documents[0].Version, state.Documents[1].Version);
                Assert.Equal(state.Documents[0].Version * 2, state.Revision);
                Assert.InRange(state.Documents[0].Version, seen, Commits);
                seen = state.Documents[0].Version;
                // The state's commit is durable with its segment: the head is no older.
                Assert.InRange((await Store.ReadAuditHeadAsync("a", Cancel))!.LastSequence, seen, Commits);
            }
        }
    }

    /// <summary>The commit fails so, and the store is as it was.</summary>
    private async Task RefusedAsync(ChainWriter chain, SigningFault fault, string? expectedMessage, params DocumentChange[] changes)
    {
        var before = await Store.ReadStateAsync(0, Cancel);
        var head = await Store.ReadAuditHeadAsync("a", Cancel);
        var segment = chain.Next(terms: ["caller=refused"], usage: [new VersionUsage("refused", 1, ChainWriter.Noon, null)]);
        var thrown = await Assert.ThrowsAsync<SigningException>(() => Store.CommitAsync(segment, changes, Cancel));
        Assert.Equal(fault, thrown.Fault);
        if (expectedMessage is not null)
            Assert.Equal(expectedMessage, thrown.Message);

        var after = await Store.ReadStateAsync(0, Cancel);
        Assert.Equal(before.Revision, after.Revision);
        Assert.Equal(before.Documents.Select(d => (d.Id, d.Version)), after.Documents.Select(d => (d.Id, d.Version)));
        Assert.Equal(head!.LastSequence, (await Store.ReadAuditHeadAsync("a", Cancel))!.LastSequence);
        Assert.DoesNotContain(await Store.ReadUsageAsync(Cancel), u => u.Kid is "refused");
        Assert.Empty(await Store.SearchAuditAsync(new AuditSegmentFilter(["caller=refused"], null, null), Cancel).ToListAsync());
        Assert.Equal(head.LastSequence, (await Store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync()).Sum(s => s.Count));
    }

    private static void AssertSame(Document expected, Document actual)
    {
        Assert.Equal((expected.Kind, expected.Id, expected.Version), (actual.Kind, actual.Id, actual.Version));
        Assert.Equal(expected.Body.ToArray(), actual.Body.ToArray());
        Assert.Equal(expected.Seal.ToArray(), actual.Seal.ToArray());
    }

    private static void AssertSame(AuditSegment expected, AuditSegment actual)
    {
        Assert.Equal(
            (expected.Node, expected.FirstSequence, expected.Count, expected.FirstAt, expected.LastAt),
            (actual.Node, actual.FirstSequence, actual.Count, actual.FirstAt, actual.LastAt));
        Assert.Equal(expected.Body.ToArray(), actual.Body.ToArray());
        Assert.Equal(expected.Previous.ToArray(), actual.Previous.ToArray());
        Assert.Equal(expected.Seal.ToArray(), actual.Seal.ToArray());
    }
}
