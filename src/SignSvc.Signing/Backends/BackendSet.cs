using System.Collections.Frozen;

namespace SignSvc.Signing.Backends;

/// <summary>The backends that are configured, by name.</summary>
public sealed class BackendSet(IEnumerable<IKeyBackend> backends)
{
    private readonly FrozenDictionary<string, IKeyBackend> _byName =
        backends.ToFrozenDictionary(b => b.Name, StringComparer.Ordinal);

    public IEnumerable<string> Names => _byName.Keys.Order(StringComparer.Ordinal);

    public IReadOnlyCollection<IKeyBackend> All => _byName.Values;

    /// <exception cref="SigningException"><see cref="SigningFault.BackendUnavailable"/>: the key's backend is not configured on this node.</exception>
    public IKeyBackend this[string name] =>
        _byName.TryGetValue(name, out var backend)
            ? backend
            : throw new SigningException(SigningFault.BackendUnavailable, $"The backend {name} is not configured on this node.");

    public bool TryGet(string name, out IKeyBackend? backend) => _byName.TryGetValue(name, out backend);
}
