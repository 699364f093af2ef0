using System.Collections.Frozen;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>
/// The backends that are configured, by name. An assured key is signed with by the backend itself; a volume key in this
/// process, with the backend as the one that wraps it, where the backend can.
/// </summary>
public sealed class BackendSet : IDisposable
{
    private readonly FrozenDictionary<string, IKeyBackend> _assured;
    private readonly FrozenDictionary<string, IKeyBackend> _signing;
    private readonly FrozenDictionary<string, IPreparesKeys> _volume;

    /// <summary>What the last preparation kept open, by handle. One preparation runs at a time.</summary>
    private Dictionary<string, (IPreparesKeys Engine, KeyVersion Version)> _open = new(StringComparer.Ordinal);

    /// <param name="backends">Owned by the caller. One that <see cref="IPreparesKeys"/> serves both tiers; one that <see cref="IWrapsKeys"/> wraps for a volume tier of its name.</param>
    /// <param name="guard">What every assured signature passes before it reaches its backend; null: nothing.</param>
    public BackendSet(IReadOnlyCollection<IKeyBackend> backends, Func<IKeyBackend, IKeyBackend>? guard = null)
    {
        _assured = backends.ToFrozenDictionary(b => b.Name, StringComparer.Ordinal);
        _signing = backends.ToFrozenDictionary(b => b.Name, guard ?? (b => b), StringComparer.Ordinal);
        _volume = backends
            .Select(b => b as IPreparesKeys ?? (b is IWrapsKeys wrapping ? new SoftwareBackend(b.Name, wrapping) : null))
            .OfType<IPreparesKeys>()
            .ToFrozenDictionary(b => b.Name, StringComparer.Ordinal);
    }

    public IEnumerable<string> Names => _assured.Keys.Order(StringComparer.Ordinal);

    public IReadOnlyCollection<IKeyBackend> All => _assured.Values;

    /// <summary>The budgets of all backends that have any, in order of their names, as they stand now.</summary>
    public IEnumerable<BudgetState> Budgets =>
        _assured.Values.OfType<BudgetedBackend>().SelectMany(b => b.Budgets).OrderBy(b => b.Name, StringComparer.Ordinal);

    /// <exception cref="SigningException"><see cref="SigningFault.BackendUnavailable"/>: the key's backend is not configured on this node.</exception>
    public IKeyBackend For(Key key) =>
        Find(key.Tier, key.Backend)
        ?? throw new SigningException(SigningFault.BackendUnavailable, $"The backend {key.Backend} is not configured on this node.");

    /// <summary>The way of a signature: the backend behind its guard.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.BackendUnavailable"/>.</exception>
    public IKeyBackend SigningFor(Key key) => key.Tier == KeyTier.Assured && _signing.TryGetValue(key.Backend, out var guarded) ? guarded : For(key);

    /// <summary>Null where there is none, or where it cannot wrap the volume tier's keys.</summary>
    public IKeyBackend? Find(KeyTier tier, string name) =>
        tier == KeyTier.Assured ? _assured.GetValueOrDefault(name) : _volume.GetValueOrDefault(name);

    /// <summary>A tag that is not at the backend as it is here would mislead those who look there.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: the backend has no room for so many.</exception>
    public void RefuseTags(KeyTier tier, string name, int count)
    {
        if (Find(tier, name) is IMirrorsKeys { MostTags: var most } && count > most)
            throw new SigningException(SigningFault.InvalidRequest, $"A key in {name} has at most {most} tags of its own: the service needs the others that AWS allows.");
    }

    /// <summary>
    /// Unwraps every volume key that signs or is about to, so that no signature waits for a wrapping key, and lets go of
    /// those that are through.
    /// </summary>
    /// <returns>The keys that could not be unwrapped, with the reason; they are tried again at the next call.</returns>
    public async Task<IReadOnlyList<(Key Key, SigningException Fault)>> PrepareVolumeKeysAsync(
        KeyRing keys, CancellationToken cancellationToken)
    {
        var faults = new List<(Key, SigningException)>();
        var open = new Dictionary<string, (IPreparesKeys, KeyVersion)>(StringComparer.Ordinal);
        foreach (var key in keys.All.Where(k => k.Tier == KeyTier.Volume))
        {
            if (!_volume.TryGetValue(key.Backend, out var engine))
                continue;
            foreach (var version in key.Versions.Where(v => v.Handle is not null))
            {
                if (IsWanted(version) || HasJustRetired(version))
                    open[version.Handle!] = (engine, version);
                else
                    engine.Forget(version);
            }

            try
            {
                foreach (var version in key.Versions.Where(v => v.Handle is not null && IsWanted(v)))
                    await engine.PrepareAsync(version, cancellationToken);
            }
            catch (SigningException e)
            {
                faults.Add((key, e));
            }
        }

        // Handles that gave way to others: wrapped anew, or ended.
        foreach (var (engine, version) in _open.Where(o => !open.ContainsKey(o.Key)).Select(o => o.Value))
            engine.Forget(version);
        _open = open;
        return faults;
    }

    private static bool IsWanted(KeyVersion version) => version.State is VersionState.Announced or VersionState.Active;

    /// <summary>Since the last preparation: requests with a snapshot of before it retired have until the next one.</summary>
    private bool HasJustRetired(KeyVersion version) =>
        version.State == VersionState.Retired && _open.TryGetValue(version.Handle!, out var known) && IsWanted(known.Version);

    public void Dispose()
    {
        foreach (var engine in _volume.Values.Except(_assured.Values.OfType<IPreparesKeys>()).OfType<IDisposable>())
            engine.Dispose();
    }
}
