using System.Diagnostics;

namespace SignSvc.Clients.Tests.Running;

/// <summary>How a program ended.</summary>
internal sealed record Ended(string Command, int ExitCode, string Output, string Errors)
{
    public bool Succeeded => ExitCode == 0;

    /// <summary>For the message of a failed assertion.</summary>
    public override string ToString() => $"{Command}\nended with {ExitCode}\n{Output}\n{Errors}";
}

/// <summary>Runs a program to its end, within a minute.</summary>
internal static class OutsideProgram
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    /// <param name="environment">Set over this process's own.</param>
    /// <param name="home">The program's HOME and working folder, so that nothing of the machine's user is read or written.</param>
    public static async Task<Ended> RunAsync(
        string program, IEnumerable<string> arguments, string home, string input = "", CancellationToken cancellationToken = default,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            WorkingDirectory = home,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["HOME"] = home },
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>(StringComparer.Ordinal))
            start.Environment[name] = value;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            await WriteAsync(process.StandardInput, input, limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return new Ended($"{program} {string.Join(' ', start.ArgumentList)}", process.ExitCode, await output, await errors);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    private static async Task WriteAsync(StreamWriter input, string text, CancellationToken cancellationToken)
    {
        try
        {
            await input.WriteAsync(text.AsMemory(), cancellationToken);
            input.Close();
        }
        catch (IOException)
        {
            // The program ended before it read everything; its exit code and errors say why.
        }
    }
}
