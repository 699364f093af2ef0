using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;

namespace SignSvc.Signing.Tests.Access.Limits;

/// <summary>A flood at a backend with a quota of 100 a second, in simulated time.</summary>
public sealed class NeighbourTests : LimitScene
{
    private const int Quota = 100;
    private const int FloodEveryMilliseconds = 2;
    private const int NeighbourPerSecond = 20;
    private const int Seconds = 20;

    /// <summary>Time stands while a call is under way, so that a call that had to wait for its turn would never end.</summary>
    [Fact(Timeout = 120_000)]
    public async Task A_tenant_at_ten_times_its_rate_makes_its_neighbour_wait_not_once()
    {
        await LimitAsync(""" "per":"caller","perSecond":50,"burst":10 """);
        var (flood, neighbour) = (0, 0);
        for (var millisecond = 0; millisecond < Seconds * 1000; millisecond += FloodEveryMilliseconds)
        {
            flood += await SignAsync(Flooder) is null ? 1 : 0;
            if (millisecond % (1000 / NeighbourPerSecond) == 0)
            {
                Assert.Null(await SignAsync(Neighbour));
                neighbour++;
            }

            Clock.Advance(TimeSpan.FromMilliseconds(FloodEveryMilliseconds));
        }

        Assert.Equal(NeighbourPerSecond * Seconds, neighbour);
        Assert.InRange(flood, 50 * Seconds, (50 * Seconds) + 10);
    }

    private protected override IKeyBackend Wrap(IKeyBackend backend) =>
        new BudgetedBackend(backend, new BudgetOptions { Others = new BudgetLimits { PerSecond = Quota } }, Clock);
}
