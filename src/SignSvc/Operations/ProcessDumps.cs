using System.Runtime.InteropServices;

namespace SignSvc.Operations;

/// <summary>
/// Promise 22: what is in memory stays there. The process leaves no core file, and none but root may read its memory or
/// attach to it (<c>PR_SET_DUMPABLE</c>, prctl(2); ptrace(2)). The runtime's own dumps go through its diagnostics port,
/// which is closed only from outside: <c>DOTNET_EnableDiagnostics=0</c>.
/// </summary>
internal static partial class ProcessDumps
{
    private const int SetDumpable = 4;
    private const int CoreLimit = 4;

    /// <exception cref="StartException">The kernel refused.</exception>
    public static void Forbid()
    {
        var none = new Limit(0, 0);
        if (SetLimit(CoreLimit, in none) != 0 || Control(SetDumpable, 0, 0, 0, 0) != 0)
        {
            throw new StartException(
                $"Memory dumps cannot be turned off (error {Marshal.GetLastPInvokeError()}). SignSvc__AllowProcessDumps=true starts all the same.");
        }
    }

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Control(int option, nuint argument2, nuint argument3, nuint argument4, nuint argument5);

    [LibraryImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int SetLimit(int resource, in Limit limit);

    /// <summary>struct rlimit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Limit(nuint Current, nuint Maximum);
}
