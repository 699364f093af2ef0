using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace SignSvc.Load.Measuring;

/// <summary>Where and of what a result was measured. Says nothing of folders, users or hosts.</summary>
public sealed record Machine(
    string Commit, int Processors, string Processor, long MemoryBytes, string System, string Runtime, DateTimeOffset At, double LoadAverage)
{
    public static async Task<Machine> DescribeAsync(TimeProvider time, CancellationToken cancellationToken) => new(
        await CommitAsync(cancellationToken),
        Environment.ProcessorCount,
        Field("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString(),
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        (Field("/etc/os-release", "PRETTY_NAME", '=') ?? "Linux").Trim('"'),
        RuntimeInformation.FrameworkDescription,
        time.GetUtcNow(),
        LoadNow());

    /// <summary>Processes that wanted to run, on average over the last minute. Above the processors, others were in the way.</summary>
    public static double LoadNow() =>
        double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);

    private static string? Field(string file, string name, char separator = ':') =>
        File.Exists(file) && File.ReadLines(file).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal)) is { } line
            ? line[(line.IndexOf(separator, StringComparison.Ordinal) + 1)..].Trim()
            : null;

    private static async Task<string> CommitAsync(CancellationToken cancellationToken)
    {
        try
        {
            using var git = Process.Start(new ProcessStartInfo("git", ["-C", AppContext.BaseDirectory, "describe", "--always", "--dirty", "--exclude=*"])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var text = await git.StandardOutput.ReadToEndAsync(cancellationToken);
            await git.WaitForExitAsync(cancellationToken);
            return git.ExitCode == 0 ? text.Trim() : "unknown";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "unknown";
        }
    }
}
