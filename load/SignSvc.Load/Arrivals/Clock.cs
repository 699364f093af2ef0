using System.Diagnostics;
using System.Runtime.InteropServices;

namespace SignSvc.Load.Arrivals;

/// <summary>
/// Waits until a time is due, to about 60 µs where the machine is idle. Timers of .NET step by a millisecond, which would
/// stand in every latency; so this blocks its thread, and belongs on one of its own.
/// </summary>
internal static partial class Clock
{
    private static readonly TimeSpan LongestNap = TimeSpan.FromMilliseconds(50);

    /// <summary>Returns when it is due, or soon after cancellation.</summary>
    public static void WaitUntil(long started, TimeSpan due, CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            var left = due - Stopwatch.GetElapsedTime(started);
            if (left <= TimeSpan.Zero)
                return;
            var nap = new Timespec(0, (left < LongestNap ? left : LongestNap).Ticks * 100);
            _ = NanoSleep(nap, IntPtr.Zero);
        }
    }

    [LibraryImport("libc", EntryPoint = "nanosleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int NanoSleep(in Timespec wanted, IntPtr left);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Timespec(long Seconds, long Nanoseconds);
}
