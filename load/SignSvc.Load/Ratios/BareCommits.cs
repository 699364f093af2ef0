using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using SignSvc.Load.Arrivals;
using SignSvc.Load.Measuring;

namespace SignSvc.Load.Ratios;

/// <summary>
/// The least that a durable record can take on this disk: arrivals at random whose records one writer appends and flushes,
/// all that came during the flush before, and nothing else of a service.
/// </summary>
internal static partial class BareCommits
{
    /// <summary>Of one record, and of what a database writes beside those of a commit.</summary>
    private const int RecordBytes = 800;
    private const int CommitBytes = 48 * 1024;

    /// <summary>Written over from its begin when it is full, as a write-ahead log is.</summary>
    private const int FileBytes = 32 * 1024 * 1024;

    /// <returns>How long arrivals waited until their record was flushed.</returns>
    public static Histogram Run(double perSecond, TimeSpan length, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-load-").FullName;
        try
        {
            using var file = File.OpenHandle(Path.Combine(folder, "log"), FileMode.CreateNew, FileAccess.Write, preallocationSize: FileBytes);
            var waited = new Histogram();
            var bytes = new byte[FileBytes];
            // A seed makes a run's arrivals repeatable; nothing secret hangs on it.
            using var due = Pace.Begin.Steady(perSecond, length).Times(Arrival.Poisson, new Random(1)).GetEnumerator();
            var started = Stopwatch.GetTimestamp();
            var at = 0;
            var arrived = new List<TimeSpan>();
            for (var isMore = due.MoveNext(); isMore;)
            {
                Clock.WaitUntil(started, due.Current, cancellationToken);
                cancellationToken.ThrowIfCancellationRequested();
                for (; isMore && due.Current <= Stopwatch.GetElapsedTime(started); isMore = due.MoveNext())
                    arrived.Add(due.Current);
                var size = Math.Min(FileBytes, CommitBytes + (arrived.Count * RecordBytes));
                at = at + size > FileBytes ? 0 : at;
                RandomAccess.Write(file, bytes.AsSpan(0, size), at);
                if (Flush(file) != 0)
                    throw new IOException($"fdatasync failed: {Marshal.GetLastPInvokeErrorMessage()}");
                at += size;
                foreach (var arrival in arrived)
                    waited.Record(Stopwatch.GetElapsedTime(started) - arrival);
                arrived.Clear();
            }

            return waited;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What SQLite calls, and without what hides its failures from .NET's own flushes.</summary>
    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Flush(SafeFileHandle file);
}
