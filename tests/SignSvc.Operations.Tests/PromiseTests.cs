using System.Text.RegularExpressions;

namespace SignSvc.Operations.Tests;

/// <summary><c>docs/promises.md</c> names a test for each promise, and the test is there.</summary>
public sealed partial class PromiseTests
{
    [Fact]
    public async Task Every_promise_has_tests_and_every_test_it_names_exists()
    {
        var sources = Directory.EnumerateFiles(Outside.File("tests"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains("/obj/", StringComparison.Ordinal))
            .ToLookup(f => Path.GetFileName(f).Split('.')[0], StringComparer.Ordinal);
        var promises = (await File.ReadAllLinesAsync(Outside.File("docs", "promises.md"), TestContext.Current.CancellationToken))
            .Where(line => Promise().IsMatch(line)).ToArray();

        Assert.Equal(Enumerable.Range(1, 30), promises.Select(p => int.Parse(p.Split('|')[1], System.Globalization.CultureInfo.InvariantCulture)));
        foreach (var promise in promises)
        {
            var named = Named().Matches(promise).Select(m => (Class: m.Groups["class"].Value, Method: m.Groups["method"].Value)).ToArray();
            Assert.True(named.Length > 0, $"No test is named: {promise}");
            Assert.All(named, n => Assert.True(
                sources[n.Class].Any(f => File.ReadAllText(f).Contains($" {n.Method}(", StringComparison.Ordinal)), $"There is no test {n.Class}.{n.Method}."));
        }
    }

    [GeneratedRegex(@"^\| [0-9]+ \|", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Promise();

    [GeneratedRegex("`(?<class>[A-Z][A-Za-z0-9]+)\\.(?<method>[A-Z]\\w+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Named();
}
