using System.Text.RegularExpressions;

namespace SignSvc.Operations.Tests;

public sealed partial class RunbookTests
{
    private static readonly string Folder = Outside.File("deploy", "runbooks");

    public static TheoryData<string> Runbooks() => [.. Directory.GetFiles(Folder, "*.md").Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal)];

    public static TheoryData<string> GameDays() =>
        [.. Directory.GetFiles(Outside.File("deploy", "gamedays"), "*.sh").Select(f => Path.GetFileName(f)!).Where(f => f is not "lib.sh").Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Runbooks))]
    public async Task The_command_line_tool_understands_every_command_of_a_runbook(string runbook)
    {
        var text = await File.ReadAllTextAsync(Path.Combine(Folder, runbook), TestContext.Current.CancellationToken);
        var commands = Command().Matches(text).Select(m => m.Value.Trim().TrimEnd('`')).Where(c => c.Contains(' ', StringComparison.Ordinal)).Distinct(StringComparer.Ordinal).ToArray();
        if (runbook is not "README.md")
            Assert.NotEmpty(commands);
        foreach (var command in commands)
        {
            // Nobody serves at this address: what is understood fails for that, or for a file, and says nothing of --help.
            var ended = await Outside.RunAsync("apt-get install -y bash", "bash", ["-c", $"signsvc() {{ dotnet '{Outside.Cli}' \"$@\"; }}; {command}"], Variables, Path.GetTempPath());
            Assert.False(ended.Error.Contains("--help'", StringComparison.Ordinal), $"{command}\n{ended}");
            Assert.NotEqual(0, ended.ExitCode);
        }
    }

    [Theory]
    [MemberData(nameof(Runbooks))]
    public void A_runbook_says_what_is_seen_what_to_look_at_what_to_do_and_how_to_know_that_it_is_over(string runbook)
    {
        if (runbook is "README.md")
            return;
        var headings = File.ReadAllLines(Path.Combine(Folder, runbook)).Where(l => l.StartsWith("## ", StringComparison.Ordinal)).Select(l => l[3..].Split(':')[0]);
        Assert.Equal(["Symptom", "Check", "Act", "Verify"], headings.Distinct(StringComparer.Ordinal), StringComparer.Ordinal);
    }

    [Theory]
    [MemberData(nameof(GameDays))]
    public async Task On_a_game_day_the_runbook_brings_the_service_back(string script)
    {
        var ended = await Outside.RunAsync(
            "apt-get install -y awscli bash curl jq openssl softhsm2", "bash", [Outside.File("deploy", "gamedays", script)],
            new Dictionary<string, string>(StringComparer.Ordinal) { ["SIGNSVC_DLL"] = Outside.Service, ["SIGNSVC_CLI_DLL"] = Outside.Cli, ["KMS_EMULATOR_DLL"] = Outside.KmsEmulator });
        Assert.True(ended.ExitCode == 0, ended.ToString());
        Assert.Contains("well again after", ended.Output, StringComparison.Ordinal);
        TestContext.Current.SendDiagnosticMessage(ended.Output.Trim().Split('\n')[^1]);
    }

    private static Dictionary<string, string> Variables { get; } = new(StringComparer.Ordinal)
    {
        ["SIGNSVC_URL"] = "http://127.0.0.1:9",
        ["SIGNSVC_TOKEN"] = "nobody",
        ["KEY"] = "release",
        ["VERSION"] = "1",
        ["CREDENTIAL"] = "ci",
        ["SINCE"] = "1h",
        ["APPROVAL"] = "01900000-0000-7000-8000-000000000000",
        ["MODULE"] = "/nowhere/module.so",
        ["TOKEN"] = "signsvc",
        ["PIN_FILE"] = "/nowhere/pin",
    };

    /// <summary>In a block or between backticks, up to a pipe, a redirection or the end of the line.</summary>
    [GeneratedRegex(@"(?<=^|`)signsvc [^`|>\n]+", RegexOptions.Multiline | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Command();
}
