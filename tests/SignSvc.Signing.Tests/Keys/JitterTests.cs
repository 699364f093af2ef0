using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>Keys that were made together do not rotate together.</summary>
public sealed class JitterTests
{
    private const int Day = 86_400;

    [Fact]
    public async Task Versions_retire_sooner_by_shares_of_their_own_and_never_later_than_their_period()
    {
        await using var node = await SimulatedNode.StartAsync(root => new WatchedBackend(root), TestContext.Current.CancellationToken);
        var periods = new List<double>();
        for (var i = 0; i < 40; i++)
        {
            var key = await node.Keys.CreateAsync(
                SimulatedNode.Operator,
                NewKey.Parse(
                    $"jitter-{i}", KeyPurpose.Tokens, tier: null, backend: null, "ECC_NIST_P256", algorithms: null,
                    rotation: new RotationWish(30 * Day, 0, 0, 5 * Day)),
                TestContext.Current.CancellationToken);
            var version = key.Versions[0];
            periods.Add((version.RetiresAt!.Value - version.SignsFrom).TotalSeconds);
            Assert.Equal(version.RetiresAt, version.SignsUntil);

            // The same policy given again changes nothing, whenever it is given.
            node.Clock.Advance(TimeSpan.FromHours(1));
            var again = await node.Changes.UpdateAsync(
                SimulatedNode.Operator, key.Id, k => new KeyUpdate(Rotation: k.Rotation), TestContext.Current.CancellationToken);
            Assert.Equal(version.RetiresAt, again.Versions[0].RetiresAt);
        }

        Assert.All(periods, p => Assert.InRange(p, 25 * Day, 30 * Day));
        Assert.True(periods.Distinct().Count() > 35, "Most of them retire together.");
        Assert.True(periods.Max() - periods.Min() > 3 * Day, "They hardly differ.");
    }

    [Theory]
    [InlineData(30 * Day, (30 * Day / 4) + 1)]
    [InlineData(30 * Day, -1)]
    [InlineData(null, 1)]
    public void More_than_a_quarter_of_the_period_is_refused(int? period, int jitter) => Assert.Equal(
        SigningFault.InvalidRequest,
        Assert.Throws<SigningException>(() => RotationPolicy.Parse(KeyPurpose.Artifacts, period, 0, 0, jitter)).Fault);
}
