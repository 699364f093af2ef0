using System.Diagnostics;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;

namespace SignSvc.Storage.Tests;

/// <summary>The audit log on the store, and how fast they are here (in the test's output).</summary>
public abstract partial class StoreContract
{
    [Fact]
    public async Task Records_that_arrive_while_a_commit_runs_share_the_next_one()
    {
        const int Alone = 200;
        const int Concurrent = 64;
        const int Each = 50;
        var plain = new ChainWriter("plain");
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < Alone; i++)
            await plain.CommitAsync(Store, plain.Next(terms: ["caller=x", "key=y", "outcome=allowed"]));
        var alone = Stopwatch.GetElapsedTime(started);

        var chain = new AuditChain(new byte[32]);
        var limits = new AuditLimits { CommitTimeout = TimeSpan.FromSeconds(30) };
        started = Stopwatch.GetTimestamp();
        await using (var log = await AuditLog.OpenAsync(Store, chain, "log", limits, TimeProvider.System, Cancel))
        {
            await Task.WhenAll(Enumerable.Range(0, Concurrent).Select(caller => Task.Run(
                async () =>
                {
                    for (var i = 0; i < Each; i++)
                        await log.AppendAsync(Record($"caller {caller}"), Cancel);
                },
                Cancel)));
        }

        var together = Stopwatch.GetElapsedTime(started);
        var segments = await Store.ReadAuditChainAsync("log", 1, Cancel).ToListAsync();
        Assert.Equal(Concurrent * Each, segments.Sum(s => s.Count));
        Assert.True(segments.Count < Concurrent * Each / 2, $"{segments.Count} segments");
        Assert.All(await new AuditCheck(Store, chain).RunAtEndAsync(Cancel), r => Assert.True(r.Node is "plain" || r.Fault is null, r.Fault));
        Assert.Equal(Concurrent * Each, Assert.Single(await Store.ReadUsageAsync(Cancel)).Uses);
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Alone / alone.TotalSeconds:F0} commits/s of one segment; {Concurrent * Each / together.TotalSeconds:F0} records/s "
            + $"of {Concurrent} callers in {segments.Count} segments");
    }

    private static AuditRecord Record(string caller) => new()
    {
        At = ChainWriter.Noon,
        Caller = caller,
        Action = Actions.TokensIssue,
        Outcome = AuditOutcome.Allowed,
        KeyId = "k1",
        KeyName = "tokens",
        Kid = "kid",
    };
}
