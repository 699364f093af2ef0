using System.Globalization;
using System.Reflection;
using SignSvc.Load.Scenarios;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Tests;

/// <summary>load/README.md tells all there is.</summary>
public sealed class ReadmeTests
{
    private static readonly string Load = Path.Combine(Checkout.Root, "load");
    private static readonly string Text = File.ReadAllText(Path.Combine(Load, "README.md"));

    [Fact]
    public void Every_exit_code_is_told()
    {
        foreach (var code in typeof(ExitCode).GetFields(BindingFlags.Public | BindingFlags.Static))
            Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"\n| {code.GetValue(null)} | "), Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_scenario_is_told()
    {
        foreach (var scenario in AllScenarios.List)
            Assert.Contains($"\n| `{scenario.Name}` | ", Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_result_has_its_line_and_every_line_its_result()
    {
        var there = Directory.GetFiles(Path.Combine(Load, "results"), "*.md").Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal);
        var told = Text.Split('\n').Where(l => l.StartsWith("| [", StringComparison.Ordinal)).Select(l => l[(l.IndexOf("](results/", StringComparison.Ordinal) + 10)..l.IndexOf(')', StringComparison.Ordinal)]);
        Assert.Equal(there, told.Order(StringComparer.Ordinal));
    }
}
