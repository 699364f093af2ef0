using System.Diagnostics;

namespace SignSvc.Backends.Pkcs11.Cryptoki;

/// <summary>
/// Who may be inside a module: the owners of open sessions, and visitors who look for a token or open a session. A call
/// that hangs keeps its owner inside. Only while one visitor is alone may the module be finalised (v2.40 section 5.4:
/// what C_Finalize does to calls of other threads is undefined).
/// </summary>
internal sealed class ModuleOccupancy
{
    private readonly object _gate = new();
    private int _sessions;
    private int _visitors;
    private bool _isClosed;

    /// <summary>Waits while somebody is in there alone. Each has to be met by one <see cref="Leave"/>.</summary>
    public void Enter()
    {
        lock (_gate)
        {
            while (_isClosed)
                Monitor.Wait(_gate);
            _visitors++;
        }
    }

    public void Leave() => Change(() => _visitors--);

    public void SessionOpened() => Change(() => _sessions++);

    public void SessionClosed() => Change(() => _sessions--);

    /// <summary>For a visitor.</summary>
    /// <returns>False where others stayed inside for as long as <paramref name="patience"/>.</returns>
    public bool TryAlone(TimeSpan patience, Action work)
    {
        var began = Stopwatch.GetTimestamp();
        lock (_gate)
        {
            while (_isClosed || _sessions > 0 || _visitors > 1)
            {
                var left = patience - Stopwatch.GetElapsedTime(began);
                if (left <= TimeSpan.Zero || !Monitor.Wait(_gate, left))
                    return false;
            }

            _isClosed = true;
        }

        try
        {
            work();
            return true;
        }
        finally
        {
            Change(() => _isClosed = false);
        }
    }

    private void Change(Action change)
    {
        lock (_gate)
        {
            change();
            Monitor.PulseAll(_gate);
        }
    }
}
