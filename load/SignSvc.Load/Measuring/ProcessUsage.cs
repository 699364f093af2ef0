using System.Globalization;

namespace SignSvc.Load.Measuring;

/// <summary>
/// What the kernel accounts to a process (proc(5)): it holds on a busy machine, where answers per second do not. CPU is
/// user and system time of all its threads, in steps of a hundredth of a second; children are not in it.
/// </summary>
public sealed record ProcessUsage(TimeSpan Cpu, long ResidentBytes, long PeakResidentBytes, int Handles, int Threads)
{
    /// <summary>USER_HZ: the kernel's interface has it at 100 on every architecture that .NET runs on.</summary>
    private const int TicksPerSecond = 100;

    public static ProcessUsage Of(int processId)
    {
        var status = File.ReadLines($"/proc/{processId}/status").ToList();
        return new ProcessUsage(
            CpuOf(processId),
            Kilobytes(status, "VmRSS:"),
            Kilobytes(status, "VmHWM:"),
            Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd").Count(),
            (int)Number(status, "Threads:"));
    }

    public static TimeSpan CpuOf(int processId)
    {
        // The second field is the program's name in parentheses, and may hold anything.
        var stat = File.ReadAllText($"/proc/{processId}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        var ticks = long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture);
        return TimeSpan.FromSeconds((double)ticks / TicksPerSecond);
    }

    private static long Kilobytes(List<string> status, string name) => Number(status, name) * 1024;

    private static long Number(List<string> status, string name)
    {
        var line = status.Find(l => l.StartsWith(name, StringComparison.Ordinal)) ?? throw new InvalidOperationException($"The kernel does not tell {name}");
        return long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
    }
}
