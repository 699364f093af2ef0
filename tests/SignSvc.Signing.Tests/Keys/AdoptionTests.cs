using SignSvc.Signing.Access;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>One private key has one life, whichever nodes are asked to adopt it.</summary>
public sealed class AdoptionTests : IAsyncLifetime
{
    private static readonly Caller Admin = new("credential:admin", [Role.Admin]);

    private readonly RootKey _root = RootKey.Generate();
    private readonly MemoryStore _store = new();
    private readonly LentKey _lent;
    private DomainNode _one = null!;
    private DomainNode _two = null!;

    public AdoptionTests() => _lent = new LentKey(_root);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _one = await DomainNode.StartAsync("one", _store, _root, _lent, TimeProvider.System, Cancel);
        _two = await DomainNode.StartAsync("two", _store, _root, _lent, TimeProvider.System, Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        await _one.DisposeAsync();
        await _two.DisposeAsync();
        _lent.Dispose();
        _root.Dispose();
    }

    [Fact]
    public async Task Of_two_nodes_that_adopt_one_key_before_they_hear_of_each_other_one_does()
    {
        var kept = await AdoptAsync(_one, "first");
        Assert.Empty(_two.Live.Current.Keys.All);

        var refusal = await Assert.ThrowsAsync<SigningException>(() => AdoptAsync(_two, "second"));

        Assert.Equal(SigningFault.InvalidRequest, refusal.Fault);
        Assert.Contains("what is the key first here already", refusal.Message, StringComparison.Ordinal);
        await _one.Live.RefreshAsync(Cancel);
        Assert.Equal([kept.Id], _one.Live.Current.Keys.All.Select(k => k.Id), StringComparer.Ordinal);
        Assert.Equal([kept.Id], _two.Live.Current.Keys.All.Select(k => k.Id), StringComparer.Ordinal);
    }

    [Fact]
    public async Task Of_many_who_adopt_one_key_at_once_on_two_nodes_one_does()
    {
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(async () =>
        {
            try
            {
                return (await AdoptAsync(i % 2 == 0 ? _one : _two, $"k{i}")).Name;
            }
            catch (SigningException e) when (e.Fault == SigningFault.InvalidRequest)
            {
                return null;
            }
        })));
        var adopted = Assert.Single(outcomes, name => name is not null);
        await _one.Live.RefreshAsync(Cancel);
        Assert.Equal([adopted], _one.Live.Current.Keys.All.Select(k => k.Name), StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_name_that_is_taken_is_said_to_be_and_the_key_can_be_adopted_by_another()
    {
        await _one.Keys.CreateAsync(Admin, NewKey.Parse("taken", KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null), Cancel);
        var refusal = await Assert.ThrowsAsync<SigningException>(() => AdoptAsync(_two, "taken"));
        Assert.Equal(SigningFault.NameTaken, refusal.Fault);
        Assert.Equal(KeyOrigin.Adopted, (await AdoptAsync(_two, "free")).Versions[0].Origin);
    }

    private static Task<Key> AdoptAsync(DomainNode node, string name) => node.Keys.CreateAsync(
        Admin, NewKey.Parse(name, KeyPurpose.Artifacts, KeyTier.Assured, "software", "ECC_NIST_P256", algorithms: null, adopt: "lent"), Cancel);

    /// <summary>The software backend, which holds a key of somebody else besides.</summary>
    private sealed class LentKey(RootKey root) : IKeyBackend, IAdoptsKeys, IDisposable
    {
        private readonly SoftwareBackend _inner = new("software", root);
        private readonly Lock _gate = new();
        private Task<BackendKeyPair>? _lent;

        public string Name => _inner.Name;

        public Protection Protection => _inner.Protection;

        public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) => _inner.CreateAsync(request, cancellationToken);

        public Task<BackendKeyPair> AdoptAsync(KeyPairRequest request, string reference, CancellationToken cancellationToken)
        {
            lock (_gate)
                return _lent ??= _inner.CreateAsync(request, cancellationToken);
        }

        public ValueTask<BackendSignature> SignAsync(
            KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
            _inner.SignAsync(version, algorithm, digest, cancellationToken);

        public void Dispose() => _inner.Dispose();
    }
}
