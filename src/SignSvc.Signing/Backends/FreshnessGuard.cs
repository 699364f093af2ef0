using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>
/// When this node last knew that its snapshot is the store's. A node that is cut off may miss a revocation: within the
/// bound that is accepted, beyond it assured keys sign no more.
/// </summary>
public sealed class SnapshotFreshness(TimeSpan bound, TimeProvider time)
{
    private long _confirmedAt = time.GetTimestamp();

    public TimeSpan Bound => bound;

    /// <summary>By the steady clock: a jump of the wall clock neither hides nor makes staleness.</summary>
    public TimeSpan Age => time.GetElapsedTime(Volatile.Read(ref _confirmedAt));

    public bool IsStale => Age > bound;

    public void Confirm() => Volatile.Write(ref _confirmedAt, time.GetTimestamp());
}

/// <summary>Keeps an assured backend from signing while the snapshot is older than its bound.</summary>
public sealed class FreshnessGuard(IKeyBackend backend, SnapshotFreshness freshness) : IKeyBackend
{
    public string Name => backend.Name;

    public Protection Protection => backend.Protection;

    public Task<BackendKeyPair> CreateAsync(KeyPairRequest request, CancellationToken cancellationToken) =>
        backend.CreateAsync(request, cancellationToken);

    public ValueTask<BackendSignature> SignAsync(
        KeyVersion version, SigningAlgorithm algorithm, ReadOnlyMemory<byte> digest, CancellationToken cancellationToken) =>
        freshness.IsStale
            ? throw new SigningException(
                SigningFault.StoreUnavailable,
                $"This node has not confirmed its keys with the store for {freshness.Age.TotalSeconds:F0} s, so its assured keys do not sign.")
            : backend.SignAsync(version, algorithm, digest, cancellationToken);
}
