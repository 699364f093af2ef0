using System.Collections.Concurrent;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// Whether a token is believed when it shows no key under a handle that is on record. Some show an empty token where
/// their files or their network are gone, until the module looks again; a key that was really deleted stays away. So the
/// token is doubted, and connected anew: at once for a key that was found here before, else rarely and not for ever.
/// </summary>
internal sealed class KeyDoubts(TimeProvider time)
{
    /// <summary>Beyond it all are forgotten, which costs a recovery at worst.</summary>
    private const int MostHandles = 100_000;

    private const int MostTimes = 8;

    /// <summary>Between two doubts of keys that were never found here, whichever they are.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>Between two doubts of the same key; doubles with each.</summary>
    private static readonly TimeSpan FirstPauseOfKey = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, bool> _found = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (int Times, long At)> _doubted = new(StringComparer.Ordinal);
    private long? _doubtedAt;

    public void Found(string handle)
    {
        if (_found.Count >= MostHandles)
            _found.Clear();
        _found.TryAdd(handle, true);
        lock (_gate)
            _doubted.Remove(handle);
    }

    /// <param name="isLastToAsk">No other token can have the key: one that was never found here may well be elsewhere.</param>
    /// <returns>True: the token is to be connected anew and asked again. That counts.</returns>
    public bool Doubt(string handle, bool isLastToAsk)
    {
        if (_found.TryRemove(handle, out _))
            return true;
        if (!isLastToAsk)
            return false;
        lock (_gate)
        {
            var now = time.GetTimestamp();
            if (_doubtedAt is { } last && time.GetElapsedTime(last, now) < Pause)
                return false;
            if (_doubted.TryGetValue(handle, out var known)
                && (known.Times >= MostTimes || time.GetElapsedTime(known.At, now) < FirstPauseOfKey * (1 << (known.Times - 1))))
            {
                return false;
            }

            if (_doubted.Count >= MostHandles)
                _doubted.Clear();
            _doubted[handle] = (known.Times + 1, now);
            _doubtedAt = now;
            return true;
        }
    }

    public void Forget() => _found.Clear();
}
