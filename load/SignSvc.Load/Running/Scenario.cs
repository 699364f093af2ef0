using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Running;

/// <summary>What a scenario wants to find: it is started for it, unless a service is named.</summary>
public enum Need
{
    /// <summary>The service as it comes: SQLite, software.</summary>
    Service,

    /// <summary>The service with its keys in the AWS KMS emulator, which has a quota.</summary>
    ThrottledKms,
}

/// <summary>A day in the life of the service.</summary>
internal abstract class Scenario
{
    public abstract string Name { get; }

    /// <summary>Who calls, how, and what has to hold. One sentence.</summary>
    public abstract string About { get; }

    public virtual Need Need => Need.Service;

    /// <summary>What the rates may be multiplied by at the least; below it, it would ask something else than it says.</summary>
    public virtual double LeastRate => 0;

    public virtual TimeSpan WarmUp => TimeSpan.FromSeconds(5);

    /// <summary>Makes the keys and credentials that it needs, and says who calls.</summary>
    public abstract Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken);
}

/// <param name="Events">What happens meanwhile, each at its time from the begin of the measured time.</param>
/// <param name="Checks">What has to hold in the end beside the flows' thresholds.</param>
internal sealed record Plan(IReadOnlyList<Flow> Flows, IReadOnlyList<PlannedEvent> Events, IReadOnlyList<Check> Checks)
{
    public static Plan Of(params Flow[] flows) => new(flows, [], []);

    public TimeSpan Length => Flows.Max(f => f.Pace.Length);

    public Plan At(double time, double rate) => this with
    {
        Flows = [.. Flows.Select(f => f.At(time, rate))],
        Events = [.. Events.Select(e => e with { At = e.At * time })],
    };
}

internal sealed record PlannedEvent(TimeSpan At, string Says, Func<CancellationToken, Task> Act);

/// <param name="Judge">Null: it holds; else what is wrong.</param>
internal sealed record Check(string Says, Func<ScenarioResult, string?> Judge);
