using System.Collections.Immutable;

namespace SignSvc.Lifecycle.Tests;

internal enum KeyAction
{
    Enable,
    Disable,
    Rotate,
    Revoke,
    Delete,
    Cancel,
    Sign,
    Read,
}

/// <param name="Version">Of a revocation.</param>
/// <param name="Shown">What the answer says: the state of the key and of its versions, or the version that signed; null where it does not say.</param>
internal sealed record KeyCall(string Key, KeyAction Action, int Version, long Begin, long End, int Status, string? Shown);

/// <summary>What a key is to its callers, and whether one such key explains what they saw.</summary>
internal static class KeyModel
{
    public static bool Explains(IReadOnlyList<KeyCall> calls)
    {
        Assert.True(calls.Count <= 63, "The search keeps a history in one word.");
        return Search(calls, 0, new State("enabled", ["active"]), new HashSet<(ulong, string)>());
    }

    /// <summary>Every call that began before all calls that are still open had ended may come next.</summary>
    private static bool Search(IReadOnlyList<KeyCall> calls, ulong done, State state, HashSet<(ulong, string)> seen)
    {
        if (done == (1UL << calls.Count) - 1)
            return true;
        if (!seen.Add((done, state.ToString())))
            return false;
        var firstEnd = long.MaxValue;
        for (var i = 0; i < calls.Count; i++)
        {
            if ((done & (1UL << i)) == 0)
                firstEnd = Math.Min(firstEnd, calls[i].End);
        }

        for (var i = 0; i < calls.Count; i++)
        {
            if ((done & (1UL << i)) != 0 || calls[i].Begin > firstEnd)
                continue;
            foreach (var (status, shown, next) in Outcomes(state, calls[i]))
            {
                var fits = status == calls[i].Status
                    && (calls[i].Shown is null || string.Equals(shown, calls[i].Shown, StringComparison.Ordinal));
                if (fits && Search(calls, done | (1UL << i), next, seen))
                    return true;
            }
        }

        // The schedule works by itself: whoever signed was revoked, and its successor, announced where there is none, need not wait.
        return state.Is("enabled", "disabled") && !state.Has("active")
            && Search(calls, done, state.Has("announced") ? state.Activated() : state.Announced(), seen);
    }

    private static IEnumerable<(int Status, string? Shown, State Next)> Outcomes(State state, KeyCall call)
    {
        switch (call.Action)
        {
            case KeyAction.Read:
                yield return (200, state.ToString(), state);
                break;
            case KeyAction.Sign when state.Is("enabled") && state.Has("active"):
                yield return (200, $"{state.Versions.IndexOf("active") + 1}", state);
                break;
            case KeyAction.Enable when state.Is("enabled", "disabled"):
                yield return Become(state with { Key = "enabled" });
                break;
            case KeyAction.Disable when state.Is("enabled", "disabled"):
                yield return Become(state with { Key = "disabled" });
                break;
            case KeyAction.Delete when state.Is("enabled", "disabled"):
                yield return Become(state with { Key = "pendingDeletion" });
                break;
            case KeyAction.Cancel when state.Is("pendingDeletion"):
                yield return Become(state with { Key = "disabled" });
                break;
            case KeyAction.Rotate when state.Is("enabled"):
                if (!state.Has("announced"))
                    yield return Become(state.Announced());
                // One waits already, or one took over for somebody who asked at the same time.
                if (state.Has("announced") || state.Versions.IndexOf("active") > 0)
                    yield return Become(state);
                break;
            case KeyAction.Revoke when call.Version > state.Versions.Length:
                yield return (404, null, state);
                break;
            case KeyAction.Revoke:
                yield return Become(state.Revoked(call.Version));
                break;
            default:
                yield return (409, null, state);
                break;
        }
    }

    private static (int Status, string? Shown, State Next) Become(State state) => (200, state.ToString(), state);

    private sealed record State(string Key, ImmutableArray<string> Versions)
    {
        public bool Is(params ReadOnlySpan<string> states) => states.Contains(Key);

        public bool Has(string version) => Versions.IndexOf(version) >= 0;

        public State Announced() => this with { Versions = Versions.Add("announced") };

        /// <summary>Whoever signed is followed at once by the successor, which is made where none waits; but not in a key that is to go.</summary>
        public State Revoked(int number)
        {
            var was = Versions[number - 1];
            var revoked = this with { Versions = Versions.SetItem(number - 1, "revoked") };
            if (was is "revoked" || Is("pendingDeletion"))
                return revoked;
            // Where none is left, the one that signed was revoked before, in a key that was to go.
            return was is "active" || revoked.Versions.All(v => v is "revoked") ? revoked.Activated() : revoked;
        }

        public State Activated()
        {
            var next = Versions.IndexOf("announced");
            return this with { Versions = next < 0 ? Versions.Add("active") : Versions.SetItem(next, "active") };
        }

        public override string ToString() => $"{Key}:{string.Join(',', Versions)}";
    }
}
