using System.Collections.Immutable;
using SignSvc.Signing;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Kubernetes;

/// <param name="IsExcluded">The cluster's discovery document leaves it out.</param>
internal sealed record PublishedKey(PublicKey PublicKey, bool IsExcluded);

/// <param name="ChangedAt">When the set last changed; stays as it is until it changes again.</param>
internal sealed record PublishedKeys(ImmutableArray<PublishedKey> Keys, DateTimeOffset ChangedAt, TimeSpan RefreshAfter);

/// <summary>The public keys that a cluster verifies its service accounts' tokens with.</summary>
internal sealed class ServiceAccountKeys(LiveSnapshot live, TimeProvider time)
{
    /// <summary>Also how long a revoked version may still be trusted by kube-apiserver.</summary>
    private static readonly TimeSpan LongestRefresh = TimeSpan.FromMinutes(5);

    /// <summary>Kubernetes knows whole seconds above zero.</summary>
    private static readonly TimeSpan ShortestRefresh = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private string? _known;
    private DateTimeOffset _changedAt;

    /// <summary>
    /// Every published version: of the key that signs first, then of the excluded ones as they were named, in order of
    /// their numbers. Announced versions are among them, which is how a key is known before it signs.
    /// </summary>
    /// <exception cref="SigningException"><see cref="SigningFault.NotFound"/>, <see cref="SigningFault.KeyNotUsable"/>: never an empty set, nor one that looks whole and is not.</exception>
    public PublishedKeys Current(Settings.KubernetesSettings settings)
    {
        var ring = live.Current.Keys;
        var signing = Find(ring, settings.Key);
        var published = Published(signing, isExcluded: false).ToList();
        if (published.Count == 0)
            throw new SigningException(SigningFault.KeyNotUsable, $"{signing.Name} has no published version.");
        foreach (var name in settings.ExcludedKeyNames)
            published.AddRange(Published(Find(ring, name), isExcluded: true));
        var lastEvent = signing.Versions.Max(v => v.RevokedAt ?? v.CreatedAt);
        return new PublishedKeys([.. published], ChangedAt(published, lastEvent), RefreshAfter(signing));
    }

    /// <summary>
    /// Three looks within the time that a new version is published before it signs, so that one that fails does no harm.
    /// </summary>
    private static TimeSpan RefreshAfter(Key key)
    {
        var third = TimeSpan.FromSeconds(Math.Floor(SigningPeriod.LeadOf(key).TotalSeconds / 3));
        return third < ShortestRefresh ? ShortestRefresh : third > LongestRefresh ? LongestRefresh : third;
    }

    /// <summary>After a start it is what the key itself tells, so that a restart is no change.</summary>
    private DateTimeOffset ChangedAt(List<PublishedKey> published, DateTimeOffset lastEvent)
    {
        var ids = string.Join(' ', published.Select(k => k.IsExcluded ? $"-{k.PublicKey.Kid}" : k.PublicKey.Kid));
        lock (_gate)
        {
            if (!string.Equals(ids, _known, StringComparison.Ordinal))
                _changedAt = _known is null ? lastEvent : Later(time.GetUtcNow(), _changedAt);
            _known = ids;
            return _changedAt;
        }
    }

    private static IEnumerable<PublishedKey> Published(Key key, bool isExcluded) =>
        key.Versions.Where(v => v.IsPublished).Select(v => new PublishedKey(v.PublicKey, isExcluded));

    private static Key Find(KeyRing ring, string name) =>
        ring.TryGet(name, out var key) && key is { Purpose: KeyPurpose.Tokens, State: not KeyState.Deleted }
            ? key
            : throw new SigningException(SigningFault.NotFound, $"There is no tokens key {name}.");

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;
}
