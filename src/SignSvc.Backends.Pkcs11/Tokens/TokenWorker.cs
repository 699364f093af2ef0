using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// One thread with one session. Modules block, and some hang: only these threads ever enter one, so that a hung call
/// costs this thread and nothing else. The watch then abandons it; should the call return, the thread sees that and ends.
/// </summary>
internal sealed class TokenWorker : IDisposable
{
    private const int MostAttempts = 8;

    private readonly Token _token;
    private readonly TimeProvider _time;
    // Hardly any spinning: a signature takes far longer than a wake-up, and a software token needs the processor itself.
    private readonly ManualResetEventSlim _wake = new(initialState: false, spinCount: 1);
    private readonly TokenCall _farewell;
    private TokenCall? _given;
    private TokenSession? _session;

    // Odd while inside the module, even outside, -1 once abandoned. The other two describe the current odd number.
    private long _phase;
    private long _enteredAt;
    private TokenCall? _current;

    public TokenWorker(Token token, TimeProvider time, TimeSpan operationAllowance)
    {
        _token = token;
        _time = time;
        _farewell = new TaskCall<bool>("close a session", isRepeatable: false, static _ => true, long.MaxValue, operationAllowance);
    }

    public bool IsAbandoned => Volatile.Read(ref _phase) == -1;

    /// <summary>Timestamp from which it has had a signature to do; null while it has none. The token's, under its lock.</summary>
    public long? SignsSince { get; set; }

    public void Start(TokenCall first)
    {
        _given = first;
        _wake.Set();
        new Thread(Run) { IsBackground = true, Name = $"pkcs11 {_token.Name}" }.Start();
    }

    /// <summary>Only for a worker that is idle. Null ends it.</summary>
    public void Give(TokenCall? call)
    {
        _given = call;
        _wake.Set();
    }

    /// <summary>The watch: ends a call nobody waits for, and gives the thread up when the module has had its time.</summary>
    /// <returns>True when the thread was abandoned just now.</returns>
    public bool AbandonIfHung(long now)
    {
        var phase = Volatile.Read(ref _phase);
        if (phase == -1 || (phase & 1) == 0 || _current is not { } call)
            return false;
        call.FailIfLate(now, () => Late(call));
        var hung = _time.GetElapsedTime(Volatile.Read(ref _enteredAt), now) > call.Allowance;
        if (!hung || Interlocked.CompareExchange(ref _phase, -1, phase) != phase)
            return false;
        call.TryFailFromOutside(Late(call));
        return true;
    }

    public void Dispose() => _wake.Dispose();

    private SigningException Late(TokenCall call) =>
        new(SigningFault.BackendUnavailable, $"The token {_token.Name} did not {call.Name} within {call.Allowance.TotalMilliseconds:0} ms.");

    private void Run()
    {
        while (Take() is { } call)
        {
            if (!call.HasEnded)
                Serve(call);
            if (IsAbandoned)
                break;
        }

        SayFarewell();
        _token.Ended(this);
        Dispose();
    }

    /// <summary>Where the watch sees it: closing enters the module, too.</summary>
    private void SayFarewell()
    {
        if (IsAbandoned)
        {
            CloseSession(isDead: false);
            return;
        }

        Enter(_farewell);
        CloseSession(isDead: false);
        Leave();
    }

    private TokenCall? Take()
    {
        // The first call is given at the start; afterwards the queue is asked before sleeping.
        if (!_wake.IsSet && _token.NextCall(this) is { } queued)
            return queued;
        _wake.Wait();
        _wake.Reset();
        return Interlocked.Exchange(ref _given, null);
    }

