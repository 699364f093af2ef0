using System.Collections.Immutable;

namespace SignSvc.Load.Arrivals;

public enum Arrival
{
    /// <summary>Evenly spaced, as schedulers call.</summary>
    Constant,

    /// <summary>Independent of each other, as people and pipelines call: bursts and gaps at the same mean rate.</summary>
    Poisson,
}

/// <summary>How arrivals come: rates, ramps, steps and pauses, one after another. They come whether or not earlier ones were answered.</summary>
public sealed record Pace
{
    private Pace(ImmutableArray<Phase> phases) => Phases = phases;

    public static Pace Begin { get; } = new([]);

    public ImmutableArray<Phase> Phases { get; }

    public TimeSpan Length => Phases.Aggregate(TimeSpan.Zero, (sum, p) => sum + p.Length);

    /// <summary>Time in which somebody comes: without pauses.</summary>
    public TimeSpan Busy => BusyUntil(Length);

    public Pace Steady(double rate, TimeSpan length) => Then(new Phase(length, rate, rate));

    public Pace Ramp(double from, double to, TimeSpan length) => Then(new Phase(length, from, to));

    public Pace Pause(TimeSpan length) => Then(new Phase(length, 0, 0));

    /// <summary>A rate after the other, each as long.</summary>
    public Pace Steps(TimeSpan each, params ReadOnlySpan<double> rates)
    {
        var pace = this;
        foreach (var rate in rates)
            pace = pace.Steady(rate, each);
        return pace;
    }

    /// <summary>The same shape with other lengths and rates.</summary>
    public Pace Scaled(double time, double rate) =>
        new([.. Phases.Select(p => new Phase(p.Length * time, p.FromRate * rate, p.ToRate * rate))]);

    public TimeSpan BusyUntil(TimeSpan at)
    {
        var busy = TimeSpan.Zero;
        foreach (var phase in Phases)
        {
            if (at <= TimeSpan.Zero)
                break;
            if (phase.Total > 0)
                busy += at < phase.Length ? at : phase.Length;
            at -= phase.Length;
        }

        return busy;
    }

    public double RateAt(TimeSpan at)
    {
        foreach (var phase in Phases)
        {
            if (at < phase.Length)
                return phase.RateAt(at);
            at -= phase.Length;
        }

        return 0;
    }

    /// <summary>When each arrival is due, from the begin, in order. Poisson: unit exponentials over the cumulated rate.</summary>
    public IEnumerable<TimeSpan> Times(Arrival kind, Random random)
    {
        var due = Gap();
        var (begin, before) = (TimeSpan.Zero, 0.0);
        foreach (var phase in Phases)
        {
            for (; due <= before + phase.Total && phase.Total > 0; due += Gap())
                yield return begin + phase.TimeOf(due - before);
            begin += phase.Length;
            before += phase.Total;
        }

        double Gap() => kind == Arrival.Constant ? 1 : -Math.Log(1 - random.NextDouble());
    }

    private Pace Then(Phase phase) => phase.Length > TimeSpan.Zero && phase is { FromRate: >= 0, ToRate: >= 0 }
        ? new Pace(Phases.Add(phase))
        : throw new ArgumentOutOfRangeException(nameof(phase), "A phase takes time, and rates are not negative.");
}
