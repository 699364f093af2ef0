using System.Collections.Immutable;
using System.Text.Json;
using SignSvc.Backends.Pkcs11;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;

namespace SignSvc.Operations;

/// <param name="Name"><c>backend[/place]/family</c>.</param>
/// <param name="Rate">Calls per second that leave now, lowered by throttling; null: not limited.</param>
/// <param name="Quota">Calls per second as configured.</param>
/// <param name="Waiting">Calls that wait for their turn.</param>
/// <param name="Breaker"><c>closed</c>, <c>open</c> (calls are refused), <c>halfOpen</c> (one is let through to see).</param>
public sealed record BudgetHealth(string Name, double? Rate, double? Quota, int Waiting, int InFlight, BreakerState Breaker);

/// <param name="State"><c>ready</c>; <c>connecting</c>: calls wait; <c>unavailable</c>: they are refused.</param>
/// <param name="Waiting">Calls that wait for a session.</param>
public sealed record TokenHealth(string Name, string State, int Sessions, int Waiting);

/// <summary>A backend that is not in this process. One that is down makes its own keys unavailable and no others: the node stays ready.</summary>
/// <param name="State"><c>ok</c>; <c>limited</c>: it throttles, calls wait, or nobody has asked since it was down; <c>down</c>: it does not answer at one of its places at least.</param>
/// <param name="Budgets">Those that were used since the start.</param>
/// <param name="Tokens">Of a PKCS#11 module; null elsewhere. Why one is away is in the log.</param>
public sealed record BackendHealth(
    string Name, string State, ImmutableArray<BudgetHealth> Budgets, ImmutableArray<TokenHealth>? Tokens = null)
{
    public static ImmutableArray<BackendHealth>? Of(BackendSet backends)
    {
        var all = backends.All
            .Select(b => b switch { BudgetedBackend budgeted => Of(budgeted), Pkcs11Backend pkcs11 => Of(pkcs11), _ => null })
            .OfType<BackendHealth>().OrderBy(b => b.Name, StringComparer.Ordinal).ToImmutableArray();
        return all.IsEmpty ? null : all;
    }

    private static BackendHealth Of(Pkcs11Backend backend)
    {
        var tokens = backend.Status;
        var state = tokens.Any(t => t.State == Pkcs11TokenState.Unavailable) ? "down"
            : tokens.Any(t => t.State != Pkcs11TokenState.Ready || t.Waiting > 0) ? "limited"
            : "ok";
        return new BackendHealth(backend.Name, state, [], [.. tokens.Select(t => new TokenHealth(t.Token, NameOf(t.State), t.Sessions, t.Waiting))]);
    }

    private static string NameOf(Pkcs11TokenState state) => JsonNamingPolicy.CamelCase.ConvertName(state.ToString());

    private static BackendHealth Of(BudgetedBackend backend)
    {
        var budgets = backend.Budgets;
        var state = budgets.Any(b => b.Breaker == BreakerState.Open) ? "down"
            : budgets.Any(b => b.Breaker != BreakerState.Closed || b.Rate < b.Quota || b.WaitingInteractive + b.WaitingBulk > 0) ? "limited"
            : "ok";
        return new BackendHealth(
            backend.Name, state,
            [.. budgets.Select(b => new BudgetHealth(b.Name, b.Rate, b.Quota, b.WaitingInteractive + b.WaitingBulk, b.InFlight, b.Breaker))]);
    }
}
