using System.Diagnostics;
using SignSvc.Tests.Shared;

namespace SignSvc.Emulation.Tests;

/// <summary>The program on its own, as <c>dotnet run --project tests/SignSvc.KmsEmulator</c> starts it.</summary>
public sealed class ProgramTests : IDisposable
{
    private const string Listening = "Now listening on: ";

    private readonly string _folder = Directory.CreateTempSubdirectory("kms-emulator").FullName;

    [Fact]
    public async Task Keys_survive_the_sudden_end_of_the_program()
    {
        var state = Path.Combine(_folder, "state.json");
        var keys = new List<string>();
        var uri = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        for (var run = 0; run < 3; run++)
        {
            using var program = await StartAsync("--url", uri.ToString(), "--state", state, "--no-quotas");
            using var kms = new KmsWire(uri);
            var listed = (await kms.DoAsync("ListKeys")).Body["Keys"]!
                .AsArray()
                .Select(k => k!["KeyId"]!.GetValue<string>());
            Assert.Equal(
                keys.Order(StringComparer.Ordinal),
                listed.Order(StringComparer.Ordinal),
                StringComparer.Ordinal);
            for (var i = 0; i < 10; i++)
                keys.Add((await kms.DoAsync("CreateKey")).KeyId);
            program.Process.Kill();
            await program.Process.WaitForExitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task The_options_of_the_command_line_take_effect()
    {
        using var program = await StartAsync(
            "--url",
            "http://127.0.0.1:0",
            "--access-key",
            "AKIDA:222222222222",
            "--access-key",
            "111111111111:111111111111",
            "--control");
        using var kms = new KmsWire(program.Uri);
        Assert.Contains(":111111111111:", (await kms.DoAsync("CreateKey")).Arn, StringComparison.Ordinal);
        using var stranger = kms.As("333333333333");
        await stranger.RefusedAsync("UnrecognizedClientException", "ListKeys");
        using var control = new HttpClient { BaseAddress = program.Uri };
        var calls = await control.GetStringAsync(
            new Uri("/_emulator/calls", UriKind.Relative),
            TestContext.Current.CancellationToken);
        Assert.Contains("CreateKey", calls, StringComparison.Ordinal);

        // Quotas are on where no option says otherwise.
        using var set = await control.PutAsync(
            new Uri("/_emulator/quotas/CreateKey?perSecond=0", UriKind.Relative),
            content: null,
            TestContext.Current.CancellationToken);
        set.EnsureSuccessStatusCode();
        await kms.RefusedAsync("ThrottlingException", "CreateKey");
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task<RunningProgram> StartAsync(params string[] arguments)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "SignSvc.KmsEmulator.dll");
        var start = new ProcessStartInfo("dotnet", ["exec", program, .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        var process = Process.Start(start)!;
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.IndexOf(Listening, StringComparison.Ordinal) is var at and >= 0)
                return new RunningProgram(process, new Uri(line[(at + Listening.Length)..]));
        }

        throw new InvalidOperationException("The emulator ended before it listened.");
    }

    private sealed record RunningProgram(Process Process, Uri Uri) : IDisposable
    {
        public void Dispose()
        {
            if (!Process.HasExited)
                Process.Kill();
            Process.Dispose();
        }
    }
}
