using System.Diagnostics;
using System.Text;

namespace SignSvc.Clients.Tests.Running;

/// <summary>How a program ended.</summary>
internal sealed record Ended(string Command, int ExitCode, string Output, string Errors)
{
    public bool Succeeded => ExitCode == 0;

    /// <summary>For the message of a failed assertion.</summary>
    public override string ToString() => $"{Command}\nended with {ExitCode}\n{Output}\n{Errors}";
}

/// <summary>Runs a program to its end, within a time far above what it takes, so that it is reached only where something hangs.</summary>
internal static class OutsideProgram
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    /// <param name="home">The program's HOME and working folder, so that nothing of the machine's user is read or written.</param>
    public static Task<Ended> RunAsync(
        string program, IEnumerable<string> arguments, string home, string input = "", CancellationToken cancellationToken = default) =>
        RunAsync(program, arguments, home, new Dictionary<string, string>(StringComparer.Ordinal), Encoding.UTF8.GetBytes(input), cancellationToken: cancellationToken);

    /// <param name="environment">Set over this process's own, and over HOME.</param>
    public static async Task<Ended> RunAsync(
        string program, IEnumerable<string> arguments, string home, IReadOnlyDictionary<string, string> environment, byte[]? input = null,
        TimeSpan? limit = null, CancellationToken cancellationToken = default)
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
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        ending.CancelAfter(limit ?? Limit);
        using var process = Process.Start(start)!;
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(ending.Token);
            var errors = process.StandardError.ReadToEndAsync(ending.Token);
            await WriteAsync(process.StandardInput.BaseStream, input ?? [], ending.Token);
            await process.WaitForExitAsync(ending.Token);
            return new Ended($"{program} {string.Join(' ', start.ArgumentList)}", process.ExitCode, await output, await errors);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill(entireProcessTree: true);
        }
    }

    private static async Task WriteAsync(Stream input, byte[] bytes, CancellationToken cancellationToken)
    {
        try
        {
            await input.WriteAsync(bytes, cancellationToken);
            input.Close();
        }
        catch (IOException)
        {
            // The program ended before it read everything; its exit code and errors say why.
        }
    }
}
