using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tokens;

/// <summary>The key sets of one snapshot: the service's own issuer's, one for each issuer that profiles name, one for each key.</summary>
public sealed class KeySets
{
    private readonly KeyRing _keys;
    private readonly FrozenDictionary<string, KeySet> _byIssuer;
    private readonly Lazy<FrozenDictionary<string, (Key Key, KeyVersion Version)>> _byKid;
    private readonly ConcurrentDictionary<string, KeySet> _byKey = new(StringComparer.Ordinal);

    internal KeySets(KeyRing keys, ImmutableSortedDictionary<string, TokenProfile> profiles)
    {
        _keys = keys;
        var uses = profiles.Values.SelectMany(UsesOf).ToArray();
        // A tokens key that no profile names is published here already, so that verifiers know it before it signs.
        var elsewhere = uses.Where(u => u.Issuer is not null || u.IsOfPayloads).Select(u => u.KeyId)
            .Except(uses.Where(u => u.Issuer is null && !u.IsOfPayloads).Select(u => u.KeyId), StringComparer.Ordinal)
            .ToHashSet(StringComparer.Ordinal);
        var used = uses.Select(u => u.KeyId).ToHashSet(StringComparer.Ordinal);
        OfService = KeySet.Of(TokenKeys().Where(k => !k.SignedPayloads && !elsewhere.Contains(k.Id)), k => used.Contains(k.Id));
        _byIssuer = uses
            .Where(u => u is { Issuer: not null, IsOfPayloads: false })
            .GroupBy(u => u.Issuer!, u => u.KeyId, StringComparer.Ordinal)
            .ToFrozenDictionary(
                g => g.Key, g => KeySet.Of(TokenKeys().Where(k => g.Contains(k.Id, StringComparer.Ordinal))), StringComparer.Ordinal);
        _byKid = new Lazy<FrozenDictionary<string, (Key, KeyVersion)>>(() => TokenKeys()
            .SelectMany(k => k.Versions.Where(v => v.IsPublished), (k, v) => (Key: k, Version: v))
            .DistinctBy(v => v.Version.Kid, StringComparer.Ordinal)
            .ToFrozenDictionary(v => v.Version.Kid, v => v, StringComparer.Ordinal));
    }

    /// <summary>Of every tokens key but those that sign for other issuers, or payloads, alone.</summary>
    public KeySet OfService { get; }

    /// <summary>The issuers that this service hosts, by their names.</summary>
    public IEnumerable<string> Issuers => _byIssuer.Keys;

    public bool TryGetIssuer(string name, [NotNullWhen(true)] out KeySet? keys) => _byIssuer.TryGetValue(name, out keys);

    /// <param name="reference">An id, a name or an alias; of any purpose and tier.</param>
    public bool TryGetKey(string reference, [NotNullWhen(true)] out KeySet? keys)
    {
        keys = null;
        if (!_keys.TryGet(reference, out var key) || key.State == KeyState.Deleted)
            return false;
        keys = _byKey.GetOrAdd(key.Id, _ => KeySet.Of([key]));
        return true;
    }

    /// <summary>The published version of a tokens key that has this kid.</summary>
    public bool TryGetVersion(string kid, [NotNullWhen(true)] out Key? key, [NotNullWhen(true)] out KeyVersion? version)
    {
        var found = _byKid.Value.TryGetValue(kid, out var entry);
        (key, version) = found ? entry : (null, null);
        return found;
    }

    private IEnumerable<Key> TokenKeys() => _keys.All.Where(k => k.Purpose == KeyPurpose.Tokens && k.State != KeyState.Deleted);

    private static IEnumerable<(string KeyId, string? Issuer, bool IsOfPayloads)> UsesOf(TokenProfile profile) =>
    [
        (profile.KeyId, profile.HostedIssuer, profile.Payloads),
        .. profile.Former.Select(f => (f.KeyId, TokenProfile.NameOf(f.Issuer), profile.Payloads)),
    ];
}
