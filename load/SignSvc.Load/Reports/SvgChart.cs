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
    private const int Height = 240;
    private const int Left = 64;
    private const int Top = 28;
    private const int Right = 12;
    private const int Bottom = 36;
    private const int GridLines = 4;

    private static readonly string[] Colours = ["#1f6feb", "#d1242f", "#2da44e", "#9a6700", "#8250df", "#57606a"];

    public static string Draw(string title, string xUnit, string yUnit, IReadOnlyList<Series> series)
    {
        var points = series.SelectMany(s => s.Points).ToList();
        if (points.Count == 0)
            return "";
        var xMost = Math.Max(points.Max(p => p.X), double.Epsilon);
        var xLeast = points.Min(p => p.X);
        var yMost = RoundUp(points.Max(p => p.Y));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{WebUtility.HtmlEncode(title)}\">");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"16\" class=\"title\">{WebUtility.HtmlEncode(title)}</text>");
        for (var i = 0; i <= GridLines; i++)
        {
            var y = Y(yMost * i / GridLines);
            svg.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" y1=\"{y:0.#}\" x2=\"{Width - Right}\" y2=\"{y:0.#}\" class=\"grid\"/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left - 6}\" y=\"{y + 4:0.#}\" text-anchor=\"end\">{yMost * i / GridLines:0.###}</text>");
        }

        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left}\" y=\"{Height - 20}\">{xLeast:0.##}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right}\" y=\"{Height - 20}\" text-anchor=\"end\">{xMost:0.##} {WebUtility.HtmlEncode(xUnit)}</text>");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width - Right}\" y=\"16\" text-anchor=\"end\">{WebUtility.HtmlEncode(yUnit)}</text>");
        for (var i = 0; i < series.Count; i++)
        {
            var colour = Colours[i % Colours.Length];
            var line = string.Join(' ', series[i].Points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{X(p.X):0.#},{Y(p.Y):0.#}")));
            svg.Append(CultureInfo.InvariantCulture, $"<polyline points=\"{line}\" stroke=\"{colour}\"/>");
            svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{Left + (i * 170)}\" y=\"{Height - 4}\" fill=\"{colour}\">{WebUtility.HtmlEncode(series[i].Name)}</text>");
        }

        return svg.Append("</svg>").ToString();

        double X(double value) => Left + ((value - xLeast) / Math.Max(xMost - xLeast, double.Epsilon) * (Width - Left - Right));

        double Y(double value) => Height - Bottom - (value / yMost * (Height - Top - Bottom));
    }

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
