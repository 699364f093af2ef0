using System.Text.RegularExpressions;

namespace SignSvc.Operations.Tests;

public sealed partial class AlarmTests
{
    private const string InstallPrometheus = "apt-get install -y prometheus";

    private static readonly string Folder = Outside.File("deploy", "prometheus");

    /// <summary>The names of all of them.</summary>
    internal static IReadOnlyList<string> Alarms { get; } = [.. Alarm().Matches(File.ReadAllText(Path.Combine(Folder, "alerts.yml"))).Select(m => m.Groups["name"].Value)];

    [Theory]
    [InlineData("faults.yml")]
    [InlineData("days.yml")]
    public async Task Every_alarm_fires_on_its_fault_and_not_on_a_normal_day(string file)
    {
        var run = await Outside.RunAsync(InstallPrometheus, "promtool", ["test", "rules", Path.Combine(Folder, "tests", file)]);
        Assert.True(run.ExitCode == 0, run.ToString());
    }

    [Fact]
    public void Every_alarm_has_a_test_in_which_it_fires_and_a_runbook_that_exists()
    {
        var rules = File.ReadAllText(Path.Combine(Folder, "alerts.yml"));
        var tests = string.Concat(Directory.GetFiles(Path.Combine(Folder, "tests")).Select(File.ReadAllText));
        Assert.NotEmpty(Alarms);
        Assert.All(Alarms, alarm => Assert.Contains($"alertname=\"{alarm}\"", tests, StringComparison.Ordinal));

        var runbooks = Runbook().Matches(rules).Select(m => m.Groups["name"].Value).ToArray();
        Assert.Equal(Alarms.Count, runbooks.Length);
        Assert.All(runbooks, name => Assert.True(File.Exists(Outside.File("deploy", "runbooks", name)), name));
    }

    /// <summary>An alarm also keeps quiet where what it looks at is missing: on the normal day everything is there.</summary>
    [Fact]
    public void The_normal_day_has_every_series_that_an_alarm_looks_at()
    {
        // There while a deletion is scheduled, and on a normal day none is.
        string[] absent = ["signsvc_key_deletion_remaining_seconds"];
        var days = File.ReadAllText(Path.Combine(Folder, "tests", "days.yml"));
        var normal = days[days.IndexOf("A normal day", StringComparison.Ordinal)..];
        normal = normal[..normal.IndexOf("promql_expr_test", StringComparison.Ordinal)];
        var asked = NamesAskedFor().Where(n => !n.Contains(':', StringComparison.Ordinal)).Except(absent, StringComparer.Ordinal).ToArray();
        Assert.NotEmpty(asked);
        Assert.All(asked, name => Assert.Contains($"'{name}{{", normal, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Everything_that_rules_ask_for_is_measured()
    {
        await using var service = await ServiceProcess.StartAsync();
        Assert.Equal(200, (await service.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
        var measured = (await Scrape.OfAsync(service.Client)).Names;
        var recorded = Recorded().Matches(File.ReadAllText(Path.Combine(Folder, "recording.yml"))).Select(m => m.Groups["name"].Value).ToHashSet(StringComparer.Ordinal);
        var asked = NamesAskedFor();
        Assert.Contains("signsvc_decisions_total", asked, StringComparer.Ordinal);
        Assert.DoesNotContain(asked, name => !measured.Contains(name) && !recorded.Contains(name));
    }

    [Fact]
    public async Task A_service_in_good_health_sets_off_nothing_that_looks_at_one_moment()
    {
        await using var service = await ServiceProcess.StartAsync();
        var metrics = await Scrape.OfAsync(service.Client);
        Assert.Equal(0, metrics.Sum("signsvc_audit_failed"));
        Assert.Equal(0, metrics.Sum("signsvc_schedule_alarms"));
        Assert.Equal(0, metrics.Sum("signsvc_key_rotation_overdue_seconds"));
        Assert.Equal(0, metrics.Sum("signsvc_budget_breaker_open"));
        Assert.InRange(metrics.Sum("signsvc_snapshot_age_seconds"), 0, 15);
        Assert.InRange(metrics.Sum("signsvc_jwks_keys"), 1, 10);
    }

    private static HashSet<string> NamesAskedFor() => new[] { "recording.yml", "alerts.yml" }
        .SelectMany(f => File.ReadLines(Path.Combine(Folder, f))).Where(l => !NoExpression().IsMatch(l)).SelectMany(Scrape.NamesIn).ToHashSet(StringComparer.Ordinal);

    [GeneratedRegex(@"^ +- alert: (?<name>\w+)", RegexOptions.Multiline | RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Alarm();

    [GeneratedRegex(@"runbook_url: "".*/(?<name>[a-z-]+\.md)""", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Runbook();

    [GeneratedRegex(@"record: (?<name>\S+)", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Recorded();

    [GeneratedRegex("^ *(#|summary:|description:|runbook_url:|- name:|- record:)", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NoExpression();
}
