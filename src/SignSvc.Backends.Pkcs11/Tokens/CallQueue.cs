using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11.Tokens;

/// <summary>Calls that wait for a session of a token, the first first. Guarded by the lock of its token.</summary>
internal sealed class CallQueue(int limit)
{
    private readonly Queue<TokenCall> _calls = new();

    public int Count => _calls.Count;

    /// <returns>False where as many wait as may.</returns>
    public bool TryEnqueue(TokenCall call)
    {
        if (_calls.Count >= limit)
            return false;
        _calls.Enqueue(call);
        return true;
    }

    public TokenCall? Dequeue() => _calls.TryDequeue(out var call) ? call : null;

    public void FailAll(SigningException refusal)
    {
        while (_calls.TryDequeue(out var call))
            call.TryFail(refusal);
    }

    /// <summary>Also drops calls that ended while they waited, which would fill the queue while the token is away.</summary>
    public void FailLate(long now, Func<TokenCall, SigningException> refusal)
    {
        for (var left = _calls.Count; left > 0; left--)
        {
            var call = _calls.Dequeue();
            call.FailIfLate(now, () => refusal(call));
            if (!call.HasEnded)
                _calls.Enqueue(call);
        }
    }
}
