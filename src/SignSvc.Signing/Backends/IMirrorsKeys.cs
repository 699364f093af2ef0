using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Backends;

/// <summary>Ability: shows a key's state where its private keys live, to those who look there and not here.</summary>
public interface IMirrorsKeys
{
    /// <summary>How many tags of a key fit beside those that the service itself keeps there.</summary>
    int MostTags { get; }

    /// <summary>
    /// Brings state (enabled, disabled, waiting for deletion), tags and alias of all the key's versions in line with
    /// <paramref name="key"/>. Called after an edit is durable, and again until it succeeds: doing it twice is no fault.
    /// What may sign is decided here; a mirror that lags never lets more sign.
    /// </summary>
    /// <param name="mayEnable">
    /// Whether what is disabled there was disabled from here. If not, it stays so: whoever stopped a key at its backend had
    /// reasons, and no restart shall undo that. A scheduled deletion is cancelled in any case, which leaves the key disabled.
    /// </param>
    Task MirrorAsync(Key key, bool mayEnable, CancellationToken cancellationToken);
}
