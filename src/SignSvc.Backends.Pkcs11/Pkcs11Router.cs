using System.Collections.Concurrent;
using SignSvc.Backends.Pkcs11.Tokens;
using SignSvc.Signing;

namespace SignSvc.Backends.Pkcs11;

/// <summary>
/// Sends a signature to one of the tokens: to those that hold the key in turn, and past one that fails. Which tokens
/// lack a key is learnt by asking and remembered for a while, since an operator may copy the key there.
/// </summary>
internal sealed class Pkcs11Router(IReadOnlyList<Token> tokens, TimeProvider time)
{
    private const int MostRemembered = 100_000;
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, (ulong Missing, long At)> _missing = new(StringComparer.Ordinal);
    private readonly ulong _all = (1UL << tokens.Count) - 1;
    private uint _turn;

    public void Send(SignCall call)
    {
        if (tokens.Count == 1)
        {
            if (tokens[0].Submit(call) is { } refusal)
                call.TryFail(refusal);
            return;
        }

        // Read before the call is given away: from then on it is somebody else's.
        if (_missing.TryGetValue(call.Handle, out var known) && known.Missing != _all && time.GetElapsedTime(known.At) < Memory)
            call.Missing = known.Missing;
        if (TrySend(call, out var refused))
            return;
        call.TryFail(refused ?? new SigningException(SigningFault.KeyNotUsable, "No token has such a key."));
    }

    /// <summary>After a token failed at it. False: no other may do it, so it waits for the one that failed.</summary>
    public bool SendOn(SignCall call, Token from)
    {
        call.Failed |= Bit(from);
        return TrySend(call, out _);
    }

    public bool IsLastToAsk(SignCall call, Token at) => (call.Missing | Bit(at)) == _all;

    public void KeyIsMissing(SignCall call, Token from, string why)
    {
        call.Missing |= Bit(from);
        if (tokens.Count > 1)
            Remember(call.Handle, call.Missing);
        if (TrySend(call, out var refused))
            return;
        // A token that could not be asked may have the key.
        if ((call.Failed & ~call.Missing) != 0 && refused is null)
            refused = new SigningException(SigningFault.BackendUnavailable, $"{why} Another token could not be asked.");
        call.TryFail(refused ?? new SigningException(SigningFault.KeyNotUsable, why));
    }

    /// <summary>In turn: first to those that are sound, then to those that are at least waited for.</summary>
    private bool TrySend(SignCall call, out SigningException? refused)
    {
        refused = null;
        var start = Interlocked.Increment(ref _turn);
        var left = _all & ~(call.Missing | call.Failed);
        for (var pass = 0; pass < 2; pass++)
        {
            for (uint i = 0; i < tokens.Count && left != 0; i++)
            {
                var index = (int)((start + i) % tokens.Count);
                if ((left >> index & 1) == 0 || (pass == 0 && !tokens[index].IsSound))
                    continue;
                left &= ~(1UL << index);
                if (tokens[index].Submit(call) is not { } refusal)
                    return true;
                refused = refusal;
            }
        }

        return false;
    }

    private void Remember(string handle, ulong missing)
    {
        if (_missing.Count >= MostRemembered)
            _missing.Clear();
        _missing[handle] = (missing, time.GetTimestamp());
    }

    private ulong Bit(Token token)
    {
        for (var i = 0; i < tokens.Count; i++)
        {
            if (ReferenceEquals(tokens[i], token))
                return 1UL << i;
        }

        throw new InvalidOperationException($"{token.Name} is none of the tokens here.");
    }
}
