namespace SignSvc.Signing.Backends.Budgets;

public enum BreakerState
{
    /// <summary>Calls pass.</summary>
    Closed,

    /// <summary>The backend counts as down: calls are refused.</summary>
    Open,

    /// <summary>One call is let through to see; also while nobody asks.</summary>
    HalfOpen,
}

/// <summary>A budget as metrics and readiness show it.</summary>
/// <param name="Name"><c>backend[/place]/family</c>.</param>
/// <param name="Rate">Calls per second that leave now; null: not limited.</param>
/// <param name="Quota">Calls per second as configured.</param>
/// <param name="Throttled">Tries that the backend throttled, since the start.</param>
/// <param name="Refused">Calls that were refused here, since the start: the queue was full or too long for the deadline.</param>
/// <param name="BreakerOpened">How often the breaker has opened, since the start.</param>
public sealed record BudgetState(
    string Name,
    double? Rate,
    double? Quota,
    double Tokens,
    int WaitingInteractive,
    int WaitingBulk,
    int InFlight,
    BreakerState Breaker,
    long Passed,
    long Throttled,
    long Refused,
    long BreakerOpened);
