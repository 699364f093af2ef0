using SignSvc.Load.Reports;

namespace SignSvc.Load.Tests;

public sealed class SvgChartTests
{
    private const int Width = 760;

    [Fact]
    public void Names_in_a_legend_neither_meet_nor_leave_the_chart()
    {
        var names = new[] { "newest 100", "by audit id", "a caller who came 20 times, first of all", "that caller, a key and an action", "one digest", "a digest that never was", "what is denied", "a token" };
        var places = SvgChart.Arrange([.. names.Select(Named)]);

        Assert.True(places[^1].Row > 0, "All of them in one row?");
        for (var i = 0; i < names.Length; i++)
        {
            var right = places[i].X + SvgChart.WidthOf(names[i]);
            Assert.InRange(right, 0, Width);
            if (i + 1 < names.Length)
                Assert.True(places[i + 1].Row == places[i].Row + 1 || (places[i + 1].Row == places[i].Row && places[i + 1].X > right), names[i]);
        }
    }

    [Fact]
    public void A_chart_is_as_high_as_its_legend_needs()
    {
        Assert.Equal(Height(Draw(1)), Height(Draw(2)));
        Assert.True(Height(Draw(20)) > Height(Draw(2)));

        static string Draw(int names) => SvgChart.Draw("title", "s", "ms", [.. Enumerable.Range(0, names).Select(i => Named($"a name of some length, {i}"))]);
    }

    [Fact]
    public void Two_lines_of_one_colour_are_told_apart_by_dashes()
    {
        var lines = SvgChart.Draw("title", "s", "ms", [.. Enumerable.Range(0, 12).Select(i => Named($"{i}"))])
            .Split("<polyline ")[1..].Select(l => l[(l.IndexOf(" stroke=", StringComparison.Ordinal))..l.IndexOf("/>", StringComparison.Ordinal)]);
        Assert.Equal(12, lines.Distinct(StringComparer.Ordinal).Count());
    }

    private static Series Named(string name) => new(name, [(0, 1), (1, 2)]);

    private static int Height(string svg)
    {
        var box = svg[(svg.IndexOf("viewBox=\"", StringComparison.Ordinal) + 9)..];
        return int.Parse(box[..box.IndexOf('"', StringComparison.Ordinal)].Split(' ')[3], System.Globalization.CultureInfo.InvariantCulture);
    }
}
