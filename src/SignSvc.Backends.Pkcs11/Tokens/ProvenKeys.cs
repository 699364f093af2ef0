using System.Collections.Concurrent;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>Handles of private keys that were found on a token and belong to their public keys.</summary>
internal sealed class ProvenKeys
{
    /// <summary>Beyond it all are forgotten, which costs a recovery at worst.</summary>
    private const int Most = 100_000;

    private readonly ConcurrentDictionary<string, bool> _handles = new(StringComparer.Ordinal);

    public void Add(string handle)
    {
        if (_handles.Count >= Most)
            Clear();
        _handles.TryAdd(handle, true);
    }

    /// <returns>Whether it was here; it counts once.</returns>
    public bool TryForget(string handle) => _handles.TryRemove(handle, out _);

    public void Clear() => _handles.Clear();
}
