using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>
/// Something to be done in a session. It ends exactly once, whoever is first: the worker that did it, the caller that
/// cancels, or the watch over deadlines. Objects may be used again for another call, so an end is claimed for the use
/// that was seen, never for the one that came after.
/// </summary>
internal abstract class TokenCall
{
    /// <summary>Twice the number of the use, plus one once it has ended.</summary>
    private long _state;

    /// <summary>For people: <c>sign</c>, <c>generate</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Whether doing it again after a fault in the middle does no harm.</summary>
    public abstract bool IsRepeatable { get; }

    /// <summary>Timestamp of the injected clock after which nobody waits for it.</summary>
    public long Deadline { get; protected set; }

    /// <summary>How long the module may take for it before its thread counts as hung.</summary>
    public TimeSpan Allowance { get; protected set; }

    public int Attempts { get; set; }

    public bool HasEnded => (Volatile.Read(ref _state) & 1) != 0;

    /// <summary>Does it and returns the result, on the thread of the session. Nothing of it may be seen until it has ended.</summary>
    public abstract object? Execute(TokenSession session);

    /// <summary>Whether a result that nobody waits for any more is taken back, by <see cref="Undo"/>.</summary>
    public virtual bool CanUndo => false;

    /// <summary>The result came late, or its caller went away: what was made goes again. On the thread of the session.</summary>
    public virtual void Undo(TokenSession session, object? result)
    {
    }

    /// <summary>The handle of the key that it needs, where that is on the service's record; null where it merely asks.</summary>
    public virtual string? HandleOnRecord => null;

    /// <summary>Whether no other token can have the key.</summary>
    public virtual bool IsLastToAsk(Token at) => false;

    /// <summary>Gives the call to another token that may do it. False: there is none.</summary>
    public virtual bool GoElsewhere(Token from) => false;

    /// <summary>The token has no such key. The call goes on elsewhere or ends.</summary>
    public virtual void KeyIsMissing(Token from, KeyNotHereException why) =>
        TryFail(new SigningException(SigningFault.KeyNotUsable, why.Message, why));

    public bool TrySucceed(object? result)
    {
        if (!TryEnd())
            return false;
        OnSuccess(result);
        return true;
    }

    public bool TryFail(Exception error)
    {
        if (!TryEnd())
            return false;
        OnFailure(error, byWorker: true);
        return true;
    }

    /// <summary>For whoever may hold the object beyond its use: cancellation and the watch. The object is not used again.</summary>
    public bool TryFailFromOutside(Exception error)
    {
        if (!TryEnd())
            return false;
        OnFailure(error, byWorker: false);
        return true;
    }

    /// <summary>Ends the call if its deadline has passed.</summary>
    public void FailIfLate(long now, Func<SigningException> error)
    {
        var seen = Volatile.Read(ref _state);
        if ((seen & 1) == 0 && now > Deadline && Interlocked.CompareExchange(ref _state, seen | 1, seen) == seen)
            OnFailure(error(), byWorker: false);
    }

    protected abstract void OnSuccess(object? result);

    protected abstract void OnFailure(Exception error, bool byWorker);

    /// <summary>Makes an ended object a new call. Only for one that its worker ended and its caller has consumed.</summary>
    protected void BeginNextUse()
    {
        Attempts = 0;
        Volatile.Write(ref _state, (_state | 1) + 1);
    }

    private bool TryEnd()
    {
        var seen = Volatile.Read(ref _state);
        return (seen & 1) == 0 && Interlocked.CompareExchange(ref _state, seen | 1, seen) == seen;
    }
}

/// <summary>A call that is no signature: rare, so it costs what it costs.</summary>
internal sealed class TaskCall<T> : TokenCall
{
    private readonly TaskCompletionSource<T> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Func<TokenSession, T> _body;
    private readonly Action<TokenSession, T>? _undo;

    public TaskCall(
        string name, bool isRepeatable, Func<TokenSession, T> body, long deadline, TimeSpan allowance, Action<TokenSession, T>? undo = null,
        string? handleOnRecord = null)
    {
        HandleOnRecord = handleOnRecord;
        _undo = undo;
        Name = name;
        IsRepeatable = isRepeatable;
        _body = body;
        Deadline = deadline;
        Allowance = allowance;
    }

    public override string Name { get; }

    public override bool IsRepeatable { get; }

    public Task<T> Completion => _completion.Task;

    public override bool CanUndo => _undo is not null;

    public override string? HandleOnRecord { get; }

    /// <summary>A call with a handle goes to one token alone.</summary>
    public override bool IsLastToAsk(Token at) => true;

    public override object? Execute(TokenSession session) => _body(session);

    public override void Undo(TokenSession session, object? result) => _undo!(session, (T)result!);

    protected override void OnSuccess(object? result) => _completion.SetResult((T)result!);

    protected override void OnFailure(Exception error, bool byWorker)
    {
        if (error is OperationCanceledException canceled)
            _completion.SetCanceled(canceled.CancellationToken);
        else
            _completion.SetException(error);
    }
}
