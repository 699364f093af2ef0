using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>The clock is set while a version waits its lead, and then something else goes wrong.</summary>
public sealed class ClockJumpTests
{
    private const int Day = 86_400;

    /// <summary>Longer than a lease.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(31);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(-2)]
    [InlineData(2)]
    public async Task A_lead_that_one_node_has_moved_is_not_moved_again_by_the_node_that_follows_it(int hours)
    {
        await using var node = await StartAsync();
        var cluster = new SingleNode(node.Clock);
        var (a, b) = (node.SchedulerOf("a", cluster), node.SchedulerOf("b", cluster));
        // Both have had the lease before.
        await b.TickAsync(Cancel);
        node.Clock.Advance(Silence);
        await a.TickAsync(Cancel);
        await b.TickAsync(Cancel);
        var waiting = Waiting(node);

        node.Clock.JumpTo(node.Now.AddHours(hours));
        await a.TickAsync(Cancel);
        await b.TickAsync(Cancel);
        Assert.Equal(waiting.SignsFrom.AddHours(hours), Waiting(node).SignsFrom);
        node.Clock.Advance(Silence + TimeSpan.FromHours(Math.Abs(hours)));
        await b.TickAsync(Cancel);
        Assert.Equal(waiting.SignsFrom.AddHours(hours), Waiting(node).SignsFrom);
        // What cannot be undone waits on this node too.
        Assert.Contains(b.Alarms, alarm => alarm.Message.StartsWith("the clock was set by", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(-2)]
    [InlineData(2)]
    public async Task A_lead_that_could_not_be_moved_is_moved_at_the_next_tick(int hours)
    {
        await using var node = await StartAsync();
        await node.Scheduler.TickAsync(Cancel);
        var waiting = Waiting(node);
        node.Clock.JumpTo(node.Now.AddHours(hours));
        node.Store.RefusalOfChange = new SigningException(SigningFault.StoreUnavailable, "The connection was lost.");
        await Assert.ThrowsAsync<SigningException>(() => node.Scheduler.TickAsync(Cancel));
        Assert.Equal(waiting.SignsFrom, Waiting(node).SignsFrom);

        node.Clock.Advance(TimeSpan.FromSeconds(5));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(waiting.SignsFrom.AddHours(hours), Waiting(node).SignsFrom);
    }

    [Fact]
    public async Task A_lead_whose_move_was_committed_and_not_heard_of_is_not_moved_again()
    {
        await using var node = await StartAsync();
        await node.Scheduler.TickAsync(Cancel);
        var waiting = Waiting(node);
        node.Clock.JumpTo(node.Now.AddHours(-2));
        node.Store.RefusalAfterChange = new SigningException(SigningFault.StoreUnavailable, "The connection was lost.");
        await Assert.ThrowsAsync<SigningException>(() => node.Scheduler.TickAsync(Cancel));
        await node.Live.RefreshAsync(Cancel);
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(waiting.SignsFrom.AddHours(-2), Waiting(node).SignsFrom);
    }

    [Fact]
    public async Task A_node_that_has_lost_the_lease_alarms_nobody()
    {
        await using var node = await StartAsync();
        var cluster = new SingleNode(node.Clock);
        var (a, b) = (node.SchedulerOf("a", cluster), node.SchedulerOf("b", cluster));
        HistoryParts.BackendOf(node).IsDown = true;
        await a.TickAsync(Cancel);
        Assert.NotEmpty(a.Alarms);
        node.Clock.Advance(Silence);
        await b.TickAsync(Cancel);
        await a.TickAsync(Cancel);
        Assert.NotEmpty(b.Alarms);
        Assert.Empty(a.Alarms);
    }

    private static Task<SimulatedNode> StartAsync() => HistoryParts.StartAsync(new RotationWish(30 * Day, Day, Day, Standby: true), Cancel);

    private static KeyVersion Waiting(SimulatedNode node) =>
        Assert.Single(node.Key(HistoryParts.KeyName).Versions, v => v.State == VersionState.Announced);
}
