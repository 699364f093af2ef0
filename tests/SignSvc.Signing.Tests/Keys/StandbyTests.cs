using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>Keys that have an announced successor at all times.</summary>
public sealed class StandbyTests
{
    private const int Day = 86_400;

    private static readonly RotationWish Monthly = new(30 * Day, Day, Day, Standby: true);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task It_waits_for_weeks_and_its_period_begins_when_it_takes_over()
    {
        await using var node = await HistoryParts.StartAsync(Monthly, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Active, VersionState.Announced], States(node));
        var waiting = Version(node, 2);
        var end = Version(node, 1).RetiresAt!.Value;
        Assert.Equal((end, end.AddDays(30), end.AddDays(31)), MomentsOf(SigningPeriod.Planned(Key(node), waiting)));
        var timeline = VersionTimeline.Of(Key(node), waiting, null, TimeSpan.FromHours(1));
        Assert.Equal((node.Now, end, end.AddDays(30), end.AddDays(31)), (timeline.AnnouncedAt, timeline.SignsFrom, timeline.RetiresAt, timeline.StopsAt));

        node.Clock.Advance(end - node.Now - TimeSpan.FromSeconds(1));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(1, Key(node).Signing(node.Now)?.Number);
        node.Clock.Advance(TimeSpan.FromSeconds(1));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(waiting.Kid, Key(node).Signing(node.Now)?.Kid);
        Assert.Equal((end, end.AddDays(30), end.AddDays(31)), MomentsOf(Version(node, 2)));
        Assert.Equal([VersionState.Retired, VersionState.Active, VersionState.Announced], States(node));
        Assert.Empty(node.Scheduler.Alarms);
    }

    [Fact]
    public async Task A_rotation_on_demand_signs_with_it_at_once_when_its_lead_is_over_and_not_before()
    {
        await using var node = await HistoryParts.StartAsync(Monthly, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        await RotateAsync(node);
        Assert.Equal([VersionState.Active, VersionState.Announced], States(node));
        node.Clock.Advance(TimeSpan.FromDays(1));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Retired, VersionState.Active, VersionState.Announced], States(node));

        node.Clock.Advance(TimeSpan.FromDays(10));
        await RotateAsync(node);
        Assert.Equal(3, Key(node).Signing(node.Now)?.Number);
        Assert.Equal((node.Now, node.Now.AddDays(30), node.Now.AddDays(31)), MomentsOf(Version(node, 3)));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(VersionState.Announced, Version(node, 4).State);
    }

    [Fact]
    public async Task A_revocation_signs_with_it_at_once_also_while_the_backend_is_down()
    {
        await using var node = await HistoryParts.StartAsync(Monthly, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        var standby = Version(node, 2).Kid;
        node.Clock.Advance(TimeSpan.FromDays(2));
        HistoryParts.BackendOf(node).IsDown = true;
        await node.Rotation.RevokeAsync(SimulatedNode.Operator, HistoryParts.KeyName, 1, RevocationReason.Compromised, Cancel);
        Assert.Equal(standby, Key(node).Signing(node.Now)?.Kid);
        Assert.Equal(standby, Assert.Single(node.PublishedKids()));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Contains(node.Scheduler.Alarms, a => a.Message is "The backend is down.");

        HistoryParts.BackendOf(node).IsDown = false;
        node.Clock.Advance(TimeSpan.FromMinutes(2));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Revoked, VersionState.Active, VersionState.Announced], States(node));
        Assert.Empty(node.Scheduler.Alarms);
    }

    [Fact]
    public async Task It_is_there_without_a_period_too_and_waits_to_be_asked()
    {
        await using var node = await SimulatedNode.StartAsync(root => new WatchedBackend(root), Cancel);
        await node.Keys.CreateAsync(
            SimulatedNode.Operator,
            NewKey.Parse(
                HistoryParts.KeyName, KeyPurpose.Artifacts, tier: null, backend: null, "ECC_NIST_P256", algorithms: null,
                rotation: new RotationWish(LeadSeconds: Day, Standby: true)),
            Cancel);
        await node.Scheduler.TickAsync(Cancel);
        node.Clock.Advance(TimeSpan.FromDays(400));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Active, VersionState.Announced], States(node));
        var planned = SigningPeriod.Planned(Key(node), Version(node, 2));
        Assert.Equal((null, null), (planned.RetiresAt, planned.SignsUntil));
        await RotateAsync(node);
        Assert.Equal(2, Key(node).Signing(node.Now)?.Number);
    }

    [Fact]
    public async Task It_is_announced_when_the_policy_asks_for_it_and_stays_when_it_no_longer_does()
    {
        await using var node = await HistoryParts.StartAsync(Monthly with { Standby = false }, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Active], States(node));
        await HistoryParts.PatchAsync(node, Monthly, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Active, VersionState.Announced], States(node));

        await HistoryParts.PatchAsync(node, Monthly with { Standby = false }, Cancel);
        node.Clock.Advance(TimeSpan.FromDays(30));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Retired, VersionState.Active], States(node));
    }

    [Fact]
    public async Task One_that_is_revoked_while_it_waits_never_signed_and_another_is_announced()
    {
        await using var node = await HistoryParts.StartAsync(Monthly, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        node.Clock.Advance(TimeSpan.FromDays(10));
        await node.Rotation.RevokeAsync(SimulatedNode.Operator, HistoryParts.KeyName, 2, RevocationReason.Compromised, Cancel);
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal([VersionState.Active, VersionState.Revoked, VersionState.Announced], States(node));
        Assert.Null(VersionTimeline.Of(Key(node), Version(node, 2), null, TimeSpan.FromHours(1)).SignsFrom);
    }

    private static async Task RotateAsync(SimulatedNode node) =>
        await node.Scheduler.AdvanceAsync(await node.Rotation.RotateAsync(SimulatedNode.Operator, HistoryParts.KeyName, Cancel), Cancel);

    private static Key Key(SimulatedNode node) => node.Key(HistoryParts.KeyName);

    private static KeyVersion Version(SimulatedNode node, int number) => Key(node).Versions[number - 1];

    private static IEnumerable<VersionState> States(SimulatedNode node) => Key(node).Versions.Select(v => v.State);

    private static (DateTimeOffset SignsFrom, DateTimeOffset? RetiresAt, DateTimeOffset? SignsUntil) MomentsOf(KeyVersion v) =>
        (v.SignsFrom, v.RetiresAt, v.SignsUntil);
}
