using SignSvc.Load.Measuring;
using SignSvc.Load.Ratios;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;
using SignSvc.Load.Surroundings;

namespace SignSvc.Load.Tests;

/// <summary>What is not installed is named, with the command that installs it.</summary>
public sealed class MissingToolTests
{
    private const string NoTool = "signsvc-no-such-tool";

    private static readonly Dictionary<string, string> NoSettings = new(StringComparer.Ordinal);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_program_that_is_not_there_is_named()
    {
        var run = await Assert.ThrowsAsync<MissingToolException>(() => ChildProcess.RunAsync(NoTool, [], Cancel));
        Assert.StartsWith($"{NoTool} is missing: ", run.Message, StringComparison.Ordinal);
        var started = await Assert.ThrowsAsync<MissingToolException>(() => ChildProcess.StartAsync(NoTool, [], NoSettings, _ => true, Cancel));
        Assert.Equal(run.Message, started.Message);
    }

    [Theory]
    [InlineData("openssl", "apt-get install openssl")]
    [InlineData("gcc", "apt-get install gcc")]
    [InlineData("softhsm2-util", "apt-get install softhsm2")]
    [InlineData("node", "tests/install-tools.sh")]
    [InlineData("npm", "tests/install-tools.sh")]
    public void Each_says_how_it_is_installed(string tool, string command) =>
        Assert.Contains($"{tool} is missing: {command}", new MissingToolException(tool).Message, StringComparison.Ordinal);

    [Fact]
    public async Task A_program_that_fails_is_told_with_what_it_wrote()
    {
        var fault = await Assert.ThrowsAsync<InvalidOperationException>(() => ChildProcess.RunAsync("sh", ["-c", "echo no such luck >&2; exit 3"], Cancel));
        Assert.Equal("sh ended with 3: no such luck", fault.Message.Trim());
        var ended = await Assert.ThrowsAsync<InvalidOperationException>(() => ChildProcess.StartAsync("sh", ["-c", "exit 4"], NoSettings, _ => false, Cancel));
        Assert.StartsWith("sh ended with 4", ended.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ratios_without_what_stands_beside_the_service_have_their_table_and_do_not_pass_the_check()
    {
        var machine = await Machine.DescribeAsync(TimeProvider.System, Cancel);
        var table = new FigureTable(new Measurement(
            machine, "test", 0, [new Round(Limits.Raw, 1, 0, TimeSpan.FromSeconds(1), TimeSpan.FromMicroseconds(25), default, default)], [TimeSpan.FromSeconds(1)],
            PeakResidentBytes: 1, Result(machine, HalfLoad.FlowName), new Histogram(), Result(machine, KmsThrottled.Crowd, KmsThrottled.Tenant, KmsThrottled.Within),
            ["openssl speed: openssl is missing: apt-get install openssl"]));

        Assert.False(table.AllMet);
        var absent = table.Figures.Where(f => f.Met is null).Select(f => f.What).ToList();
        Assert.Contains("tokens of batches of 1,000, a second of two processors", absent, StringComparer.Ordinal);
        Assert.Contains("assured over SoftHSM2, 1 at once: rate", absent, StringComparer.Ordinal);
        Assert.Contains("server CPU of a single token, 16 connections", absent, StringComparer.Ordinal);
        Assert.Contains("Not measured: openssl speed: openssl is missing: apt-get install openssl.", table.Markdown(), StringComparison.Ordinal);
        Assert.Contains("| not measured |", table.Markdown(), StringComparison.Ordinal);
    }

    private static ScenarioResult Result(Machine machine, params string[] flows) =>
        new("test", "", "", machine, "Http1", [.. flows.Select(f => new FlowResult(f))], [], [], 0);
}
