using System.Globalization;
using System.Net;
using System.Text;

namespace SignSvc.Load.Reports;

/// <param name="Points">x, y; in order of x.</param>
internal sealed record Series(string Name, IReadOnlyList<(double X, double Y)> Points);

/// <summary>A line chart as an SVG element, with nothing from outside: a report is one file.</summary>
internal static class SvgChart
{
    private const int Width = 760;
    private const int PlotHeight = 204;
    private const int Left = 64;
    private const int Top = 28;
    private const int Right = 12;
    private const int GridLines = 4;

    private const int AxisHeight = 20;
    private const int LegendRow = 15;
    private const int SwatchLength = 18;
    private const int LegendGap = 16;

    /// <summary>Of a letter at 11 px, rather too wide: no font is known where the page is made.</summary>
    private const double LetterWidth = 6.4;

    private static readonly string[] Colours = ["#1f6feb", "#d1242f", "#2da44e", "#9a6700", "#8250df", "#57606a"];

    public static string Draw(string title, string xUnit, string yUnit, IReadOnlyList<Series> series)
    {
        var points = series.SelectMany(s => s.Points).ToList();
        if (points.Count == 0)
            return "";
        var legend = Arrange(series);
        var height = PlotHeight + AxisHeight + ((legend[^1].Row + 1) * LegendRow) + 4;
        var xMost = Math.Max(points.Max(p => p.X), double.Epsilon);
        var xLeast = points.Min(p => p.X);
        var yMost = RoundUp(points.Max(p => p.Y));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {height}\" role=\"img\" aria-label=\"{WebUtility.HtmlEncode(title)}\">");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"16\" class=\"title\">{WebUtility.HtmlEncode(title)}</text>");
        for (var i = 0; i <= GridLines; i++)
        {
            var y = Y(yMost * i / GridLines);
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" y1=\"{y:0.#}\" x2=\"{Width - Right}\" y2=\"{y:0.#}\" class=\"grid\"/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 6}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{yMost * i / GridLines:0.###}</text>");
        }

        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{PlotHeight + 15}\">{xLeast:0.##}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right}\" y=\"{PlotHeight + 15}\" text-anchor=\"end\">{xMost:0.##} {WebUtility.HtmlEncode(xUnit)}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right}\" y=\"16\" text-anchor=\"end\">{WebUtility.HtmlEncode(yUnit)}</text>");
        for (var i = 0; i < series.Count; i++)
        {
            var colour = Colours[i % Colours.Length];
            // Where colours come again, lines are dashed.
            var dashes = i < Colours.Length ? "" : $" stroke-dasharray=\"{2 + (2 * (i / Colours.Length))} 3\"";
            var line = string.Join(' ', series[i].Points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{X(p.X):0.#},{Y(p.Y):0.#}")));
            svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{line}\" stroke=\"{colour}\"{dashes}/>");
            var (x, row) = legend[i];
            var y = PlotHeight + AxisHeight + ((row + 1) * LegendRow);
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{x:0.#}\" y1=\"{y - 4}\" x2=\"{x + SwatchLength - 4:0.#}\" y2=\"{y - 4}\" stroke=\"{colour}\" stroke-width=\"2\"{dashes}/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{x + SwatchLength:0.#}\" y=\"{y}\" fill=\"{colour}\">{WebUtility.HtmlEncode(series[i].Name)}</text>");
        }

        return svg.Append("</svg>").ToString();

        double X(double value) => Left + ((value - xLeast) / Math.Max(xMost - xLeast, double.Epsilon) * (Width - Left - Right));

        double Y(double value) => PlotHeight - (value / yMost * (PlotHeight - Top));
    }

    /// <summary>Where each name stands in the legend: as many in a row as there is room for. One that is wider than a row has it for itself.</summary>
    internal static IReadOnlyList<(double X, int Row)> Arrange(IReadOnlyList<Series> series)
    {
        var places = new List<(double X, int Row)>();
        var (x, row) = ((double)Left, 0);
        foreach (var name in series.Select(s => s.Name))
        {
            var width = WidthOf(name);
            if (x > Left && x + width > Width - Right)
                (x, row) = (Left, row + 1);
            places.Add((x, row));
            x += width + LegendGap;
        }

        return places;
    }

    internal static double WidthOf(string name) => SwatchLength + (name.Length * LetterWidth);

    /// <summary>To 1, 2 or 5 times a power of ten.</summary>
    private static double RoundUp(double value)
    {
        if (value <= 0)
            return 1;
        var power = Math.Pow(10, Math.Floor(Math.Log10(value)));
        return power * (value / power) switch
        {
            <= 1 => 1,
            <= 2 => 2,
            <= 5 => 5,
            _ => 10,
        };
    }
}
