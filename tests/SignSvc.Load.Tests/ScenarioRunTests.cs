using System.Diagnostics;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Calls;
using SignSvc.Load.Running;
using SignSvc.Load.Scenarios;
using SignSvc.Load.Surroundings;
using SignSvc.Tests.Shared;

namespace SignSvc.Load.Tests;

/// <summary>What a run says in the end, and the code that the program ends with.</summary>
public sealed class ScenarioRunTests : IDisposable
{
    private static readonly RunOptions Options = new(Protocol.Http1, TimeScale: 1, RateScale: 1, Seed: 1, "test");

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-load-tests-");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task A_run_whose_thresholds_hold_is_held_and_ends_with_0()
    {
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync("yes"), Cancel);
        var (code, output) = await RunAsync([Asking("a-run", Threshold.EveryCallSucceeds, Threshold.EverythingSent)], service.Target, Cancel);

        Assert.Equal(ExitCode.Held, code);
        Assert.Contains("a-run: held", output, StringComparison.Ordinal);
        Assert.True(Reported("a-run").GetProperty("held").GetBoolean());
    }

    [Fact]
    public async Task A_threshold_that_is_missed_misses_the_run_and_it_ends_with_1()
    {
        await using var service = await StubService.StartAsync(http => Refuse(http, 500), Cancel);
        var (code, output) = await RunAsync([Asking("missed", Threshold.NoFailures, Threshold.EverythingSent)], service.Target, Cancel);

        Assert.Equal(ExitCode.Missed, code);
        Assert.Contains("missed: missed: 1 of 2", output, StringComparison.Ordinal);
        Assert.False(Reported("missed").GetProperty("held").GetBoolean());
    }

    [Fact]
    public async Task One_missed_run_is_not_made_good_by_those_after_it()
    {
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync("yes"), Cancel);
        var (code, _) = await RunAsync([Asking("one", Threshold.GoodputAtLeast(1e6)), Asking("two", Threshold.NoFailures)], service.Target, Cancel);

        Assert.Equal(ExitCode.Missed, code);
        Assert.True(Reported("two").GetProperty("held").GetBoolean());
    }

    [Fact]
    public async Task Where_nothing_answers_nothing_holds()
    {
        var nobody = ServiceTarget.At(new Uri($"http://127.0.0.1:{FreePort.Next()}"), grpc: null, "any", allowRemote: false);
        var result = await new ScenarioRun(Asking("nobody", Threshold.NoFailures, Threshold.EveryCallSucceeds, Threshold.P99Within(TimeSpan.FromHours(1))), nobody, Options, Silent())
            .RunAsync(Cancel);

        Assert.Equal(3, result.Verdicts.Count);
        Assert.All(result.Verdicts, v => Assert.False(v.Held, v.Says));
        Assert.Equal(ExitCode.Missed, result.ExitCode);
    }

    [Fact]
    public async Task A_run_without_anything_that_has_to_hold_is_not_held()
    {
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync("yes"), Cancel);
        Assert.False((await new ScenarioRun(Asking("nothing"), service.Target, Options, Silent()).RunAsync(Cancel)).Held);
    }

    [Fact]
    public async Task A_rate_that_would_prove_nothing_is_refused_before_anything_runs()
    {
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync("yes"), Cancel);
        var series = new ScenarioSeries(Options with { RateScale = 0.5 }, folder: null, TextWriter.Null, isTerminal: false);
        var refused = await Assert.ThrowsAsync<UsageException>(
            () => series.RunAsync([Asking("one", Threshold.NoFailures), AllScenarios.Find("kms-throttled")], _ => throw new InvalidOperationException("It ran."), Cancel));

        Assert.Contains("kms-throttled proves nothing with --rate 0.5: say 1 or more", refused.Message, StringComparison.Ordinal);
        Assert.Equal(0, service.Asked);
    }

    [Theory]
    [InlineData(1000, 0)]
    [InlineData(999, 1)]
    public async Task A_batch_with_fewer_tokens_than_asked_for_is_a_failure(int tokens, int failed)
    {
        var body = string.Concat(Enumerable.Repeat("{\"token\":\"eyJhbGciOiJF.a\"}", tokens));
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync(body), Cancel);
        var plan = await new TokenBatch().PlanAsync(service.Target, Cancel);
        var flow = plan.Flows[0] with { Pace = Pace.Begin.Steady(10, TimeSpan.FromMilliseconds(200)) };
        await using var http = service.Target.Open(Protocol.Http1);
        using var run = new FlowRun(flow, http, TimeSpan.Zero, seed: 1);
        await run.RunAsync(Stopwatch.GetTimestamp(), Cancel);

        Assert.Equal(failed > 0, run.Figures.Failed > 0);
        Assert.Equal(failed == 0, run.Figures.Succeeded > 0);
    }

    [Fact]
    public async Task An_interrupted_run_is_not_judged_and_keeps_what_it_has_and_nothing_follows_it()
    {
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var (asked, read) = (0, 0);
        await using var service = await StubService.StartAsync(Interrupting, Cancel);
        var first = new Asks("first", TimeSpan.FromMinutes(10), [Threshold.NoFailures])
        {
            Inspect = _ =>
            {
                Interlocked.Increment(ref read);
                return null;
            },
        };
        var (code, output) = await RunAsync([first, Asking("second")], service.Target, interrupt.Token);

        Assert.Equal(ExitCode.Interrupted, code);
        Assert.Contains("first: aborted after ", output, StringComparison.Ordinal);
        Assert.DoesNotContain(": held", output, StringComparison.Ordinal);
        var report = Reported("first-aborted");
        Assert.False(report.GetProperty("held").GetBoolean());
        Assert.Empty(report.GetProperty("verdicts").EnumerateArray());
        Assert.Equal("it was interrupted.", report.GetProperty("aborted").GetProperty("why").GetString());
        // What was under way is no failure: nothing is known of it.
        var flow = report.GetProperty("flows")[0];
        Assert.Equal((19, 0), (flow.GetProperty("succeeded").GetInt32(), flow.GetProperty("failed").GetInt32()));
        Assert.InRange(flow.GetProperty("measuredSeconds").GetDouble(), 0.1, 60);
        Assert.Equal(3, _folder.GetFiles().Length);
        Assert.DoesNotContain(">held<", await File.ReadAllTextAsync(Assert.Single(_folder.GetFiles("*.html")).FullName, Cancel), StringComparison.Ordinal);

        async Task Interrupting(HttpContext http)
        {
            if (Interlocked.Increment(ref asked) < 20)
            {
                await http.Response.WriteAsync("yes", http.RequestAborted);
                return;
            }

            // An answer that nobody has read yet would be cut off with the rest.
            while (Volatile.Read(ref read) < 19)
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, http.RequestAborted);
            await interrupt.CancelAsync();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted);
        }
    }

    [Fact]
    public async Task A_service_of_ours_that_ends_aborts_the_run()
    {
        var service = await ServiceTarget.StartAsync(new Dictionary<string, string>(StringComparer.Ordinal), Cancel);
        var scenario = new Asks("ends", TimeSpan.FromMinutes(10), [Threshold.NoFailures])
        {
            Events = [new PlannedEvent(TimeSpan.FromSeconds(1), "the end", _ =>
            {
                using var process = Process.GetProcessById(service.ProcessId!.Value);
                process.Kill();
                return Task.CompletedTask;
            })],
        };
        var (code, output) = await RunAsync([scenario], service, Cancel);

        Assert.Equal(ExitCode.TargetLost, code);
        Assert.Contains("the service ended by itself, with 137.", output, StringComparison.Ordinal);
        Assert.DoesNotContain(": held", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_is_not_ours_and_is_silent_for_ten_seconds_aborts_the_run()
    {
        await using var service = await StubService.StartAsync(http => http.Response.WriteAsync("yes"), Cancel);
        var scenario = new Asks("silent", TimeSpan.FromMinutes(10), [Threshold.NoFailures])
        {
            Events = [new PlannedEvent(TimeSpan.FromSeconds(1), "the end", service.StopAsync)],
        };
        var (code, output) = await RunAsync([scenario], service.Target, Cancel);

        Assert.Equal(ExitCode.TargetLost, code);
        Assert.Contains("for 10 s nobody answered.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_event_that_fails_aborts_the_run()
    {
        await using var service = await StubService.StartAsync(http => Refuse(http, http.Request.Path == "/v1/keys/any/rotate" ? 503 : 200), Cancel);
        var scenario = new Asks("event", TimeSpan.FromMinutes(10), [Threshold.NoFailures])
        {
            Events = [new PlannedEvent(TimeSpan.FromSeconds(0.5), "a rotation", cancel => service.Target.MustAsync(service.Target.Admin.Rotate("any"), cancel))],
        };
        var (code, output) = await RunAsync([scenario], service.Target, Cancel);

        Assert.Equal(ExitCode.TargetLost, code);
        Assert.Contains("a rotation: POST /v1/keys/any/rotate answered 503", output, StringComparison.Ordinal);
    }

    private static LiveProgress Silent() => new(TextWriter.Null, isTerminal: false);

    private static Asks Asking(string name, params Threshold[] thresholds) => Asking(name, TimeSpan.FromSeconds(0.5), thresholds);

    private static Asks Asking(string name, TimeSpan length, params Threshold[] thresholds) => new(name, length, thresholds);

    private static Task Refuse(HttpContext http, int status)
    {
        http.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private async Task<(int Code, string Output)> RunAsync(IReadOnlyList<Scenario> scenarios, ServiceTarget service, CancellationToken interrupt)
    {
        using var output = new StringWriter();
        var series = new ScenarioSeries(Options, _folder.FullName, output, isTerminal: false);
        var code = await series.RunAsync(scenarios, _ => Task.FromResult(Stage.With(service)), interrupt);
        return (code, output.ToString());
    }

    private JsonElement Reported(string name)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Assert.Single(_folder.GetFiles($"*-{name}.json")).FullName));
        return json.RootElement.Clone();
    }

    /// <summary>A hundred key sets a second.</summary>
    private sealed class Asks(string name, TimeSpan length, Threshold[] thresholds) : Scenario
    {
        public PlannedEvent[] Events { get; init; } = [];

        public Func<Answer, string?>? Inspect { get; init; }

        public override string Name => name;

        public override string About => "Asks.";

        public override TimeSpan WarmUp => TimeSpan.Zero;

        public override Task<Plan> PlanAsync(ServiceTarget service, CancellationToken cancellationToken) => Task.FromResult(new Plan(
            [
                new Flow("questions")
                {
                    Pace = Pace.Begin.Steady(100, length),
                    Arrival = Arrival.Constant,
                    Steps = [new Step(() => ServiceCalls.KeySet())],
                    Inspect = Inspect,
                    Thresholds = thresholds,
                },
            ],
            Events,
            []));
    }
}
