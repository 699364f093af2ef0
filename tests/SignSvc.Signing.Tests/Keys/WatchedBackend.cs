using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>The software backend, with a plug to pull and a list of the private keys that exist in it.</summary>
internal sealed class WatchedBackend(RootKey root) : IPreparesKeys, IDestroysKeys, IDisposable
{
    private readonly SoftwareBackend _inner = new("software", root);

    public string Name => _inner.Name;

    public Protection Protection => _inner.Protection;

    public bool IsDown { get; set; }

    /// <summary>What the backend says of whatever it is to make; null: it makes it.</summary>
    public SigningException? Refusal { get; set; }

    /// <summary>It answers nothing any more; completed by the first who asks.</summary>
    public TaskCompletionSource? Hanging { get; set; }

    public HashSet<string> Alive { get; } = new(StringComparer.Ordinal);

    public async Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken)
    {
        if (IsDown)
            throw new SigningException(SigningFault.BackendUnavailable, "The backend is down.");
        if (Refusal is { } refusal)
            throw refusal;
        if (Hanging is { } asked)
        {
            asked.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        }

        var pair = await _inner.CreateAsync(request, cancellationToken);
        lock (Alive)
            Alive.Add(pair.PublicKey.Kid);
        return pair;
    }

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        _inner.SignAsync(version, algorithm, digest, cancellationToken);

    public async Task DestroyAsync(KeyVersion version, CancellationToken cancellationToken)
    {
        if (IsDown)
            throw new SigningException(SigningFault.BackendUnavailable, "The backend is down.");
        await _inner.DestroyAsync(version, cancellationToken);
        lock (Alive)
            Alive.Remove(version.Kid);
    }

    public Task PrepareAsync(KeyVersion version, CancellationToken cancellationToken) => _inner.PrepareAsync(version, cancellationToken);

    public void Forget(KeyVersion version) => _inner.Forget(version);

    public void Dispose() => _inner.Dispose();
}
