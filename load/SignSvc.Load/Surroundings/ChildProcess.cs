using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace SignSvc.Load.Surroundings;

/// <summary>A process that we started: its lines are read for as long as it runs, and it ends with us.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    /// <summary>ENOENT.</summary>
    private const int NoSuchFile = 2;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly StringBuilder _output = new();
    private readonly Process _process;

    private bool _hasStarted;

    private ChildProcess(Process process) => _process = process;

    public int Id => _process.Id;

    /// <summary>Null while it runs.</summary>
    public int? EndedWith => _process.HasExited ? _process.ExitCode : null;

    /// <summary>Starts a program, and waits until a line says that it serves.</summary>
    /// <param name="isReady">Given each line of its output.</param>
    /// <exception cref="MissingToolException">There is no such program.</exception>
    /// <exception cref="InvalidOperationException">It did not serve; the message has what it wrote.</exception>
    public static async Task<ChildProcess> StartAsync(
        string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> environment, Func<string, bool> isReady,
        CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        DriverSettings.KeepFrom(start.Environment);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        var child = new ChildProcess(new Process { StartInfo = start, EnableRaisingEvents = true });
        try
        {
            await child.BeginAsync(isReady, cancellationToken);
            return child;
        }
        catch
        {
            await child.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a program to its end.</summary>
    /// <returns>What it wrote to standard output.</returns>
    /// <exception cref="MissingToolException">There is no such program.</exception>
    /// <exception cref="InvalidOperationException">It failed; the message has what it wrote.</exception>
    public static async Task<string> RunAsync(
        string program, IEnumerable<string> arguments, CancellationToken cancellationToken, string? folder = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? "",
        };
        DriverSettings.KeepFrom(start.Environment);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>(StringComparer.Ordinal))
            start.Environment[name] = value;
        using var process = new Process { StartInfo = start };
        Start(process);
        await using var end = cancellationToken.Register(process.Kill);
        var output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        var error = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"{program} ended with {process.ExitCode}: {await output}{await error}");
    }

    public async ValueTask DisposeAsync()
    {
        if (_hasStarted && !_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }

    private async Task BeginAsync(Func<string, bool> isReady, CancellationToken cancellationToken)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        void Read(string? line)
        {
            if (line is null)
                return;
            lock (_output)
            {
                // What a long run writes is not kept for ever; a start fails within its first lines.
                if (_output.Length < 64 * 1024)
                    _output.AppendLine(line);
            }

            if (isReady(line))
                ready.TrySetResult();
        }

        _process.OutputDataReceived += (_, e) => Read(e.Data);
        _process.ErrorDataReceived += (_, e) => Read(e.Data);
        Start(_process);
        _hasStarted = true;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await Task.WhenAny(ready.Task, _process.WaitForExitAsync(cancellationToken), Task.Delay(Patience, TimeProvider.System, cancellationToken));
        if (ready.Task.IsCompleted)
            return;
        cancellationToken.ThrowIfCancellationRequested();
        var why = EndedWith is { } code ? $"ended with {code}" : $"did not serve within {Patience.TotalSeconds:0} s";
        lock (_output)
            throw new InvalidOperationException($"{_process.StartInfo.FileName} {why}:\n{_output}");
    }

    private static void Start(Process process)
    {
        try
        {
            process.Start();
        }
        catch (Win32Exception e) when (e.NativeErrorCode == NoSuchFile)
        {
            throw new MissingToolException(process.StartInfo.FileName, e);
        }
    }
}
