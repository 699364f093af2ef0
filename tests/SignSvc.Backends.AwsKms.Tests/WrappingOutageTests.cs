using SignSvc.Emulation;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Backends.AwsKms.Tests;

/// <summary>The volume tier on a wrapping key of AWS KMS, which is away for days of a simulated clock.</summary>
public sealed class WrappingOutageTests : IAsyncLifetime
{
    private const string KeyName = "tokens";

    private static readonly TimeSpan Period = TimeSpan.FromHours(24);
    private static readonly TimeSpan Lead = TimeSpan.FromHours(6);
    private static readonly TimeSpan Grace = TimeSpan.FromHours(2);
    private static readonly TimeSpan Step = TimeSpan.FromMinutes(10);

    private readonly string _state = Path.GetTempFileName();

    private EmulatedKms _kms = null!;
    private SimulatedNode _node = null!;
    private DateTimeOffset _start;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        File.Delete(_state);
        _kms = await EmulatedKms.StartAsync(new KmsEmulatorOptions { StateFile = _state });
        await _kms.MakeWrappingKeyAsync();
        _node = await SimulatedNode.StartAsync(_ => _kms.Open(o => o.WrappingKey = "alias/signsvc-wrapping"), Cancel);
        _start = _node.Now;
        await _node.Keys.CreateAsync(
            SimulatedNode.Operator,
            NewKey.Parse(
                KeyName, KeyPurpose.Tokens, KeyTier.Volume, "aws-kms", "ECC_NIST_P256", algorithms: null,
                rotation: new RotationWish((int)Period.TotalSeconds, (int)Lead.TotalSeconds, (int)Grace.TotalSeconds)),
            Cancel);
        await _node.Profiles.PutAsync(
            SimulatedNode.Operator, KeyName,
            new TokenProfile { Name = "p", KeyId = "", Audiences = ["a"], DefaultLifetimeSeconds = 300, MaxLifetimeSeconds = 3600 }, Cancel);
        await _node.TickAsync(Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _kms.DisposeAsync();
        File.Delete(_state);
    }

    [Fact]
    public async Task A_day_without_the_wrapping_key_costs_no_token_and_longer_ends_in_an_alarm_and_a_hard_stop()
    {
        // The successor of version 1 is announced a lead and a margin before it is needed, and unwrapped there and then.
        var served = await UntilAsync(Period - Lead);
        Assert.Equal(2, _node.Key(KeyName).Versions.Length);
        var published = _node.PublishedKids();

        await _kms.RestartAsync(whileDown: async () =>
        {
            // A whole day: version 2 takes over in it, and no token is lost.
            served += await UntilAsync(Period - Lead + TimeSpan.FromHours(24));
            Assert.Equal(Steps(Period - Lead + TimeSpan.FromHours(24)), served);
            Assert.Equal(2, _node.Key(KeyName).Signing(_node.Now)!.Number);
            Assert.Contains(_node.Scheduler.Alarms, a => string.Equals(a.Key, KeyName, StringComparison.Ordinal));

            // Still away when the period of version 2 is over: known to all, and stopped at the end of the grace, not before.
            served += await UntilAsync((2 * Period) + Grace - Step);
            Assert.Equal(Steps((2 * Period) + Grace - Step), served);
            Assert.Contains(_node.Scheduler.Alarms, a => a.Message.Contains("is not ready", StringComparison.Ordinal));
            Assert.Equal(0, await UntilAsync((2 * Period) + Grace + TimeSpan.FromHours(3)));
            Assert.Contains(_node.Scheduler.Alarms, a => a.Message.Contains("no version signs", StringComparison.Ordinal));
            Assert.True(_node.PublishedKids().IsSubsetOf(published), "A kid is published that nobody has heard of.");
            Assert.NotEmpty(_node.PublishedKids());
        });

        // Back: the next version is published for its whole lead before it signs.
        var back = _node.Now;
        Assert.Equal(0, await UntilAsync(back - _start + Lead));
        var next = _node.Key(KeyName).Versions[^1];
        Assert.Equal(3, next.Number);
        Assert.Contains(next.Kid, _node.PublishedKids());
        Assert.True(await UntilAsync(back - _start + Lead + TimeSpan.FromHours(1)) > 0, "It does not sign again.");
        Assert.True(next.SignsFrom >= back + Lead, $"{next.SignsFrom:u} is not a lead after {back:u}.");
        Assert.Empty(_node.Scheduler.Alarms);
    }

    private static int Steps(TimeSpan elapsed) => (int)(elapsed / Step);

    /// <summary>Ticks on and issues one token every step.</summary>
    /// <returns>How many tokens were issued; each was signed by a published version.</returns>
    private async Task<int> UntilAsync(TimeSpan elapsed)
    {
        var issued = 0;
        while (_node.Now - _start < elapsed)
        {
            _node.Clock.Advance(Step);
            await _node.TickAsync(Cancel);
            try
            {
                var token = await _node.Signer.IssueAsync(
                    SimulatedNode.Operator, new TokenOrder("p", TokenRequest.Parse("s", audience: null, lifetimeSeconds: null, claims: null)), Cancel);
                Assert.Contains(token.Kid, _node.PublishedKids());
                issued++;
            }
            catch (SigningException e) when (e.Fault == SigningFault.KeyNotUsable)
            {
                // The hard stop.
            }
        }

        return issued;
    }
}
