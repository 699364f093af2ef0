namespace SignSvc.Operations.Tests.LiveAlarms;

/// <summary>A data folder on a disk of memory alone: one that is busy with others makes commits slow, and that has an alarm.</summary>
internal sealed class MemoryDisk : IDisposable
{
    public string Folder { get; } = Path.Combine("/dev/shm", $"signsvc-alarms-{Guid.CreateVersion7(TimeProvider.System.GetUtcNow()):N}");

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
