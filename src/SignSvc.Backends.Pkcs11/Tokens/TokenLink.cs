using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// Finds a token and logs in, again and again with back-off for as long as it is away. Each try runs on a thread of its
/// own, which is abandoned when the module hangs.
/// </summary>
internal sealed class TokenLink
{
    private const int PatientFailures = 3;
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);

    private readonly CryptokiModule _module;
    private readonly Pkcs11TokenOptions _options;
    private readonly string _name;
    private readonly TimeSpan _deadline;
    private readonly int _abandonmentLimit;
    private readonly TimeProvider _time;
    private readonly Action _changed;
    private readonly PinSource _pinSource;

    private readonly Lock _gate = new();
    private volatile TokenConnection? _connection;
    private volatile SigningException? _trouble;
    private volatile int _abandoned;
    private TokenConnection? _former;
    private bool _anew;
    private Attempt? _attempt;
    private int _failures;
    private long _lastFailure;
    private bool _stopped;

    public TokenLink(
        CryptokiModule module, Pkcs11Options options, Pkcs11TokenOptions tokenOptions, TimeProvider time, Action changed)
    {
        _module = module;
        _options = tokenOptions;
        _name = tokenOptions.Name;
        _deadline = TimeSpan.FromMilliseconds(options.ConnectDeadlineMilliseconds);
        _abandonmentLimit = options.WorkerAbandonmentLimit;
        _time = time;
        _changed = changed;
        _pinSource = new PinSource(tokenOptions, time);
    }

    public TokenConnection? Connection => _connection;

    /// <summary>Why the last try failed, or what the connection was lost to; null while it is up.</summary>
    public SigningException? Trouble => _trouble;

    public int Abandoned => _abandoned;

    /// <summary>Times that it connected.</summary>
    public int Connections { get; private set; }

    /// <summary>Null while waiting is worth it: connected, or away for no longer than a few tries.</summary>
    public SigningException? Refusal
    {
        get
        {
            if (_connection is not null || _trouble is not { } trouble)
                return null;
            lock (_gate)
            {
                return _failures < PatientFailures && trouble.Fault != SigningFault.BackendFailed
                    ? null
                    : new SigningException(trouble.Fault, trouble.Message, trouble) { RetryAfter = Pause() };
            }
        }
    }

    /// <summary>Gives a connection up, once however many notice. The next try starts at once if it had ever worked.</summary>
    /// <param name="anew">Whether the module is to be initialised anew on the way.</param>
    public void Lost(TokenConnection connection, SigningException trouble, bool anew)
    {
        lock (_gate)
        {
            if (_connection != connection)
                return;
            _connection = null;
            _former = connection;
            _anew = anew;
            _trouble = trouble;
            _failures = connection.Proven ? 0 : _failures + 1;
            _lastFailure = _time.GetTimestamp();
        }

        ConnectIfDue();
    }

    /// <summary>Called at every tick of the watch: starts a try that is due, abandons one that hangs.</summary>
    public void ConnectIfDue()
    {
        lock (_gate)
        {
            var now = _time.GetTimestamp();
            if (_attempt is { } running && _time.GetElapsedTime(running.StartedAt, now) > _deadline)
            {
                running.IsAbandoned = true;
                _attempt = null;
                _abandoned++;
                Failed(new SigningException(
                    SigningFault.BackendUnavailable, $"The token {_name} did not connect within {_deadline.TotalMilliseconds:0} ms."));
            }

            var due = _failures == 0 || _time.GetElapsedTime(_lastFailure, now) >= Pause();
            if (_stopped || _connection is not null || _attempt is not null || !due || _abandoned >= _abandonmentLimit)
                return;
            _attempt = new Attempt(_former, _anew, now);
            _former = null;
            _anew = false;
            new Thread(Connect) { IsBackground = true, Name = $"pkcs11 {_name} connect" }.Start(_attempt);
        }
    }

    /// <param name="moduleAnswers">False where calls hang in the module: closing the session would hang as well.</param>
    /// <returns>True when no thread of it can be inside the module any more.</returns>
    public bool Stop(TimeSpan patience, bool moduleAnswers)
    {
        lock (_gate)
            _stopped = true;
        var ended = Patience.Until(() => { lock (_gate) return _attempt is null && _abandoned == 0; }, patience);
        if (ended && moduleAnswers)
            (_connection ?? _former)?.Close();
        return ended && moduleAnswers;
    }

    private void Connect(object? state)
    {
        var attempt = (Attempt)state!;
        TokenConnection? connection = null;
        SigningException? trouble = null;
        try
        {
            // Should the login end with it: the next line logs in again.
            attempt.Former?.Close();
            connection = TokenConnection.Open(_module, _options, _pinSource, attempt.Anew);
        }
        catch (CryptokiException e)
        {
            trouble = e.ToFault(_name);
        }
        catch (SigningException e)
        {
            trouble = new SigningException(e.Fault, $"The token {_name}: {e.Message}", e);
        }
        catch (Exception e)
        {
            // The edge of this thread: callers get it as the reason why there is no connection.
            trouble = new SigningException(SigningFault.BackendFailed, $"The token {_name} cannot be connected.", e);
        }

        lock (_gate)
        {
            if (attempt.IsAbandoned)
                _abandoned--;
            else
                _attempt = null;
            if (trouble is not null && !attempt.IsAbandoned)
                Failed(trouble);
            if (connection is not null && _connection is null && !_stopped)
            {
                _connection = connection;
                _trouble = null;
                Connections++;
                connection = null;
            }
        }

        // One too many: the backend stopped, or a try that had been abandoned came back second.
        connection?.Close();
        _changed();
    }

    private void Failed(SigningException trouble)
    {
        _failures++;
        _lastFailure = _time.GetTimestamp();
        _trouble = trouble;
    }

    /// <summary>Doubles with each failure; a fifth of jitter keeps the nodes of a cluster from knocking together.</summary>
    private TimeSpan Pause() =>
        _failures == 0
            ? TimeSpan.Zero
            : TimeSpan.FromTicks(Math.Min(LongestPause.Ticks, FirstPause.Ticks << Math.Min(_failures - 1, 10)))
                * (1 - 0.2 * Jitter());

    /// <summary>The same for one failure, so that a pause does not change while it is waited for.</summary>
    private double Jitter() => (uint)HashCode.Combine(_lastFailure, _failures) / (double)uint.MaxValue;

    private sealed class Attempt(TokenConnection? former, bool anew, long startedAt)
    {
        public TokenConnection? Former => former;

        public bool Anew => anew;

        public long StartedAt => startedAt;

        public bool IsAbandoned { get; set; }
    }
}
