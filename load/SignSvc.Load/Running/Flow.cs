using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;

namespace SignSvc.Load.Running;

/// <summary>One call of a flow, and how long its caller thinks before it.</summary>
public sealed record Step(Func<Call> Call, TimeSpan Think = default);

/// <summary>Callers of one kind: they come at a pace, whether or not those before have their answers, and do their steps.</summary>
public sealed record Flow(string Name)
{
    public required Pace Pace { get; init; }

    public Arrival Arrival { get; init; } = Arrival.Poisson;

    /// <summary>What each caller does, in order; it stops at the first that fails.</summary>
    public required IReadOnlyList<Step> Steps { get; init; }

    /// <summary>Callers at once. One more is not sent, and counted: unbounded, the driver would measure itself.</summary>
    public int OutstandingLimit { get; init; } = 512;

    /// <summary>Statuses beside 2xx and 304 that are no failure here, such as a refusal that a flood has earned.</summary>
    public IReadOnlySet<int> Refusals { get; init; } = new HashSet<int>();

    /// <summary>Looks at an answer's body; what it returns is a failure. Null: nobody looks, and bodies are thrown away.</summary>
    public Func<Answer, string?>? Inspect { get; init; }

    public IReadOnlyList<Threshold> Thresholds { get; init; } = [];

    /// <summary>Null: the protocol of the run.</summary>
    public Protocol? Protocol { get; init; }

    public Flow At(double time, double rate) => this with
    {
        Pace = Pace.Scaled(time, rate),
    };
}

/// <summary>What has to hold of a flow, in words and as a rule. Bounds on time are for a quiet machine.</summary>
public sealed record Threshold(string Says, Func<FlowResult, bool> Holds)
{
    public static Threshold NoFailures { get; } = new("calls are answered, and none fails", f => f.Failed == 0 && f.Succeeded + f.Refused > 0);

    public static Threshold EveryCallSucceeds { get; } = new("no call is refused or fails", f => f.Succeeded > 0 && f.Refused + f.Failed == 0);

    /// <summary>Where nobody is refused, it is not known.</summary>
    public static Threshold RefusalsSayWhen { get; } = new("there are refusals, and each says when to come again (Retry-After)", f => f.Refused > 0 && f.RefusedWithoutRetryAfter == 0);

    public static Threshold EverythingSent { get; } = new("every call is sent", f => f.NotSent == 0);

    public static Threshold P99Within(TimeSpan limit) =>
        new($"99 % within {limit.TotalMilliseconds:0.#} ms of their intended time", f => f.Succeeded > 0 && f.Latency.Percentile(99) <= limit);

    public static Threshold P50Within(TimeSpan limit) =>
        new($"50 % within {limit.TotalMilliseconds:0.#} ms of their intended time", f => f.Succeeded > 0 && f.Latency.Percentile(50) <= limit);

    public static Threshold GoodputAtLeast(double perSecond) =>
        new($"at least {perSecond:0.#} a second succeed", f => f.Goodput >= perSecond);
}