    private void Serve(TokenCall call)
    {
        var connection = _token.Connection;
        while (true)
        {
            if (connection is null)
            {
                _token.PutBack(call);
                return;
            }

            try
            {
                Enter(call);
                call.Attempts++;
                var result = ExecuteOn(connection, call);
                var isTaken = call.CanUndo && EndsOrUndoes(call, result);
                if (!Leave())
                    return;
                if (!connection.Proven)
                    connection.Proven = true;
                if (!isTaken && !call.TrySucceed(result))
                    CryptographicOperations.ZeroMemory(result as byte[]);
                return;
            }
            catch (CryptokiException e)
            {
                // Closing enters the module too: before leaving, so that the watch sees it.
                if (e.Remedy is Remedy.NewSession or Remedy.Reconnect)
                    CloseSession(isDead: e.Rv is CKR_SESSION_HANDLE_INVALID or CKR_SESSION_CLOSED);
                if (!Leave() || !TryRemedy(call, connection, e))
                    return;
            }
            catch (KeyNotHereException e)
            {
                if (!Leave())
                    return;
                if (!_token.Disbelieves(connection, call, call.Attempts < MostAttempts))
                    call.KeyIsMissing(_token, e);
                else if (!call.GoElsewhere(_token))
                    _token.PutBack(call);
                return;
            }
            catch (Exception e)
            {
                // The edge of this thread: the caller gets what went wrong, whatever it is.
                Leave();
                call.TryFail(e);
                return;
            }
        }
    }

    private object? ExecuteOn(TokenConnection connection, TokenCall call)
    {
        if (_session is not null && _session.Connection != connection)
            CloseSession(isDead: false);
        _session ??= _token.OpenSession(connection);
        var result = call.Execute(_session);
        _session.ThrowIfUsurped();
        return result;
    }

    /// <summary>While still inside the module, where the watch sees it: an undo calls it again.</summary>
    /// <returns>True: its caller has the result.</returns>
    private bool EndsOrUndoes(TokenCall call, object? result)
    {
        if (call.TrySucceed(result))
            return true;
        try
        {
            call.Undo(_session!, result);
        }
        catch (CryptokiException)
        {
            // Its caller is gone and nobody is left to tell: the object stays, named by its label.
        }

        return false;
    }

    /// <returns>True: try again here and now. Else the call has ended, or waits for the token or at another.</returns>
    private bool TryRemedy(TokenCall call, TokenConnection connection, CryptokiException error)
    {
        var remedy = error.Remedy;
        if (error.Rv == CKR_SESSION_COUNT && _session is null && _token.GiveUpSession(this))
        {
            // Other sessions are open: the call waits for one of them.
            _token.PutBack(call);
            return false;
        }

        if (remedy == Remedy.None || (!call.IsRepeatable && error.Rv is CKR_DEVICE_ERROR or CKR_GENERAL_ERROR or CKR_FUNCTION_FAILED))
        {
            call.TryFail(error.ToFault(_token.Name));
            return false;
        }

        if (remedy == Remedy.FindAgain)
            _session?.ForgetKeys();

        // The first time a new session may do; a second fault in a row speaks against the whole connection.
        if (remedy != Remedy.Reconnect && call.Attempts < 2)
            return true;
        if (call.Attempts >= MostAttempts)
        {
            call.TryFail(error.ToFault(_token.Name));
            return false;
        }

        _token.ConnectionLost(connection, error);
        if (!call.GoElsewhere(_token))
            _token.PutBack(call);
        return false;
    }

    private void CloseSession(bool isDead)
    {
        if (_session is null)
            return;
        _token.Close(_session, isDead);
        _session = null;
    }

    private void Enter(TokenCall call)
    {
        _current = call;
        Volatile.Write(ref _enteredAt, _time.GetTimestamp());
        Volatile.Write(ref _phase, _phase + 1);
    }

    /// <returns>False: abandoned meanwhile.</returns>
    private bool Leave()
    {
        var phase = Volatile.Read(ref _phase);
        if (phase == -1 || Interlocked.CompareExchange(ref _phase, phase + 1, phase) != phase)
            return false;
        _current = null;
        return true;
    }
}
