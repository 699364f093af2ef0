using SignSvc.Signing.Backends;

namespace SignSvc.Signing.Keys;

/// <summary>
/// The key pair of a version that may come to be, for one attempt to change a key: made at most once for a number, and
/// ended where no version took it, so that races and refusals leave nothing behind in the backend.
/// </summary>
internal sealed class SuccessorPair(BackendSet backends, TimeProvider time)
{
    private Key? _of;
    private KeyVersion? _version;

    /// <summary>The next version of <paramref name="key"/>, announced; who asks again for the same number gets the same.</summary>
    public async Task<KeyVersion> MakeAsync(Key key, CancellationToken cancellationToken)
    {
        var number = key.Versions.Length + 1;
        if (_version?.Number == number)
            return _version;
        await EndAsync(cancellationToken);
        var pair = await backends.For(key).CreateAsync(
            new KeyPairRequest(key.Id, number, key.Name, key.Spec, key.Purpose, key.MultiRegion), cancellationToken);
        var now = time.GetUtcNow();
        _of = key;
        _version = new KeyVersion
        {
            KeyId = key.Id,
            Number = number,
            PublicKey = pair.PublicKey,
            Handle = pair.Handle,
            Protection = pair.Protection,
            State = VersionState.Announced,
            CreatedAt = now,
            SignsFrom = now,
        };
        return _version;
    }

    /// <summary>Ends the pair unless it is a version of <paramref name="key"/>, which is as it was committed.</summary>
    public Task EndUnlessTakenAsync(Key key, CancellationToken cancellationToken) =>
        _version is not null && string.Equals(key.Version(_version.Number)?.Kid, _version.Kid, StringComparison.Ordinal)
            ? Task.CompletedTask
            : EndAsync(cancellationToken);

    public async Task EndAsync(CancellationToken cancellationToken)
    {
        if (_of is null || _version is null)
            return;
        if (backends.For(_of) is IDestroysKeys backend)
            await backend.DestroyAsync(_version, cancellationToken);
        _of = null;
        _version = null;
    }
}
