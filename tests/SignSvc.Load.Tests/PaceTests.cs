using SignSvc.Load.Arrivals;

namespace SignSvc.Load.Tests;

public sealed class PaceTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(0.001);

    [Fact]
    public void A_steady_rate_is_evenly_spaced()
    {
        var times = Pace.Begin.Steady(100, TimeSpan.FromSeconds(2)).Times(Arrival.Constant, new Random(1)).ToList();

        Assert.Equal(200, times.Count);
        Assert.All(times.Select((t, i) => (t, i)), x => Assert.Equal(10 * (x.i + 1), x.t.TotalMilliseconds, 3));
    }

    [Fact]
    public void A_ramp_has_the_rate_that_is_due_at_each_time()
    {
        var times = Pace.Begin.Ramp(0, 1000, TimeSpan.FromSeconds(10)).Times(Arrival.Constant, new Random(1)).ToList();

        Assert.InRange(times.Count, 4999, 5000);
        // Until t seconds 50·t² are due.
        foreach (var second in new[] { 1, 3, 5, 9 })
            Assert.InRange(times.Count(t => t <= TimeSpan.FromSeconds(second)), (50 * second * second) - 1, (50 * second * second) + 1);
    }

    [Fact]
    public void A_falling_ramp_ends_where_it_should()
    {
        var times = Pace.Begin.Ramp(1000, 0, TimeSpan.FromSeconds(10)).Times(Arrival.Constant, new Random(1)).ToList();

        Assert.InRange(times.Count, 4999, 5000);
        Assert.InRange(times.Count(t => t <= TimeSpan.FromSeconds(5)), 3749, 3751);
        Assert.True(times[^1] <= TimeSpan.FromSeconds(10));
    }

    [Fact]
    public void Nobody_comes_in_a_pause_and_the_rest_comes_after_it()
    {
        var pace = Pace.Begin.Steady(10, TimeSpan.FromSeconds(1)).Pause(TimeSpan.FromSeconds(5)).Steps(TimeSpan.FromSeconds(1), 20, 40);
        var times = pace.Times(Arrival.Constant, new Random(1)).ToList();

        Assert.Equal(TimeSpan.FromSeconds(8), pace.Length);
        Assert.Equal(70, times.Count);
        Assert.DoesNotContain(times, t => t > TimeSpan.FromSeconds(1) + Tick && t < TimeSpan.FromSeconds(6));
        Assert.Equal(20, times.Count(t => t > TimeSpan.FromSeconds(6) && t <= TimeSpan.FromSeconds(7) + Tick));
    }

    [Fact]
    public void Poisson_arrivals_have_the_rate_and_the_spread_of_their_name()
    {
        const int seconds = 2000;
        const double rate = 20;
        var times = Pace.Begin.Steady(rate, TimeSpan.FromSeconds(seconds)).Times(Arrival.Poisson, new Random(7)).ToList();

        // Counts of a Poisson process have their mean as their variance.
        var counts = times.GroupBy(t => (int)t.TotalSeconds).ToDictionary(g => g.Key, g => g.Count());
        var perSecond = Enumerable.Range(0, seconds).Select(s => (double)counts.GetValueOrDefault(s)).ToList();
        var mean = perSecond.Average();
        var variance = perSecond.Average(c => (c - mean) * (c - mean));
        Assert.InRange(mean, rate * 0.97, rate * 1.03);
        Assert.InRange(variance, rate * 0.85, rate * 1.15);
        // Gaps are exponential: 1/e of them are longer than the mean.
        var gaps = times.Skip(1).Zip(times, (b, a) => (b - a).TotalSeconds).ToList();
        Assert.InRange(gaps.Count(g => g > 1 / rate) / (double)gaps.Count, 0.35, 0.385);
    }

    [Fact]
    public void Arrivals_are_in_order_and_the_same_for_the_same_seed()
    {
        var pace = Pace.Begin.Ramp(5, 300, TimeSpan.FromSeconds(4)).Pause(TimeSpan.FromSeconds(1)).Ramp(300, 5, TimeSpan.FromSeconds(4));
        var times = pace.Times(Arrival.Poisson, new Random(3)).ToList();

        Assert.Equal(times.Order(), times);
        Assert.Equal(times, pace.Times(Arrival.Poisson, new Random(3)));
        Assert.All(times, t => Assert.InRange(t, TimeSpan.Zero, pace.Length));
    }

    [Fact]
    public void A_scaled_pace_has_the_same_shape()
    {
        var pace = Pace.Begin.Ramp(10, 30, TimeSpan.FromSeconds(4)).Scaled(time: 0.5, rate: 2);

        Assert.Equal(TimeSpan.FromSeconds(2), pace.Length);
        Assert.Equal(40, pace.RateAt(TimeSpan.FromSeconds(1)), 6);
        Assert.Equal(0, pace.RateAt(TimeSpan.FromSeconds(3)));
    }
}
