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

    /// <summary>ESRCH, which reading a process's file gives when it ends meanwhile.</summary>
    private const int NoSuchProcess = 3;

    private const string Resident = "VmRSS:";

    /// <returns>Null: there is no such process any more.</returns>
    public static ProcessUsage? Of(int processId)
    {
        try
        {
            var status = File.ReadLines($"/proc/{processId}/status").ToList();
            // One that has ended, and that nobody has waited for yet, has no memory.
            if (!status.Exists(l => l.StartsWith(Resident, StringComparison.Ordinal)))
                return null;
            return new ProcessUsage(
                CpuOf(processId),
                Kilobytes(status, Resident),
                Kilobytes(status, "VmHWM:"),
                Directory.EnumerateFileSystemEntries($"/proc/{processId}/fd").Count(),
                (int)Number(status, "Threads:"));
        }
        catch (Exception e) when (IsGone(e))
        {
            return null;
        }
    }

    public static TimeSpan CpuOf(int processId)
    {
        var fields = StatOf($"/proc/{processId}/stat");
        return Ticks(fields[11]) + Ticks(fields[12]);
    }

    /// <summary>A process and its children: those that run, and those that have ended and were waited for.</summary>
    public static TimeSpan CpuOfFamily(int processId)
    {
        var own = StatOf($"/proc/{processId}/stat");
        var sum = Ticks(own[11]) + Ticks(own[12]) + Ticks(own[13]) + Ticks(own[14]);
        var parent = processId.ToString(CultureInfo.InvariantCulture);
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(f => char.IsAsciiDigit(Path.GetFileName(f)[0])))
        {
            try
            {
                if (StatOf($"{folder}/stat") is var fields && string.Equals(fields[1], parent, StringComparison.Ordinal))
                    sum += Ticks(fields[11]) + Ticks(fields[12]);
            }
            catch (Exception e) when (IsGone(e))
            {
                // It ended while it was looked at.
            }
        }

        return sum;
    }

    /// <summary>From the third field on. The second is the program's name in parentheses, and may hold anything.</summary>
    private static string[] StatOf(string file)
    {
        var stat = File.ReadAllText(file);
        return stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
    }

    private static TimeSpan Ticks(string field) => TimeSpan.FromSeconds((double)long.Parse(field, CultureInfo.InvariantCulture) / TicksPerSecond);

    private static bool IsGone(Exception e) => e is FileNotFoundException or DirectoryNotFoundException or IOException { HResult: NoSuchProcess };

    private static long Kilobytes(List<string> status, string name) => Number(status, name) * 1024;

    private static long Number(List<string> status, string name)
    {
        var line = status.Find(l => l.StartsWith(name, StringComparison.Ordinal)) ?? throw new InvalidOperationException($"The kernel does not tell {name}");
        return long.Parse(line[name.Length..].Replace("kB", "", StringComparison.Ordinal), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture);
    }
}
