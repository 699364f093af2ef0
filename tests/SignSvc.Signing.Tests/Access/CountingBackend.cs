using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Access;

/// <summary>The software backend, with a count of the signatures that were asked of it.</summary>
internal sealed class CountingBackend(RootKey root) : IKeyBackend, IDisposable
{
    private readonly SoftwareBackend _inner = new("software", root);
    private int _asked;

    public string Name => _inner.Name;

    public Protection Protection => _inner.Protection;

    public int Asked => Volatile.Read(ref _asked);

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) => _inner.CreateAsync(request, cancellationToken);

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _asked);
        return _inner.SignAsync(version, algorithm, digest, cancellationToken);
    }

    public void Dispose() => _inner.Dispose();
}
