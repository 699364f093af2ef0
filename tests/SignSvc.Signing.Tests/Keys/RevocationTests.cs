using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>What signs after the version that signed is revoked.</summary>
public sealed class RevocationTests
{
    private static readonly TimeSpan Lead = TimeSpan.FromDays(1);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_successor_that_could_not_be_made_at_once_signs_as_soon_as_it_is_served_when_the_backend_is_back()
    {
        await using var node = await StartAsync();
        HistoryParts.BackendOf(node).IsDown = true;
        await RevokeAsync(node, 1);
        await node.Scheduler.TickAsync(Cancel);
        Assert.Null(node.Key(HistoryParts.KeyName).Signing(node.Now));
        Assert.Empty(node.PublishedKids());
        Assert.Contains(node.Scheduler.Alarms, a => a.Message.EndsWith("the next one signs as soon as every node serves it", StringComparison.Ordinal));

        HistoryParts.BackendOf(node).IsDown = false;
        node.Clock.Advance(TimeSpan.FromMinutes(2));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(2, node.Key(HistoryParts.KeyName).Signing(node.Now)?.Number);
        Assert.Empty(node.Scheduler.Alarms);
    }

    [Theory]
    [InlineData(SigningFault.DeadlineExceeded)]
    [InlineData(SigningFault.KeyNotUsable)]
    [InlineData(SigningFault.Unsupported)]
    public async Task A_version_is_revoked_whatever_the_backend_says_of_a_successor(SigningFault fault)
    {
        await using var node = await StartAsync();
        HistoryParts.BackendOf(node).Refusal = new SigningException(fault, "No.");
        await RevokeAsync(node, 1);
        Assert.Equal(VersionState.Revoked, Assert.Single(node.Key(HistoryParts.KeyName).Versions).State);

        HistoryParts.BackendOf(node).Refusal = null;
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(2, node.Key(HistoryParts.KeyName).Signing(node.Now)?.Number);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_backend_that_hangs_keeps_a_version_signing_for_three_seconds_at_the_most_whether_or_not_the_caller_waits(bool leaves)
    {
        await using var node = await StartAsync();
        var before = node.Store.Records;
        var hanging = HistoryParts.BackendOf(node).Hanging = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var caller = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var revocation = node.Rotation.RevokeAsync(
            SimulatedNode.Operator, HistoryParts.KeyName, 1, RevocationReason.Compromised, caller.Token);
        await hanging.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        if (leaves)
            await caller.CancelAsync();
        node.Clock.Advance(TimeSpan.FromSeconds(3));
        try
        {
            await revocation.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        }
        catch (OperationCanceledException) when (leaves)
        {
            // Nobody hears of it; what counts is what was done.
        }

        for (var i = 0; i < 1000 && node.Store.Records == before; i++)
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, Cancel);
        await node.Live.RefreshAsync(Cancel);
        Assert.Null(node.Key(HistoryParts.KeyName).Signing(node.Now));
        Assert.Equal(VersionState.Revoked, Assert.Single(node.Key(HistoryParts.KeyName).Versions).State);
    }

    [Fact]
    public async Task A_successor_that_was_revoked_before_it_signed_changes_nothing_of_that()
    {
        await using var node = await StartAsync();
        await node.Rotation.RotateAsync(SimulatedNode.Operator, HistoryParts.KeyName, Cancel);
        await RevokeAsync(node, 2);
        HistoryParts.BackendOf(node).IsDown = true;
        await RevokeAsync(node, 1);
        HistoryParts.BackendOf(node).IsDown = false;
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(3, node.Key(HistoryParts.KeyName).Signing(node.Now)?.Number);
        Assert.Null(VersionTimeline.Of(node.Key(HistoryParts.KeyName), node.Key(HistoryParts.KeyName).Versions[1], null, Lead).SignsFrom);
    }

    [Fact]
    public async Task A_key_that_came_to_its_hard_stop_waits_the_lead_as_ever()
    {
        await using var node = await StartAsync();
        HistoryParts.BackendOf(node).IsDown = true;
        node.Clock.Advance(TimeSpan.FromDays(32));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(VersionState.Retired, node.Key(HistoryParts.KeyName).Versions[0].State);

        HistoryParts.BackendOf(node).IsDown = false;
        node.Clock.Advance(TimeSpan.FromMinutes(2));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(VersionState.Announced, node.Key(HistoryParts.KeyName).Versions[1].State);
        Assert.Equal(node.Now + Lead, node.Key(HistoryParts.KeyName).Versions[1].SignsFrom);
    }

    [Fact]
    public async Task A_version_that_was_announced_under_a_period_waits_where_the_period_is_taken_away()
    {
        await using var node = await StartAsync();
        node.Clock.Advance(TimeSpan.FromDays(29));
        await node.Scheduler.TickAsync(Cancel);
        await node.Changes.UpdateAsync(
            SimulatedNode.Operator, HistoryParts.KeyName,
            key => new KeyUpdate(Rotation: RotationPolicy.Parse(key.Purpose, periodSeconds: null, leadSeconds: null, graceSeconds: null)), Cancel);
        node.Clock.Advance(TimeSpan.FromDays(30));
        await node.Scheduler.TickAsync(Cancel);
        Assert.Equal(
            [VersionState.Active, VersionState.Announced], node.Key(HistoryParts.KeyName).Versions.Select(v => v.State));
    }

    private static Task<SimulatedNode> StartAsync() =>
        HistoryParts.StartAsync(new RotationWish(PeriodSeconds: 30 * 86_400, LeadSeconds: (int)Lead.TotalSeconds), Cancel);

    private static Task<Key> RevokeAsync(SimulatedNode node, int number) => node.Rotation.RevokeAsync(
        SimulatedNode.Operator, HistoryParts.KeyName, number, RevocationReason.Compromised, Cancel);
}
