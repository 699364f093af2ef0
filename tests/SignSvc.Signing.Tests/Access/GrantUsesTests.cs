using System.Security.Cryptography;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tests.Keys;

namespace SignSvc.Signing.Tests.Access;

/// <summary>A bounded grant on several nodes that share one store, and over a restart.</summary>
public sealed class GrantUsesTests : IAsyncLifetime
{
    private static readonly Caller Grantee = new("credential:ci", []);
    private static readonly Caller Administrator = new("credential:admin", [Role.Admin]);
    private static readonly SignRequest Request = new() { Key = "release", Payload = Payload.Digest(new byte[32]) };

    private readonly RootKey _root = RootKey.Generate();
    private readonly MemoryStore _store = new();
    private readonly SoftwareBackend _software;
    private DomainNode _one = null!;

    public GrantUsesTests() => _software = new SoftwareBackend("software", _root);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _one = await StartAsync("one");
        await _one.Keys.CreateAsync(
            Administrator, NewKey.Parse("release", KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        _software.Dispose();
        _root.Dispose();
    }

    [Fact]
    public async Task Two_nodes_together_sign_exactly_as_often_as_the_grant_allows_and_a_restart_brings_no_more()
    {
        await using var two = await StartAsync("two");
        await GrantAsync("nightly", 30);
        await two.Live.RefreshAsync(Cancel);

        var signed = await Task.WhenAll(Enumerable.Range(0, 80).Select(i => SignsAsync(i % 2 == 0 ? _one : two)));
        Assert.Equal(30, signed.Count(s => s));

        await using var restarted = await StartAsync("one");
        Assert.False(await SignsAsync(restarted));
        Assert.Equal(30, Assert.Single(restarted.Live.Current.Grants.Values).Uses);
    }

    [Fact]
    public async Task Where_one_grant_runs_out_on_the_way_the_next_that_permits_is_used()
    {
        await using var two = await StartAsync("two");
        foreach (var uses in (int[])[7, 5, 18])
            await GrantAsync($"of-{uses}", uses);

        await two.Live.RefreshAsync(Cancel);
        var batch = await SignsBatchAsync(_one, 20);
        var alone = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => SignsAsync(i % 2 == 0 ? _one : two)));
        Assert.Equal((20, 10), (batch, alone.Count(s => s)));
        await _one.Live.RefreshAsync(Cancel);
        Assert.All(_one.Live.Current.Grants.Values, g => Assert.Equal(g.MaxUses, g.Uses));
    }

    [Fact]
    public async Task With_its_token_a_grant_counts_at_once_on_a_node_that_has_not_heard_of_it()
    {
        await using var two = await StartAsync("two");
        var grant = await GrantAsync("now", maxUses: null);
        Assert.True(await SignsAsync(_one));
        Assert.False(await SignsAsync(two));

        var seal = _root.Derive("grant-tokens");
        var tokens = new GrantTokens(seal, two.Live);
        await tokens.HeedAsync(new GrantTokens(RandomNumberGenerator.GetBytes(32), _one.Live).For(grant), Cancel);
        Assert.False(await SignsAsync(two), "A token that somebody made up makes a node read.");
        await tokens.HeedAsync(new GrantTokens(seal, _one.Live).For(grant), Cancel);
        Assert.True(await SignsAsync(two));
    }

    [Fact]
    public async Task The_token_of_a_grant_that_has_ended_makes_a_node_read_once()
    {
        var grant = await GrantAsync("ended", maxUses: null);
        var tokens = new GrantTokens(_root.Derive("grant-tokens"), _one.Live);
        await _one.Grants.RevokeAsync(Administrator, "release", grant.Id, Cancel);

        var before = _store.StateReads;
        for (var i = 0; i < 5; i++)
            await tokens.HeedAsync(tokens.For(grant), Cancel);
        Assert.Equal(1, _store.StateReads - before);
    }

    private Task<DomainNode> StartAsync(string name) => DomainNode.StartAsync(name, _store, _root, _software, TimeProvider.System, Cancel);

    private Task<Grant> GrantAsync(string name, int? maxUses) => _one.Grants.CreateAsync(
        Administrator, "release", new NewGrant(name, Grantee.Principal, [Actions.KeysSign], Constraints: null, ExpiresAt: null, maxUses), Cancel);

    private static async Task<bool> SignsAsync(DomainNode node)
    {
        try
        {
            await node.Signer.SignAsync(Grantee, Request, Cancel);
            return true;
        }
        catch (SigningException e) when (e.Fault == SigningFault.Forbidden)
        {
            return false;
        }
    }

    /// <returns>How many of the batch were signed.</returns>
    private static async Task<int> SignsBatchAsync(DomainNode node, int count) =>
        (await node.Signer.SignBatchAsync(Grantee, [.. Enumerable.Repeat(Request, count)], Cancel)).Count(o => o.Refusal is null);
}
