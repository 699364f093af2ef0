using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

public sealed class SuccessionTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(30 * 24 * 60, 24 * 60, 30 * 24 * 60)]
    [InlineData(60, 15, 60)]
    // Without a grace an hour is left for what fails, or a tenth of a short period.
    [InlineData(30 * 24 * 60, 0, (30 * 24 * 60) - 60)]
    [InlineData(30 * 24 * 60, 20, (30 * 24 * 60) - 40)]
    [InlineData(60, 0, 54)]
    public void A_successor_is_to_take_over_at_the_end_of_the_period_and_a_margin_before_the_hard_stop(int periodMinutes, int graceMinutes, int expectedMinutes)
    {
        var end = Start.AddMinutes(periodMinutes);
        Assert.Equal(Start.AddMinutes(expectedMinutes), KeySchedule.SuccessionAt(Version(end, end.AddMinutes(graceMinutes))));
    }

    [Theory]
    [InlineData(SigningFault.StoreUnavailable)]
    [InlineData(SigningFault.StoreFailed)]
    public async Task A_successor_that_was_committed_keeps_its_private_key_where_the_node_cannot_read_it_back(SigningFault fault)
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var node = await HistoryParts.StartAsync(new RotationWish(PeriodSeconds: 30 * 86_400), cancel);
        node.Store.RefusalAfterChange = new SigningException(fault, "The connection was lost.");
        var thrown = await Assert.ThrowsAsync<SigningException>(() => node.Rotation.RotateAsync(SimulatedNode.Operator, HistoryParts.KeyName, cancel));
        Assert.Equal(SigningFault.AuditUnavailable, thrown.Fault);

        await node.Live.RefreshAsync(cancel);
        var successor = node.Key(HistoryParts.KeyName).Versions[1];
        Assert.Equal(VersionState.Announced, successor.State);
        Assert.Contains(successor.Kid, HistoryParts.BackendOf(node).Alive);
    }

    [Fact]
    public void A_version_without_a_period_has_no_such_moment() => Assert.Null(KeySchedule.SuccessionAt(Version(retiresAt: null, signsUntil: null)));

    private static KeyVersion Version(DateTimeOffset? retiresAt, DateTimeOffset? signsUntil)
    {
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return new KeyVersion
        {
            KeyId = "a",
            Number = 1,
            PublicKey = PublicKey.FromSpki(pair.ExportSubjectPublicKeyInfo()),
            Protection = Protection.Software,
            State = VersionState.Active,
            CreatedAt = Start,
            SignsFrom = Start,
            RetiresAt = retiresAt,
            SignsUntil = signsUntil,
        };
    }
}
