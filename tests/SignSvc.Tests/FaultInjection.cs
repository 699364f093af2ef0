using System.Diagnostics;

namespace SignSvc.Tests;

/// <summary>
/// strace on a running service: its system calls fail or wait as told, for as long as this is not disposed. The
/// service itself is the built one and knows nothing of it.
/// </summary>
internal sealed class FaultInjection : IAsyncDisposable
{
    private readonly Process _strace;
    private readonly string _log;
    private Task _rest = Task.CompletedTask;

    private FaultInjection(Process strace, string log) => (_strace, _log) = (strace, log);

    /// <param name="inject">As strace's <c>-e inject=</c> has it: <c>fdatasync,fsync:error=EIO</c>.</param>
    /// <param name="file">Only where it is meant; null: all files.</param>
    public static async Task<FaultInjection> AttachAsync(int processId, string inject, string? file = null)
    {
        string[] only = file is null ? [] : ["-P", file];
        var log = Path.GetTempFileName();
        var strace = Process.Start(new ProcessStartInfo(
            "strace", ["-f", "-p", $"{processId}", .. only, "-e", $"trace={inject.Split(':')[0]}", "-e", $"inject={inject}", "-e", "signal=none", "-o", log])
        {
            RedirectStandardError = true,
            UseShellExecute = false,
        })!;
        var injection = new FaultInjection(strace, log);
        while (await strace.StandardError.ReadLineAsync(TestContext.Current.CancellationToken) is { } line)
        {
            if (line.Contains("attached", StringComparison.Ordinal))
            {
                // Read on, so that it never blocks on a full pipe.
                injection._rest = strace.StandardError.ReadToEndAsync(CancellationToken.None);
                return injection;
            }
        }

        await injection.DisposeAsync();
        throw new InvalidOperationException("strace could not attach. It needs root, or kernel.yama.ptrace_scope=0; install it with tests/install-tools.sh.");
    }

    /// <summary>Returns when a call has come that is told to wait.</summary>
    public async Task UntilStruckAsync()
    {
        // Threads that end are in it, too.
        while (!(await File.ReadAllTextAsync(_log, TestContext.Current.CancellationToken)).Contains('(', StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_strace.HasExited)
        {
            using var interrupt = Process.Start("kill", ["-INT", $"{_strace.Id}"]);
            await interrupt.WaitForExitAsync(CancellationToken.None);
        }

        await _rest;
        await _strace.WaitForExitAsync(CancellationToken.None);
        _strace.Dispose();
        File.Delete(_log);
    }
}
