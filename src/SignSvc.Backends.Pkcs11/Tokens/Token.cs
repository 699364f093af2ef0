using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// One configured token: the queue of calls for it and the bounded pool of workers. Calls wait here while the token is
/// away for a moment; while it stays away they are refused at once. <see cref="TokenLink"/> finds it again.
/// </summary>
internal sealed class Token : IDisposable
{
    private readonly Pkcs11Options _options;
    private readonly TimeProvider _time;
    private readonly TokenLink _link;
    private readonly ITimer _watch;

    /// <summary>Guards everything below. Never held while the module is called.</summary>
    private readonly Lock _gate = new();
    private readonly CallQueue _queue;
    private readonly Stack<TokenWorker> _idle = new();
    private readonly List<TokenWorker> _workers = [];
    private readonly SigningPace _pace;
    private readonly SessionCeiling _ceiling;
    private int _sessions;
    private int _abandoned;
    private int _keysGeneration;
    private bool _disposed;

    public Token(CryptokiModule module, Pkcs11Options options, Pkcs11TokenOptions tokenOptions, TimeProvider time)
    {
        _options = options;
        _ceiling = new SessionCeiling(tokenOptions.SessionLimit, time);
        _time = time;
        Name = tokenOptions.Name;
        Doubts = new KeyDoubts(time);
        _pace = new SigningPace(time);
        _queue = new CallQueue(options.QueueLimit);
        _link = new TokenLink(module, options, tokenOptions, time, LinkChanged);
        var period = TimeSpan.FromMilliseconds(Math.Clamp(options.OperationDeadlineMilliseconds / 20, 10, 100));
        _watch = time.CreateTimer(static token => ((Token)token!).Watch(), this, period, period);
        _link.ConnectIfDue();
    }

    /// <summary>Label or serial number or both, as configured.</summary>
    public string Name { get; }

    public KeyDoubts Doubts { get; }

    public bool TrustAsHardware => _options.TrustAsHardware;

    /// <summary>Moves when keys were destroyed: what sessions remember of objects is no longer to be trusted.</summary>
    public int KeysGeneration => Volatile.Read(ref _keysGeneration);

    public TokenConnection? Connection => _link.Connection;

    /// <summary>Connected, and no thread hangs inside the module for it.</summary>
    public bool IsSound => Connection is not null && Hung == 0;

    public Pkcs11TokenStatus Status
    {
        get
        {
            lock (_gate)
            {
                var state = Refusal() is not null ? Pkcs11TokenState.Unavailable
                    : Connection is null ? Pkcs11TokenState.Connecting
                    : Pkcs11TokenState.Ready;
                return new Pkcs11TokenStatus(
                    Name, state, _sessions, _queue.Count, Hung, _link.Connections, _link.Trouble?.Message);
            }
        }
    }

    public void ForgetKeys()
    {
        Doubts.Forget();
        Interlocked.Increment(ref _keysGeneration);
    }

    /// <summary>Takes the call on. Else says why not, and the call is still the caller's to end.</summary>
    public SigningException? Submit(TokenCall call)
    {
        lock (_gate)
        {
            if (Refusal() is { } refusal)
                return refusal;
            if (Connection is not null && !_pace.WillSoonServe(_queue.Count) && HasRoom)
                StartOn(call);
            else if (!_queue.TryEnqueue(call))
                return new SigningException(SigningFault.Overloaded, $"{_options.QueueLimit} calls wait for the token {Name}.");
            return null;
        }
    }

    /// <summary>A worker that could not do a call gives it back; it waits like a new one.</summary>
    public void PutBack(TokenCall call)
    {
        if (Submit(call) is { } refusal)
            call.TryFail(refusal);
    }

    /// <summary>The next call for a worker; null, and the worker is idle until it is given one.</summary>
    public TokenCall? NextCall(TokenWorker worker)
    {
        lock (_gate)
        {
            _pace.Ends(worker);
            if (_disposed || Connection is null)
                worker.Give(null);
            else if (_queue.Dequeue() is { } call)
                return BusyWith(worker, call);
            else
                _idle.Push(worker);
            return null;
        }
    }

    public TokenSession OpenSession(TokenConnection connection)
    {
        var session = new TokenSession(connection, connection.OpenSession(), this);
        Interlocked.Increment(ref _sessions);
        return session;
    }

    public void Close(TokenSession session, bool isDead)
    {
        Interlocked.Decrement(ref _sessions);
        session.Cryptoki.Close(isDead);
    }

    /// <summary>The token will open no more sessions (CKR_SESSION_COUNT): makes do with those there are.</summary>
    /// <returns>False where there are none.</returns>
    public bool GiveUpSession(TokenWorker worker)
    {
        lock (_gate)
        {
            if (_sessions == 0)
                return false;
            _ceiling.Lower(_workers.Count - 1);
            _workers.Remove(worker);
            worker.Give(null);
            return true;
        }
    }

    public void ConnectionLost(TokenConnection connection, CryptokiException error) =>
        Lose(connection, error.ToFault(Name), anew: false);

