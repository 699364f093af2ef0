using SignSvc.Signing.Audit;

namespace SignSvc.Storage.Tests;

/// <summary>How the audit is read.</summary>
public abstract partial class StoreContract
{
    private static readonly string[] Callers = ["caller=ci", "caller=cd", "caller=ops"];
    private static readonly string[] Keys = ["key=release", "key=tokens", "key=old"];
    private static readonly string[] Outcomes = ["outcome=allowed", "outcome=denied"];

    [Fact]
    public async Task A_chain_is_read_in_order_from_the_segment_that_holds_the_record_asked_for()
    {
        var chain = new ChainWriter("a");
        // 120 segments of 1 to 3 records, on one clock that jumps back: the order is the chain's alone.
        for (var i = 0; i < 120; i++)
            await chain.CommitAsync(Store, chain.Next(count: 1 + (i % 3), ChainWriter.Noon.AddMinutes(-i)));
        var other = new ChainWriter("b");
        await other.CommitAsync(Store);

        var all = await Store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync();
        Assert.Equal(120, all.Count);
        for (var i = 1; i < all.Count; i++)
        {
            Assert.Equal(all[i - 1].LastSequence + 1, all[i].FirstSequence);
            Assert.Equal(all[i - 1].Seal.ToArray(), all[i].Previous.ToArray());
        }

        foreach (var (from, first) in ((long, long)[])[(2, 2), (3, 2), (4, 4), (6, 4), (7, 7), (240, 238)])
        {
            var read = await Store.ReadAuditChainAsync("a", from, Cancel).ToListAsync();
            Assert.Equal(first, read[0].FirstSequence);
            Assert.Equal(240, read[^1].LastSequence);
        }

        Assert.Equal(["a", "b"], await Store.ReadAuditNodesAsync(Cancel));
    }

    [Fact]
    public async Task Large_segments_are_read_whole_and_in_order()
    {
        var chain = new ChainWriter("a");
        for (var i = 0; i < 6; i++)
        {
            var body = new byte[3 * 1024 * 1024];
            new Random(i).NextBytes(body);
            await chain.CommitAsync(Store, chain.Next(body: body, firstAt: ChainWriter.Noon.AddMinutes(i), terms: ["caller=x"]));
        }

        var read = await Store.ReadAuditChainAsync("a", 1, Cancel).ToListAsync();
        Assert.Equal([1, 2, 3, 4, 5, 6], read.Select(s => s.FirstSequence));
        var expected = new byte[3 * 1024 * 1024];
        new Random(5).NextBytes(expected);
        Assert.True(read[5].Body.Span.SequenceEqual(expected));
        var found = await Store.SearchAuditAsync(new AuditSegmentFilter(["caller=x"], null, null), Cancel).ToListAsync();
        Assert.Equal([6, 5, 4, 3, 2, 1], found.Select(s => s.FirstSequence));
    }

