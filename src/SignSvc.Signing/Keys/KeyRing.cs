using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace SignSvc.Signing.Keys;

/// <summary>All keys as one node knows them at one revision. Immutable; shared by all requests that read it.</summary>
public sealed class KeyRing
{
    public static readonly KeyRing Empty = new(
        ImmutableDictionary.Create<string, Key>(StringComparer.Ordinal),
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));

    private readonly ImmutableDictionary<string, Key> _byId;
    private readonly ImmutableSortedDictionary<string, string> _idByName;

    private KeyRing(ImmutableDictionary<string, Key> byId, ImmutableSortedDictionary<string, string> idByName)
    {
        _byId = byId;
        _idByName = idByName;
    }

    public int Count => _byId.Count;

    /// <summary>In order of their names.</summary>
    public IEnumerable<Key> All => _idByName.Values.Select(id => _byId[id]);

    /// <summary>In order of their names, those after <paramref name="name"/>.</summary>
    public IEnumerable<Key> After(string? name)
    {
        if (name is null)
            return All;
        var names = _idByName.KeyComparer;
        return _idByName.SkipWhile(n => names.Compare(n.Key, name) <= 0).Select(n => _byId[n.Value]);
    }

    /// <param name="reference">An id or a name.</param>
    public bool TryGet(string reference, [NotNullWhen(true)] out Key? key)
    {
        if (_byId.TryGetValue(reference, out key))
            return true;
        return _idByName.TryGetValue(reference, out var id) && _byId.TryGetValue(id, out key);
    }

    public KeyRing With(Key key)
    {
        var names = _byId.TryGetValue(key.Id, out var old) ? _idByName.Remove(old.Name) : _idByName;
        return new KeyRing(_byId.SetItem(key.Id, key), names.SetItem(key.Name, key.Id));
    }
}