    /// <summary>
    /// Whether "no such key" may be untrue: of a connection that was given up meanwhile, and of a key that should be here
    /// (<see cref="KeyDoubts"/>), which makes the module look again.
    /// </summary>
    public bool Disbelieves(TokenConnection connection, TokenCall call, bool mayTryAgain)
    {
        if (!mayTryAgain || call.HandleOnRecord is not { } handle)
            return false;
        if (Connection != connection)
            return true;
        if (!Doubts.Doubt(handle, call.IsLastToAsk(this)))
            return false;
        Lose(connection, new SigningException(SigningFault.BackendUnavailable, $"The token {Name} does not show a key that it should have."), anew: true);
        return true;
    }

    /// <summary>A worker's thread has ended: it was told to, or what it hung in came back.</summary>
    public void Ended(TokenWorker worker)
    {
        lock (_gate)
        {
            _pace.Ends(worker);
            if (worker.IsAbandoned)
                _abandoned--;
            else
                _workers.Remove(worker);
            Dispatch();
        }
    }

    /// <summary>Ends what waits. Threads that hang are left behind.</summary>
    /// <returns>True when no thread can be inside the module any more.</returns>
    public bool Stop(TimeSpan patience)
    {
        _watch.Dispose();
        lock (_gate)
        {
            _disposed = true;
            _queue.FailAll(new SigningException(SigningFault.BackendUnavailable, "The PKCS#11 backend is stopping."));
            while (_idle.TryPop(out var worker))
                worker.Give(null);
        }

        var ended = Patience.Until(() => { lock (_gate) return _workers.Count + _abandoned == 0; }, patience);
        return _link.Stop(patience, moduleAnswers: ended);
    }

    public void Dispose() => Stop(TimeSpan.FromSeconds(2));

    /// <summary>Threads that were given up inside the module.</summary>
    private int Hung => Volatile.Read(ref _abandoned) + _link.Abandoned;

    private SigningException? Refusal()
    {
        if (_disposed)
            return new SigningException(SigningFault.BackendUnavailable, "The PKCS#11 backend is stopping.");
        var hung = Hung;
        if (hung >= _options.WorkerAbandonmentLimit)
        {
            return new SigningException(
                SigningFault.BackendUnavailable, $"The PKCS#11 module does not answer: {hung} calls to the token {Name} hang in it.");
        }

        return _link.Refusal;
    }

    /// <summary>With the connection go the sessions of idle workers, and the workers; the others end theirs when they are done.</summary>
    private void Lose(TokenConnection connection, SigningException trouble, bool anew)
    {
        _link.Lost(connection, trouble, anew);
        lock (_gate)
        {
            while (Connection is null && _idle.TryPop(out var worker))
                worker.Give(null);
        }
    }

    /// <summary>
    /// A worker is idle, or may be made. Beside threads that hang only as many are made as may hang with them: those inside
    /// may do so too and only not be seen to yet.
    /// </summary>
    private bool HasRoom =>
        _idle.Count > 0
        || (_workers.Count < _ceiling.Value
            && _workers.Count + Hung < Math.Max(_options.WorkerAbandonmentLimit, _ceiling.Value));

    private void StartOn(TokenCall call)
    {
        if (_idle.TryPop(out var idle))
        {
            idle.Give(BusyWith(idle, call));
            return;
        }

        var worker = new TokenWorker(this, _time, TimeSpan.FromMilliseconds(_options.OperationDeadlineMilliseconds));
        _workers.Add(worker);
        worker.Start(BusyWith(worker, call));
    }

    private TokenCall BusyWith(TokenWorker worker, TokenCall call)
    {
        if (call is SignCall)
            _pace.Begins(worker);
        return call;
    }

    private void LinkChanged()
    {
        lock (_gate)
        {
            if (Connection is not null)
                _ceiling.Reset();
            Dispatch();
        }
    }

    /// <summary>Hands waiting calls to whoever can take them; refuses them all where nothing will come of waiting.</summary>
    private void Dispatch()
    {
        if (Refusal() is { } refusal)
        {
            _queue.FailAll(refusal);
            return;
        }

        while (Connection is not null && _queue.Count > 0 && HasRoom)
            StartOn(_queue.Dequeue()!);
    }

    /// <summary>Every few ticks of the clock: deadlines, hung threads, the next try to connect.</summary>
    private void Watch()
    {
        var now = _time.GetTimestamp();
        lock (_gate)
        {
            if (_disposed)
                return;
            _queue.FailLate(now, Late);
            _ceiling.GrowIfDue(now);
            for (var i = _workers.Count - 1; i >= 0; i--)
            {
                if (!_workers[i].AbandonIfHung(now))
                    continue;
                _pace.Ends(_workers[i]);
                _workers.RemoveAt(i);
                _abandoned++;
            }

            Dispatch();
        }

        _link.ConnectIfDue();
    }

    private SigningException Late(TokenCall call) => new(
        Connection is null ? SigningFault.BackendUnavailable : SigningFault.Overloaded,
        _link.Trouble?.Message ?? $"No session of the token {Name} became free within {call.Allowance.TotalMilliseconds:0} ms.");
}
