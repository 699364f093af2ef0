using System.Collections.Concurrent;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests;

/// <summary>
/// The contract on the software backend. Its handles hold the wrapped keys themselves, bound to the key's id and
/// version, so the store is part of what it promises: <see cref="StoredKeys"/> stands for it.
/// </summary>
public sealed class SoftwareTests(SoftwareTests.StoredKeys stored) : KeyBackendContract, IClassFixture<SoftwareTests.StoredKeys>
{
    protected override IKeyBackend Backend => stored;

    protected override IReadOnlySet<Type> Abilities { get; } = new HashSet<Type> { typeof(IImportsKeys), typeof(IDestroysKeys) };

    protected override Task<IKeyBackend> OpenAnotherAsync() => Task.FromResult<IKeyBackend>(stored.Reopened());

    /// <summary>As the store does it: a version keeps the id it was made for, and loses its handle when it is destroyed.</summary>
    public sealed class StoredKeys : IKeyBackend, IImportsKeys, IDestroysKeys, IDisposable
    {
        private readonly RootKey _root;
        private readonly SoftwareBackend _software;
        private readonly ConcurrentDictionary<string, string> _keyIds;
        private readonly ConcurrentDictionary<string, bool> _destroyed;
        private readonly bool _ownsRoot;

        public StoredKeys()
            : this(RootKey.Generate(), new(StringComparer.Ordinal), new(StringComparer.Ordinal), ownsRoot: true)
        {
        }

        private StoredKeys(
            RootKey root, ConcurrentDictionary<string, string> keyIds, ConcurrentDictionary<string, bool> destroyed, bool ownsRoot)
        {
            (_root, _keyIds, _destroyed, _ownsRoot) = (root, keyIds, destroyed, ownsRoot);
            _software = new SoftwareBackend("software", root);
        }

        public string Name => _software.Name;

        public Protection Protection => _software.Protection;

        public StoredKeys Reopened() => new(_root, _keyIds, _destroyed, ownsRoot: false);

        public async Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
            Keep(request, await _software.CreateAsync(request, cancellationToken));

        public async Task<BackendKeyPair> ImportAsync(
            KeyPairRequest request, ReadOnlyMemory<byte> pkcs8, CancellationToken cancellationToken) =>
            Keep(request, await _software.ImportAsync(request, pkcs8, cancellationToken));

        public ValueTask<BackendSignature> SignAsync(
            KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
            _software.SignAsync(Stored(version), algorithm, digest, cancellationToken);

        public async Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken)
        {
            await _software.DestroyAsync(Stored(version), cancellationToken);
            _destroyed[version.Kid] = true;
        }

        public void Dispose()
        {
            _software.Dispose();
            if (_ownsRoot)
                _root.Dispose();
        }

        private BackendKeyPair Keep(KeyPairRequest request, BackendKeyPair pair)
        {
            _keyIds[pair.PublicKey.Kid] = request.KeyId;
            return pair;
        }

        private KeyVersion Stored(KeyVersion version) => version with
        {
            KeyId = _keyIds[version.Kid],
            Handle = _destroyed.ContainsKey(version.Kid) ? null : version.Handle,
        };
    }
}
