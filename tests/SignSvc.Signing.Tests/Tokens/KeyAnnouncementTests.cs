using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Tokens;

/// <summary>A profile signs with another key only when the verifiers of its issuer could have learned of it.</summary>
public sealed class KeyAnnouncementTests : IAsyncLifetime
{
    private static readonly TimeSpan Lead = TimeSpan.FromHours(2);

    private SimulatedNode _node = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _node = await SimulatedNode.StartAsync(root => new SoftwareBackend("software", root), Cancel);
        await MakeKeyAsync("old");
        await PutAsync("p", "old", "team");
        _node.Clock.Advance(TimeSpan.FromDays(1));
        await MakeKeyAsync("new");
    }

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task A_profile_moves_to_a_key_only_when_the_issuer_has_shown_it_for_its_lead()
    {
        Assert.Contains("does not show new", await RefusalAsync("p", "new", "team"), StringComparison.Ordinal);
        Assert.Equal(KidOf("old"), await IssueAsync("p"));
        Assert.DoesNotContain(KidOf("new"), KeySetOf("team"), StringComparison.Ordinal);

        // A further profile of the issuer announces it.
        await PutAsync("next", "new", "team");
        Assert.Contains(KidOf("new"), KeySetOf("team"), StringComparison.Ordinal);
        Assert.Contains("may not know it before", await RefusalAsync("p", "new", "team"), StringComparison.Ordinal);
        // Putting that one anew does not begin anew.
        _node.Clock.Advance(TimeSpan.FromHours(1));
        await PutAsync("next", "new", "team");
        _node.Clock.Advance(Lead - TimeSpan.FromHours(1) + KeySchedule.Convergence - TimeSpan.FromSeconds(1));
        Assert.Contains("may not know it before", await RefusalAsync("p", "new", "team"), StringComparison.Ordinal);

        _node.Clock.Advance(TimeSpan.FromSeconds(1));
        await PutAsync("p", "new", "team");
        Assert.Equal(KidOf("new"), await IssueAsync("p"));
        Assert.Contains(KidOf("old"), KeySetOf("team"), StringComparison.Ordinal);

        // The old key is known to everybody: the move is taken back at once.
        await PutAsync("p", "old", "team");
        Assert.Equal(KidOf("old"), await IssueAsync("p"));
    }

    [Fact]
    public async Task An_issuer_with_verifiers_has_to_show_a_key_before_a_profile_comes_to_it_and_a_new_one_has_not()
    {
        await PutAsync("q", "new", "crew");
        Assert.Contains("does not show new", await RefusalAsync("q", "new", "team"), StringComparison.Ordinal);
        // Once of the issuer crew alone, it is not in the service's own set either.
        Assert.Contains("does not show new", await RefusalAsync("q", "new", issuer: null), StringComparison.Ordinal);
        await PutAsync("q", "new", "founded-now");
        Assert.Equal(KidOf("new"), await IssueAsync("q"));
    }

    [Fact]
    public async Task The_service_s_own_set_shows_a_key_from_its_making_and_so_long_it_has_to_wait()
    {
        await MakeKeyAsync("third");
        await PutAsync("own", "third", issuer: null);
        await MakeKeyAsync("fourth");
        Assert.Contains("may not know it before", await RefusalAsync("own", "fourth", issuer: null), StringComparison.Ordinal);
        _node.Clock.Advance(Lead + KeySchedule.Convergence);
        await PutAsync("own", "fourth", issuer: null);
        Assert.Equal(KidOf("fourth"), await IssueAsync("own"));
    }

    [Fact]
    public async Task By_force_it_moves_at_once_and_that_is_on_record()
    {
        await PutAsync("p", "new", "team", force: true);
        Assert.Equal(KidOf("new"), await IssueAsync("p"));
    }

    private Task<Key> MakeKeyAsync(string name) => _node.Keys.CreateAsync(
        SimulatedNode.Operator,
        NewKey.Parse(
            name, KeyPurpose.Tokens, tier: null, backend: null, "ECC_NIST_P256", algorithms: null,
            rotation: new RotationWish((int)TimeSpan.FromDays(30).TotalSeconds, (int)Lead.TotalSeconds, 0, 0)),
        Cancel);

    private Task<TokenProfile> PutAsync(string profile, string key, string? issuer, bool force = false) => _node.Profiles.PutAsync(
        SimulatedNode.Operator, key,
        new TokenProfile { Name = profile, KeyId = "", Issuer = issuer, Audiences = ["a"], DefaultLifetimeSeconds = 300, MaxLifetimeSeconds = 300 },
        Cancel, force);

    private async Task<string> RefusalAsync(string profile, string key, string? issuer)
    {
        var refusal = await Assert.ThrowsAsync<SigningException>(() => PutAsync(profile, key, issuer));
        Assert.Equal(SigningFault.KeyNotUsable, refusal.Fault);
        return refusal.Message;
    }

    private string KidOf(string key) => _node.Key(key).Signing(_node.Now)!.Kid;

    private string KeySetOf(string issuer) =>
        _node.Live.Current.KeySets.TryGetIssuer(issuer, out var set) ? System.Text.Encoding.UTF8.GetString(set.Json.Span) : "";

    private async Task<string> IssueAsync(string profile) => (await _node.Signer.IssueAsync(
        SimulatedNode.Operator, new TokenOrder(profile, TokenRequest.Parse("s", audience: null, 300, claims: null)), Cancel)).Kid;
}
