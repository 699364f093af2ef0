using SignSvc.Load.Measuring;

namespace SignSvc.Load.Tests;

public sealed class HistogramTests
{
    /// <summary>Three digits.</summary>
    private const double Accuracy = 0.001;

    private static readonly double[] Percents = [0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Percentiles_are_those_of_the_sorted_values_to_three_digits(int seed)
    {
        var random = new Random(seed);
        var histogram = new Histogram();
        // From a tenth of a microsecond to half an hour, every size as often.
        var values = Enumerable.Range(0, 50_000).Select(_ => TimeSpan.FromTicks((long)Math.Pow(10, random.NextDouble() * 10.25))).ToList();
        values.ForEach(histogram.Record);
        values.Sort();

        foreach (var percent in Percents)
        {
            var exact = values[Math.Max(1, (int)Math.Ceiling(values.Count * percent / 100)) - 1];
            Assert.InRange(histogram.Percentile(percent).Ticks, exact.Ticks * (1 - Accuracy), exact.Ticks * (1 + Accuracy));
        }

        Assert.Equal(values.Count, histogram.Count);
        Assert.Equal(values[^1], histogram.Max);
        Assert.Equal(values.Average(v => v.Ticks), histogram.Mean.Ticks, tolerance: 1);
    }

    [Fact]
    public void Every_size_of_value_is_kept_within_three_digits()
    {
        for (var ticks = 1L; ticks <= TimeSpan.TicksPerHour; ticks = (ticks * 101 / 100) + 1)
        {
            foreach (var value in new[] { ticks - 1, ticks, ticks + 1 }.Where(v => v <= TimeSpan.TicksPerHour))
            {
                var histogram = One;
                histogram.Clear();
                histogram.Record(new TimeSpan(value));
                // Another one above it, so that the greatest value does not answer for the bucket.
                histogram.Record(TimeSpan.FromHours(1));
                Assert.InRange(histogram.Percentile(50).Ticks, value * (1 - Accuracy), value * (1 + Accuracy));
            }
        }
    }

    [Fact]
    public void Small_times_are_exact()
    {
        var histogram = new Histogram();
        for (var ticks = 0; ticks < 2048; ticks++)
            histogram.Record(new TimeSpan(ticks));

        Assert.Equal(new TimeSpan(1023), histogram.Percentile(50));
        Assert.Equal(new TimeSpan(2047), histogram.Percentile(100));
    }

    [Fact]
    public void What_is_beyond_an_hour_counts_as_an_hour_and_what_is_negative_as_nothing()
    {
        var histogram = new Histogram();
        histogram.Record(TimeSpan.FromDays(3));
        Assert.Equal(TimeSpan.FromHours(1), histogram.Max);
        histogram.Record(TimeSpan.FromSeconds(-1));
        Assert.Equal(TimeSpan.Zero, histogram.Percentile(50));
    }

    [Fact]
    public void Nothing_recorded_has_no_percentile()
    {
        Assert.Equal(TimeSpan.Zero, new Histogram().Percentile(99));
        Assert.Equal(TimeSpan.Zero, new Histogram().Mean);
    }

    [Fact]
    public async Task Nothing_is_lost_when_many_threads_record()
    {
        var histogram = new Histogram();
        await Task.WhenAll(Enumerable.Range(0, 4).Select(t => Task.Run(() =>
        {
            for (var i = 0; i < 50_000; i++)
                histogram.Record(new TimeSpan(i + t));
        })));

        Assert.Equal(200_000, histogram.Count);
        Assert.Equal(new TimeSpan(50_002), histogram.Max);
    }

    [Fact]
    public void Two_histograms_add_up_to_the_one_that_saw_it_all()
    {
        var (left, right, all) = (new Histogram(), new Histogram(), new Histogram());
        for (var i = 1; i < 10_000; i++)
        {
            (i % 3 == 0 ? left : right).Record(new TimeSpan(i * i));
            all.Record(new TimeSpan(i * i));
        }

        left.Add(right);
        Assert.Equal(all.Count, left.Count);
        Assert.Equal(all.Max, left.Max);
        Assert.All(Percents, p => Assert.Equal(all.Percentile(p), left.Percentile(p)));
    }

    private static readonly Histogram One = new();
}
