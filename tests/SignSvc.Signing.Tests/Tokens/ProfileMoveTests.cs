using System.Text;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Tokens;

/// <summary>What a key signed under a profile outlives the profile's way to other keys.</summary>
public sealed class ProfileMoveTests : IAsyncLifetime
{
    private const int Day = 86_400;

    private static readonly TimeSpan Lead = TimeSpan.FromHours(2);

    private SimulatedNode _node = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _node = await SimulatedNode.StartAsync(root => new SoftwareBackend("software", root), Cancel);
        foreach (var key in (string[])["old", "new"])
        {
            await _node.Keys.CreateAsync(
                SimulatedNode.Operator,
                NewKey.Parse(
                    key, KeyPurpose.Tokens, tier: null, backend: null, "ECC_NIST_P256", algorithms: null,
                    rotation: new RotationWish((int)TimeSpan.FromDays(30).TotalSeconds, (int)Lead.TotalSeconds, 0, 0)),
                Cancel);
        }
    }

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task A_key_stays_in_its_issuer_s_set_for_tokens_of_a_time_when_they_lived_longer()
    {
        await PutAsync("p", "old", "team", Day);
        var issued = await _node.Signer.IssueAsync(
            SimulatedNode.Operator, new TokenOrder("p", TokenRequest.Parse("s", audience: null, Day, claims: null)), Cancel);
        await PutAsync("p", "old", "team", 300);
        await PutAsync("next", "new", "team", 300);
        _node.Clock.Advance(Lead + KeySchedule.Convergence);
        await PutAsync("p", "new", "team", 300);

        // Long after the last token of the shorter kind has expired, the profile is put again.
        _node.Clock.Advance(TimeSpan.FromHours(1));
        await PutAsync("p", "new", "team", 300);
        Assert.True(issued.ExpiresAt > _node.Now.AddHours(12));
        Assert.Contains(issued.Kid, SetOf("team"), StringComparison.Ordinal);

        _node.Clock.Advance(TimeSpan.FromDays(1));
        await PutAsync("p", "new", "team", 300);
        Assert.DoesNotContain(issued.Kid, SetOf("team"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_key_that_signed_payloads_comes_to_no_issuer_s_set_when_its_profile_has_moved_on(bool isDeleted)
    {
        await PutAsync("orders", "old", issuer: null, 300, payloads: true);
        var signed = await _node.Signer.SignPayloadAsync(SimulatedNode.Operator, new PayloadOrder("orders", "{\"sub\":\"admin\"}"u8.ToArray(), IsDetached: false), Cancel);
        await PutAsync("orders", "new", issuer: null, 300, payloads: true);
        Assert.DoesNotContain(signed.Kid, SetOf(issuer: null), StringComparison.Ordinal);

        if (isDeleted)
        {
            await _node.Profiles.DeleteAsync(SimulatedNode.Operator, "orders", Cancel);
        }
        else
        {
            _node.Clock.Advance(TimeSpan.FromDays(1));
            await PutAsync("orders", "new", issuer: null, 300, payloads: true);
        }

        Assert.DoesNotContain(signed.Kid, SetOf(issuer: null), StringComparison.Ordinal);
        var refusal = await Assert.ThrowsAsync<SigningException>(() => PutAsync("tokens-now", "old", issuer: null, 300));
        Assert.Equal(SigningFault.InvalidRequest, refusal.Fault);
        // Payloads it may go on to sign.
        await PutAsync("orders", "old", issuer: null, 300, payloads: true);
        Assert.DoesNotContain(signed.Kid, SetOf(issuer: null), StringComparison.Ordinal);
    }

    private Task<TokenProfile> PutAsync(string profile, string key, string? issuer, int maxLifetime, bool payloads = false) => _node.Profiles.PutAsync(
        SimulatedNode.Operator, key,
        new TokenProfile
        {
            Name = profile,
            KeyId = "",
            Issuer = issuer,
            Audiences = ["a"],
            DefaultLifetimeSeconds = 300,
            MaxLifetimeSeconds = maxLifetime,
            Type = payloads ? "JOSE" : TokenProfile.AccessTokenType,
            Payloads = payloads,
        },
        Cancel);

    private string SetOf(string? issuer)
    {
        var sets = _node.Live.Current.KeySets;
        var set = issuer is null ? sets.OfService : sets.TryGetIssuer(issuer, out var own) ? own : null;
        return set is null ? "" : Encoding.UTF8.GetString(set.Json.Span);
    }
}
