using System.Diagnostics;
using SignSvc.Load.Surroundings;
using SignSvc.Tests.Shared;

namespace SignSvc.Load.Tests;

/// <summary>The whole program: what it says and how it ends.</summary>
public sealed class CommandLineTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("There is no scenario nothing", "run", "nothing")]
    [InlineData("is not a loopback address", "run", "half-load", "--url", "http://192.0.2.7:8080")]
    [InlineData("starts its own service", "run", "kms-throttled", "--url", "http://127.0.0.1:1")]
    [InlineData("is not an http address", "run", "half-load", "--url", "nowhere")]
    [InlineData("Required argument 'scenario' missing", "run")]
    [InlineData("'--nothing'", "ratios", "--nothing")]
    [InlineData("--seconds is a number above 0", "ratios", "--seconds", "0")]
    [InlineData("--rounds is a number above 0", "ratios", "--rounds", "0")]
    [InlineData("--time is a number above 0", "run", "half-load", "--time", "0")]
    [InlineData("--time is a number above 0", "run", "half-load", "--time", "Infinity")]
    [InlineData("--rate is a number above 0", "run", "half-load", "--rate", "NaN")]
    [InlineData("Cannot parse argument 'abc'", "run", "half-load", "--time", "abc")]
    [InlineData("--rate is a number above 0", "run", "half-load", "--rate", "-1")]
    [InlineData("--nodes is a number above 0", "growth", "nodes", "--nodes", "0")]
    [InlineData("proves nothing with --rate 0.5", "run", "kms-throttled", "--rate", "0.5")]
    public async Task A_wrong_argument_is_told_in_a_line_and_ends_with_2(string says, params string[] arguments)
    {
        var (code, _, error) = await RunAsync(arguments, _ => { });

        Assert.Equal(ExitCode.Unusable, code);
        Assert.Contains(says, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_url_that_nobody_answers_at_is_told_in_a_line_and_ends_with_3()
    {
        var url = $"http://127.0.0.1:{FreePort.Next()}/";
        var (code, _, error) = await RunAsync(["run", "half-load", "--url", url], _ => { });

        Assert.Equal(ExitCode.TargetLost, code);
        Assert.Equal($"{url} does not answer: Connection refused. Nothing is judged.", error.Trim());
    }

    [Fact]
    public async Task What_lists_ends_with_0()
    {
        var (code, output, _) = await RunAsync(["list"], _ => { });

        Assert.Equal(ExitCode.Held, code);
        Assert.Contains("kms-throttled", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_signal_aborts_a_run_and_it_ends_with_130(string signal)
    {
        await using var service = await StubService.StartAsync(_ => Task.CompletedTask, Cancel);
        var (code, output, error) = await RunAsync(["run", "half-load", "--rate", "0.01", "--url", service.Http.AbsoluteUri], process => _ = KillAsync(process));

        Assert.Equal(ExitCode.Interrupted, code);
        Assert.Contains("half-load: aborted after ", output, StringComparison.Ordinal);
        Assert.DoesNotContain(": held", output, StringComparison.Ordinal);
        Assert.Empty(error);

        async Task KillAsync(Process process)
        {
            // The first call is the look whether anybody is there; the next are the scenario's.
            while (service.Asked < 10)
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
            await ChildProcess.RunAsync("kill", [$"-{signal}", $"{process.Id}"], Cancel);
        }
    }

    [Fact]
    public async Task A_signal_before_anything_is_measured_ends_with_130_too()
    {
        await using var service = await StubService.StartAsync(http => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, http.RequestAborted), Cancel);
        var (code, _, error) = await RunAsync(["run", "half-load", "--url", service.Http.AbsoluteUri], process => _ = KillAsync(process));

        Assert.Equal(ExitCode.Interrupted, code);
        Assert.Equal("Interrupted: nothing is judged.", error.Trim());

        async Task KillAsync(Process process)
        {
            while (service.Asked == 0)
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
            await ChildProcess.RunAsync("kill", ["-TERM", $"{process.Id}"], Cancel);
        }
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string[] arguments, Action<Process> started)
    {
        // Who runs in a shell's background ignores SIGINT, and so would what he starts.
        var start = new ProcessStartInfo("env", ["--default-signal=INT", "dotnet", typeof(ExitCode).Assembly.Location, .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["SIGNSVC_TOKEN"] = "any";
        using var process = Process.Start(start)!;
        await using var end = Cancel.Register(process.Kill);
        var output = process.StandardOutput.ReadToEndAsync(Cancel);
        var error = process.StandardError.ReadToEndAsync(Cancel);
        started(process);
        await process.WaitForExitAsync(Cancel);
        return (process.ExitCode, await output, await error);
    }
}
