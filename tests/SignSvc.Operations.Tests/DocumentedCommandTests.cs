using System.Text.RegularExpressions;

namespace SignSvc.Operations.Tests;

/// <summary>
/// What the documents call <c>signsvc …</c> is a command, and its options are the command's. (Runbooks' commands are run as they
/// are written by <see cref="RunbookTests"/>, those of the guides by SignSvc.Clients.Tests.)
/// </summary>
public sealed partial class DocumentedCommandTests
{
    public static TheoryData<string> Pages() =>
    [
        "README.md", "CONTRIBUTING.md", "SECURITY.md",
        .. new[] { "docs", "deploy" }.SelectMany(f => Directory.GetFiles(Outside.File(f), "*.md", SearchOption.AllDirectories))
            .Select(p => Path.GetRelativePath(Outside.Root, p)).Where(p => Command().IsMatch(File.ReadAllText(Outside.File(p)))).Order(StringComparer.Ordinal),
    ];

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_command_of_a_page_exists_with_its_options(string page)
    {
        var text = (await File.ReadAllTextAsync(Outside.File(page), TestContext.Current.CancellationToken)).Replace("\\\n", " ", StringComparison.Ordinal);
        foreach (var command in Command().Matches(text).Select(m => m.Value.Split(" #")[0]).Distinct(StringComparer.Ordinal))
        {
            var words = command.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..];
            var verbs = words.TakeWhile(w => Verb().IsMatch(w)).ToArray();
            var help = await Outside.RunAsync("see README.md", "dotnet", [Outside.Cli, .. verbs, "--help"]);
            Assert.True(help.ExitCode == 0, $"{command}\n{help}");
            var usage = Usage().Match(help.Output).Groups["words"].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            // Words behind the command's own are arguments, where it takes any.
            var path = usage.TakeWhile(w => Verb().IsMatch(w)).ToArray();
            Assert.True(verbs.Take(path.Length).SequenceEqual(path, StringComparer.Ordinal), command);
            Assert.True(verbs.Length == path.Length || usage.Any(w => w.Contains('<', StringComparison.Ordinal)), $"{command}: signsvc {string.Join(' ', path)} takes no {verbs.ElementAtOrDefault(path.Length)}.");
            Assert.True(verbs.Length > 0 || words is ["--help"] or ["…", ..], command);
            foreach (var option in Option().Matches(command).Select(m => m.Value).Where(o => verbs.Length > 0 || o is "--help"))
                Assert.True(help.Output.Contains(option, StringComparison.Ordinal), $"{command}: signsvc {string.Join(' ', path)} has no {option}.");
        }
    }

    /// <summary>In a block or between backticks, up to a pipe, a redirection or the end of the line.</summary>
    [GeneratedRegex(@"(?<=^|`)signsvc (?!\|)[^`|>\n]+", RegexOptions.Multiline | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Command();

    [GeneratedRegex("^[a-z][a-z-]*$", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Verb();

    [GeneratedRegex(@"(?<=[ \[])--[a-z][a-z-]+", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Option();

    [GeneratedRegex(@"Usage:\s+signsvc (?<words>.*)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Usage();
}
