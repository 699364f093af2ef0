using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace SignSvc.Cli.Tests;

/// <param name="Output">Standard output, byte for byte.</param>
public sealed record Run(int ExitCode, byte[] Output, string Errors)
{
    public string Text => Encoding.UTF8.GetString(Output);

    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    public Run Ended(int exitCode)
    {
        Assert.True(exitCode == ExitCode, $"ended with {ExitCode}, not {exitCode}.\n{Text}\n{Errors}");
        return this;
    }
}

/// <summary>signsvc as a process, in a home of its own: nothing of the machine's user reaches it.</summary>
public sealed class CommandLine : IDisposable
{
    private static readonly TimeSpan RunTimeout = TimeSpan.FromSeconds(90);

    private readonly Dictionary<string, string> _environment;

    /// <param name="service">Where it goes and as whom; null: nothing is set.</param>
    public CommandLine(RunningService? service = null)
    {
        _environment = new(StringComparer.Ordinal) { ["HOME"] = Folder.Root, ["XDG_CONFIG_HOME"] = Folder.At("config") };
        if (service is not null)
        {
            Set("SIGNSVC_URL", service.Url);
            Set("SIGNSVC_TOKEN", service.Token);
        }
    }

    public TemporaryFolder Folder { get; } = new();

    public string StoredLogin => Folder.At("config/signsvc/config.json");

    public CommandLine Set(string variable, string value)
    {
        _environment[variable] = value;
        return this;
    }

    public Task<Run> RunAsync(params string[] arguments) => RunAsync(input: null, arguments);

    /// <summary>At a terminal (by script(1), of bsdutils): what it prints on either output comes back as one.</summary>
    public Task<Run> RunAtTerminalAsync(string typed, params string[] arguments) =>
        RunAsync(StartAtTerminal(arguments), Encoding.UTF8.GetBytes(typed));

    /// <summary>At a terminal, where something happens between its question and the answer.</summary>
    public async Task<Run> RunAtTerminalAsync(Func<Task> atTheQuestion, string typed, params string[] arguments)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        timeout.CancelAfter(RunTimeout);
        using var process = StartAtTerminal(arguments);
        var shown = new StringBuilder();
        var some = new char[1024];
        while (!shown.ToString().Contains("to go on: ", StringComparison.Ordinal))
        {
            var read = await process.StandardOutput.ReadAsync(some, timeout.Token);
            Assert.True(read > 0, $"It ended without a question:\n{shown}");
            shown.Append(some, 0, read);
        }

        await atTheQuestion();
        await process.StandardInput.WriteAsync(typed.AsMemory(), timeout.Token);
        process.StandardInput.Close();
        shown.Append(await process.StandardOutput.ReadToEndAsync(timeout.Token));
        await process.WaitForExitAsync(timeout.Token);
        return new Run(process.ExitCode, Encoding.UTF8.GetBytes(shown.ToString()), Errors: "");
    }

    public Task<Run> RunAsync(byte[]? input, params string[] arguments) => RunAsync(Start(arguments), input);

    /// <summary>As a page of the documentation has it; the first command that fails ends it.</summary>
    public Task<Run> RunScriptAsync(string script) => RunAsync(
        Start("/bin/bash", ["-euo", "pipefail", "-c", $"signsvc() {{ dotnet '{BuiltPrograms.Cli}' \"$@\"; }}\n{script}"]), input: null);

    private static async Task<Run> RunAsync(Process started, byte[]? input)
    {
        using var process = started;
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        timeout.CancelAfter(RunTimeout);
        var output = new MemoryStream();
        var copying = process.StandardOutput.BaseStream.CopyToAsync(output, timeout.Token);
        var errors = process.StandardError.ReadToEndAsync(timeout.Token);
        try
        {
            await process.StandardInput.BaseStream.WriteAsync(input, timeout.Token);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading its input.
        }

        try
        {
            await copying;
            await process.WaitForExitAsync(timeout.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }

        return new Run(process.ExitCode, output.ToArray(), await errors);
    }

    /// <summary>For a test that meets it while it runs. As a terminal starts it: a test run in the background of a shell hands down that SIGINT is ignored.</summary>
    public Process Start(params string[] arguments) =>
        Start("/usr/bin/env", ["--default-signal=INT,TERM", "dotnet", BuiltPrograms.Cli, .. arguments]);

    private Process StartAtTerminal(string[] arguments)
    {
        if (!File.Exists("/usr/bin/script"))
            throw new FileNotFoundException("script is missing. Run: apt-get install bsdutils");
        var line = string.Join(' ', arguments.Prepend(BuiltPrograms.Cli).Prepend("dotnet").Select(a => $"'{a}'"));
        return Start("/usr/bin/script", ["-qec", line, "/dev/null"]);
    }

    private Process Start(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Folder.Root,
        };
        foreach (var inherited in start.Environment.Keys.Where(k => k.StartsWith("SIGNSVC_", StringComparison.Ordinal)).ToList())
            start.Environment.Remove(inherited);
        foreach (var (name, value) in _environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    public void Dispose() => Folder.Dispose();
}
