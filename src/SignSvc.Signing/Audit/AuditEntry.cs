using System.Text.Json;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Telemetry;
using SignSvc.Signing.Telemetry.Usage;

namespace SignSvc.Signing.Audit;

/// <summary>What one caller waits for. The text is written on the caller's thread, so that the writer only copies.</summary>
internal sealed class AuditEntry
{
    /// <summary>Of a usual record's text, with some room.</summary>
    private const int RecordBytes = 768;

    private readonly AuditRecord[] _records;

    public AuditEntry(AuditRecord record) : this([record])
    {
    }

    public AuditEntry(AuditRecord[] records)
    {
        _records = records;
        Text = new JsonText(RecordBytes * records.Length);
        var writer = Text.Write();
        FirstAt = DateTimeOffset.MaxValue;
        LastAt = DateTimeOffset.MinValue;
        foreach (var record in records)
        {
            JsonSerializer.Serialize(writer, record, SigningJson.Default.AuditRecord);
            writer.Flush();
            "\n"u8.CopyTo(Text.GetSpan(1));
            Text.Advance(1);
            writer.Reset();
            FirstAt = record.At < FirstAt ? record.At : FirstAt;
            LastAt = record.At > LastAt ? record.At : LastAt;
        }
    }

    /// <summary>The writer's from the time at which the entry is queued.</summary>
    public JsonText Text { get; }

    public IReadOnlyList<DocumentChange> Changes { get; init; } = [];

    public int Count => _records.Length;

    public DateTimeOffset FirstAt { get; }

    public DateTimeOffset LastAt { get; }

    public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public long FirstSequence { get; set; }

    public long Revision { get; set; }

    /// <summary>On the caller's thread: the writer has no time for it.</summary>
    /// <param name="usage">Watches callers against their own habits; null: nobody does.</param>
    public void Measure(bool isDurable, UsageWatch? usage)
    {
        foreach (var record in _records)
        {
            if (isDurable)
            {
                SigningMeters.Decided(record);
                usage?.Note(record);
            }
            else
            {
                SigningMeters.NotRecorded(record);
            }
        }
    }

    public void AddTo(AuditIndex index)
    {
        foreach (var record in _records)
            index.Add(record);
    }
}
