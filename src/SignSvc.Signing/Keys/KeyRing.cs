using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace SignSvc.Signing.Keys;

/// <summary>All keys as one node knows them at one revision. Immutable; shared by all requests that read it.</summary>
public sealed class KeyRing
{
    public static readonly KeyRing Empty = new(
        ImmutableDictionary.Create<string, Key>(StringComparer.Ordinal),
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal),
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));

    private readonly ImmutableDictionary<string, Key> _byId;
    private readonly ImmutableSortedDictionary<string, string> _idByName;
    private readonly ImmutableSortedDictionary<string, string> _idByAlias;

    private KeyRing(
        ImmutableDictionary<string, Key> byId,
        ImmutableSortedDictionary<string, string> idByName,
        ImmutableSortedDictionary<string, string> idByAlias)
    {
        _byId = byId;
        _idByName = idByName;
        _idByAlias = idByAlias;
    }

    public int Count => _byId.Count;

    /// <summary>In order of their names.</summary>
    public IEnumerable<Key> All => _idByName.Values.Select(id => _byId[id]);

    /// <summary>In no order, the deleted ones too.</summary>
    public IEnumerable<Key> Ever => _byId.Values;

    /// <summary>In order of their names, those after <paramref name="name"/>.</summary>
    public IEnumerable<Key> After(string? name)
    {
        if (name is null)
            return All;
        var names = _idByName.KeyComparer;
        return _idByName.SkipWhile(n => names.Compare(n.Key, name) <= 0).Select(n => _byId[n.Value]);
    }

    /// <summary>Every alias, in order, with the key it stands for.</summary>
    public IEnumerable<(string Alias, Key Key)> Aliases => _idByAlias.Select(a => (a.Key, _byId[a.Value]));

    /// <param name="reference">An id, a name or an alias.</param>
    public bool TryGet(string reference, [NotNullWhen(true)] out Key? key)
    {
        if (_byId.TryGetValue(reference, out key))
            return true;
        return (_idByName.TryGetValue(reference, out var id) || _idByAlias.TryGetValue(reference, out id))
            && _byId.TryGetValue(id, out key);
    }

    public KeyRing With(Key key)
    {
        var old = _byId.GetValueOrDefault(key.Id);
        var names = old is null ? _idByName : _idByName.Remove(old.Name);
        // An alias that has moved on in the same revision belongs to its new key already.
        var gone = old?.Aliases.Where(a => _idByAlias.TryGetValue(a, out var id) && string.Equals(id, key.Id, StringComparison.Ordinal));
        var aliases = gone is null ? _idByAlias : _idByAlias.RemoveRange(gone);
        var byId = _byId.SetItem(key.Id, key);
        // A deleted key is still found by its id, for the audit's sake; its names are free.
        return key.State == KeyState.Deleted
            ? new KeyRing(byId, names, aliases)
            : new KeyRing(
                byId, names.SetItem(key.Name, key.Id), aliases.SetItems(key.Aliases.Select(a => KeyValuePair.Create(a, key.Id))));
    }
}
