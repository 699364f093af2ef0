using System.Globalization;
using System.Text.RegularExpressions;

namespace SignSvc.Operations.Tests;

/// <summary>One answer of <c>/metrics</c> in the classic format.</summary>
internal sealed partial class Scrape(string text)
{
    public string Text => text;

    /// <summary>Every series name that can be queried, those that had nothing to say this time too.</summary>
    public IReadOnlySet<string> Names { get; } = text.Split('\n')
        .Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal))
        .Select(l => l.Split(' '))
        .SelectMany(l => l[3] is "histogram" ? new[] { $"{l[2]}_bucket", $"{l[2]}_sum", $"{l[2]}_count" } : [l[2]])
        .ToHashSet(StringComparer.Ordinal);

    public static async Task<Scrape> OfAsync(HttpClient client) => new((await client.GetJsonAsync("/metrics")).Text);

    /// <summary>The sum of a series over all attributes that are not named.</summary>
    public double Sum(string name, params string[] attributes) => text.Split('\n')
        .Where(l => l.StartsWith($"{name}{{", StringComparison.Ordinal) || l.StartsWith($"{name} ", StringComparison.Ordinal))
        .Where(l => attributes.All(a => l.Contains(a, StringComparison.Ordinal)))
        .Sum(l => double.Parse(l[(l.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture));

    /// <summary>Names in a PromQL expression that SignSvc, ASP.NET Core or .NET would have to have.</summary>
    public static IEnumerable<string> NamesIn(string expression) => MetricName().Matches(Attributes().Replace(expression, "")).Select(m => m.Value);

    /// <summary>What stands in braces, and lists of attributes.</summary>
    [GeneratedRegex(@"\{[^}]*\}|\b(by|on|without|ignoring|group_left|group_right) *\([^)]*\)", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Attributes();

    [GeneratedRegex(@"(?<![a-z_:.])(signsvc:[a-z0-9_:]+|(signsvc|http_server|kestrel|dotnet)_[a-z0-9_]+)", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex MetricName();
}