    [Fact]
    public async Task Every_search_finds_what_a_walk_over_all_segments_finds_newest_first()
    {
        var random = new Random(20260304);
        var segments = await CommitRandomSegmentsAsync(random, count: 160);
        for (var i = 0; i < 250; i++)
        {
            var filter = RandomFilter(random, segments);
            var found = await Store.SearchAuditAsync(filter, Cancel).ToListAsync();
            AssertFinds(segments, filter, found);
        }

        // Every combination of kinds of term at least once, with and without a range.
        foreach (var terms in Subsets([Callers[0], Keys[1], Outcomes[0]]))
        {
            foreach (var (from, to) in Ranges())
            {
                var filter = new AuditSegmentFilter(terms, from, to);
                AssertFinds(segments, filter, await Store.SearchAuditAsync(filter, Cancel).ToListAsync());
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(63)]
    public async Task Pages_that_begin_after_the_last_segment_of_the_page_before_give_every_segment_once(int size)
    {
        var segments = await CommitRandomSegmentsAsync(new Random(7), count: 90);
        string[] terms = [Outcomes[0]];
        var whole = await Store.SearchAuditAsync(new AuditSegmentFilter(terms, null, null), Cancel).ToListAsync();
        Assert.Equal(segments.Count(s => s.Terms.Contains(terms[0], StringComparer.Ordinal)), whole.Count);

        var paged = new List<long>();
        AuditSegment? last = null;
        do
        {
            var page = new List<AuditSegment>();
            await foreach (var segment in Store.SearchAuditAsync(new AuditSegmentFilter(terms, null, null, last?.FirstAt, last?.Id), Cancel))
            {
                page.Add(segment);
                if (page.Count == size)
                    break;
            }

            paged.AddRange(page.Select(s => s.Id));
            last = page.Count == size ? page[^1] : null;
        }
        while (last is not null);
        Assert.Equal(whole.Select(s => s.Id), paged);
    }

    [Fact]
    public async Task A_term_may_hold_any_text_of_any_length()
    {
        string[] terms = [new('x', 100_000), $"{new string('x', 99_999)}y", "nul\0a", "nul\0b", "", "caller=Ünï-😀", "lone \ud800", "' OR 1=1 --"];
        var chain = new ChainWriter("a");
        foreach (var term in terms)
            await chain.CommitAsync(Store, chain.Next(terms: [term]));
        for (var i = 0; i < terms.Length; i++)
        {
            var found = await Store.SearchAuditAsync(new AuditSegmentFilter([terms[i]], null, null), Cancel).ToListAsync();
            Assert.Equal(i + 1, Assert.Single(found).FirstSequence);
        }
    }

    [Fact]
    public async Task A_reader_may_leave_early_and_others_are_not_kept_waiting()
    {
        var chain = new ChainWriter("a");
        for (var i = 0; i < 10; i++)
            await chain.CommitAsync(Store, chain.Next(terms: ["caller=x"]));
        for (var i = 0; i < 40; i++)
        {
            await foreach (var segment in Store.SearchAuditAsync(new AuditSegmentFilter(["caller=x"], null, null), Cancel))
            {
                Assert.Equal(10, segment.FirstSequence);
                break;
            }

            await foreach (var segment in Store.ReadAuditChainAsync("a", 5, Cancel))
            {
                Assert.Equal(5, segment.FirstSequence);
                // A commit while a reader stands in the middle.
                if (i == 0)
                    await chain.CommitAsync(Store);
                break;
            }
        }
    }

    private async Task<List<AuditSegment>> CommitRandomSegmentsAsync(Random random, int count)
    {
        ChainWriter[] chains = [new("a"), new("b"), new("c")];
        var written = new List<AuditSegment>();
        for (var i = 0; i < count; i++)
        {
            var chain = chains[random.Next(chains.Length)];
            // Few distinct times, so that several segments share one and the id decides.
            var firstAt = ChainWriter.Noon.AddMinutes(random.Next(40));
            var lastAt = firstAt + (random.Next(2) == 0 ? TimeSpan.Zero : AuditSegment.MaxSpan * random.NextDouble());
            string[] terms = [.. Some(Callers), .. Some(Keys), .. Some(Outcomes)];
            var segment = chain.Next(random.Next(1, 4), firstAt, lastAt, terms);
            await chain.CommitAsync(Store, segment);
            written.Add(segment);
        }

        // Ids are the store's; the chains tell them, where no search is involved.
        var ids = new Dictionary<(string, long), long>();
        foreach (var node in await Store.ReadAuditNodesAsync(Cancel))
        {
            await foreach (var segment in Store.ReadAuditChainAsync(node, 1, Cancel))
                ids.Add((segment.Node, segment.FirstSequence), segment.Id);
        }

        Assert.Equal(count, ids.Values.Distinct().Count());
        return [.. written.Select(s => s with { Id = ids[(s.Node, s.FirstSequence)] })];

        IEnumerable<string> Some(string[] of) => of.Where(_ => random.Next(2) == 0);
    }

    private static AuditSegmentFilter RandomFilter(Random random, List<AuditSegment> segments)
    {
        string[] terms = [.. Callers, .. Keys, .. Outcomes];
        random.Shuffle(terms);
        var from = ChainWriter.Noon.AddMinutes(random.Next(-15, 55));
        var cursor = segments[random.Next(segments.Count)];
        return new AuditSegmentFilter(
            terms[..random.Next(4)],
            random.Next(2) == 0 ? from : null,
            random.Next(2) == 0 ? from.AddMinutes(random.Next(20)) : null,
            random.Next(2) == 0 ? cursor.FirstAt : null,
            // As AuditSearch does, to have the segment itself again.
            cursor.Id + random.Next(2));
    }

    /// <summary>All that may hold matching records, in order; beyond them at the most some whose records end a little before the range.</summary>
    private static void AssertFinds(List<AuditSegment> segments, AuditSegmentFilter filter, List<AuditSegment> found)
    {
        var candidates = segments
            .Where(s => filter.Terms.All(t => s.Terms.Contains(t, StringComparer.Ordinal)))
            .Where(s => filter.To is not { } to || s.FirstAt <= to)
            .Where(s => filter.From is not { } from || s.FirstAt + AuditSegment.MaxSpan >= from)
            .Where(s => filter.BeforeAt is not { } at || s.FirstAt < at || (s.FirstAt == at && s.Id < filter.BeforeId))
            .OrderByDescending(s => s.FirstAt).ThenByDescending(s => s.Id)
            .ToList();
        var ids = found.Select(s => s.Id).ToHashSet();
        Assert.Equal(candidates.Where(s => ids.Contains(s.Id)).Select(s => s.Id), found.Select(s => s.Id));
        Assert.All(candidates.Where(s => filter.From is not { } from || s.LastAt >= from), s => Assert.Contains(s.Id, ids));
    }

    private static IEnumerable<string[]> Subsets(string[] terms) =>
        Enumerable.Range(0, 1 << terms.Length).Select(bits => terms.Where((_, i) => (bits & (1 << i)) != 0).ToArray());

    private static (DateTimeOffset? From, DateTimeOffset? To)[] Ranges()
    {
        var noon = ChainWriter.Noon;
        return
        [
            (null, null), (noon.AddMinutes(10), null), (null, noon.AddMinutes(10)), (noon.AddMinutes(10), noon.AddMinutes(20)),
            (noon.AddMinutes(15), noon.AddMinutes(15)), (noon.AddDays(1), null), (null, noon.AddDays(-1)),
            (DateTimeOffset.MinValue, DateTimeOffset.MaxValue),
        ];
    }
}
