using SignSvc.Load.Measuring;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Tests;

/// <summary>What half an hour may do to the service's process.</summary>
public sealed class SoakTests
{
    private const int Seconds = 1800;

    [Fact]
    public async Task Connections_of_a_moment_are_no_leak_and_what_stays_is_one()
    {
        // Two minutes after a stall in the last quarter.
        Assert.Null(await FaultAsync("handles", s => s is > 1500 and < 1620 ? 480 : 310));
        Assert.Equal("310 became 400", await FaultAsync("handles", s => s > 1300 ? 400 : 310));
        Assert.Equal("307 became 442", await FaultAsync("handles", s => 240 + (s / 10 * 3 / 2)));
    }

    [Fact]
    public async Task Where_the_service_is_not_watched_it_is_said()
    {
        Assert.Contains("cannot be watched", await FaultAsync("handles", _ => 310, seconds: 0), StringComparison.Ordinal);
    }

    private static async Task<string?> FaultAsync(string what, Func<int, int> handles, int seconds = Seconds)
    {
        var service = ServiceTarget.At(new Uri("http://127.0.0.1:1"), grpc: null, "any", allowRemote: false);
        var plan = await new Soak().PlanAsync(service, TestContext.Current.CancellationToken);
        var result = new ScenarioResult(
            "soak", "", "", new Machine("c0ffee1", 2, "Processor", 8L << 30, "System", "Runtime", DateTimeOffset.UnixEpoch, 0.5), "Http1", [],
            [.. Enumerable.Range(0, seconds).Select(s => new ServerSecond(s, 1, 160 << 20, handles(s), 17, 1 << 20))], [], 0.5);
        return plan.Checks.Single(c => string.Equals(c.Says, $"{what} stays flat", StringComparison.Ordinal)).Judge(result);
    }
}
