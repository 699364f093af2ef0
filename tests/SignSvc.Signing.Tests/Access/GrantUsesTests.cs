using System.Security.Cryptography;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tests.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Access;

/// <summary>A bounded grant on several nodes that share one store, and over a restart.</summary>
public sealed class GrantUsesTests
{
    private static readonly Caller Grantee = new("credential:ci", []);
    private static readonly Caller Administrator = new("credential:admin", [Role.Admin]);

    [Fact]
    public async Task Two_nodes_together_sign_exactly_as_often_as_the_grant_allows_and_a_restart_brings_no_more()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var root = RootKey.Generate();
        using var software = new SoftwareBackend("software", root);
        var store = new MemoryStore();
        await using var one = await Node.StartAsync("one", store, root, software, cancellation);
        await using var two = await Node.StartAsync("two", store, root, software, cancellation);
        var key = await one.Keys.CreateAsync(
            Administrator, NewKey.Parse("release", KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), cancellation);
        await one.Grants.CreateAsync(
            Administrator, key.Id, new NewGrant("nightly", Grantee.Principal, [Actions.KeysSign], Constraints: null, ExpiresAt: null, MaxUses: 30), cancellation);
        await two.Live.RefreshAsync(cancellation);

        var signed = await Task.WhenAll(Enumerable.Range(0, 80).Select(i => (i % 2 == 0 ? one : two).SignsAsync(cancellation)));
        Assert.Equal(30, signed.Count(s => s));

        await using var restarted = await Node.StartAsync("one", store, root, software, cancellation);
        Assert.False(await restarted.SignsAsync(cancellation));
        Assert.Equal(30, Assert.Single(restarted.Live.Current.Grants.Values).Uses);
    }

    [Fact]
    public async Task Where_one_grant_runs_out_on_the_way_the_next_that_permits_is_used()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var root = RootKey.Generate();
        using var software = new SoftwareBackend("software", root);
        var store = new MemoryStore();
        await using var one = await Node.StartAsync("one", store, root, software, cancellation);
        await using var two = await Node.StartAsync("two", store, root, software, cancellation);
        var key = await one.Keys.CreateAsync(
            Administrator, NewKey.Parse("release", KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), cancellation);
        foreach (var uses in (int[])[7, 5, 18])
        {
            await one.Grants.CreateAsync(
                Administrator, key.Id, new NewGrant($"of-{uses}", Grantee.Principal, [Actions.KeysSign], Constraints: null, ExpiresAt: null, uses), cancellation);
        }

        await two.Live.RefreshAsync(cancellation);
        var batch = await one.SignsBatchAsync(20, cancellation);
        var alone = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => (i % 2 == 0 ? one : two).SignsAsync(cancellation)));
        Assert.Equal((20, 10), (batch, alone.Count(s => s)));
        await one.Live.RefreshAsync(cancellation);
        Assert.All(one.Live.Current.Grants.Values, g => Assert.Equal(g.MaxUses, g.Uses));
    }

    [Fact]
    public async Task With_its_token_a_grant_counts_at_once_on_a_node_that_has_not_heard_of_it()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var root = RootKey.Generate();
        using var software = new SoftwareBackend("software", root);
        var store = new MemoryStore();
        await using var one = await Node.StartAsync("one", store, root, software, cancellation);
        var key = await one.Keys.CreateAsync(
            Administrator, NewKey.Parse("release", KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), cancellation);
        await using var two = await Node.StartAsync("two", store, root, software, cancellation);
        var grant = await one.Grants.CreateAsync(
            Administrator, key.Id, new NewGrant("now", Grantee.Principal, [Actions.KeysSign], Constraints: null, ExpiresAt: null, MaxUses: null), cancellation);
        Assert.True(await one.SignsAsync(cancellation));
        Assert.False(await two.SignsAsync(cancellation));

        var seal = root.Derive("grant-tokens");
        var tokens = new GrantTokens(seal, two.Live);
        await tokens.HeedAsync(new GrantTokens(RandomNumberGenerator.GetBytes(32), one.Live).For(grant), cancellation);
        Assert.False(await two.SignsAsync(cancellation), "A token that somebody made up makes a node read.");
        await tokens.HeedAsync(new GrantTokens(seal, one.Live).For(grant), cancellation);
        Assert.True(await two.SignsAsync(cancellation));
    }

    [Fact]
    public async Task The_token_of_a_grant_that_has_ended_makes_a_node_read_once()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var root = RootKey.Generate();
        using var software = new SoftwareBackend("software", root);
        var store = new MemoryStore();
        await using var one = await Node.StartAsync("one", store, root, software, cancellation);
        var key = await one.Keys.CreateAsync(
            Administrator, NewKey.Parse("release", KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), cancellation);
        var grant = await one.Grants.CreateAsync(
            Administrator, key.Id, new NewGrant("ended", Grantee.Principal, [Actions.KeysSign], Constraints: null, ExpiresAt: null, MaxUses: null), cancellation);
        var tokens = new GrantTokens(root.Derive("grant-tokens"), one.Live);
        await one.Grants.RevokeAsync(Administrator, key.Id, grant.Id, cancellation);

        var before = store.StateReads;
        for (var i = 0; i < 5; i++)
            await tokens.HeedAsync(tokens.For(grant), cancellation);
        Assert.Equal(1, store.StateReads - before);
    }

    private sealed class Node : IAsyncDisposable
    {
        private readonly AuditLog _audit;
        private readonly Signer _signer;

        private Node(AuditLog audit, LiveSnapshot live, SoftwareBackend software)
        {
            _audit = audit;
            Live = live;
            var decisions = new Decisions(audit, live, TimeProvider.System);
            var backends = new BackendSet([software]);
            var rules = new KeyRules(RequireHardware: false);
            Keys = new KeyLifecycle(live, decisions, backends, rules, TimeProvider.System);
            Grants = new KeyGrants(live, decisions, audit, TimeProvider.System);
            _signer = new Signer(live, backends, audit, decisions, rules, new TokenIssuing("https://issuer.example"), TimeProvider.System);
        }

        public LiveSnapshot Live { get; }

        public KeyLifecycle Keys { get; }

        public KeyGrants Grants { get; }

        public static async Task<Node> StartAsync(
            string name, MemoryStore store, RootKey root, SoftwareBackend software, CancellationToken cancellationToken)
        {
            var audit = await AuditLog.OpenAsync(
                store, new AuditChain(root.Derive("audit")), name, new AuditLimits { CommitTimeout = TimeSpan.FromMinutes(1) }, TimeProvider.System, cancellationToken);
            var live = await LiveSnapshot.OpenAsync(store, audit, new DocumentSeal(root.Derive("documents")), cancellationToken);
            return new Node(audit, live, software);
        }

        public async Task<bool> SignsAsync(CancellationToken cancellationToken)
        {
            try
            {
                await _signer.SignAsync(Grantee, new SignRequest { Key = "release", Payload = Payload.Digest(new byte[32]) }, cancellationToken);
                return true;
            }
            catch (SigningException e) when (e.Fault == SigningFault.Forbidden)
            {
                return false;
            }
        }

        /// <returns>How many of the batch were signed.</returns>
        public async Task<int> SignsBatchAsync(int count, CancellationToken cancellationToken)
        {
            var requests = Enumerable.Repeat(new SignRequest { Key = "release", Payload = Payload.Digest(new byte[32]) }, count).ToArray();
            return (await _signer.SignBatchAsync(Grantee, requests, cancellationToken)).Count(o => o.Refusal is null);
        }

        public async ValueTask DisposeAsync()
        {
            await _audit.DisposeAsync();
            Live.Dispose();
        }
    }
}
