using System.Data.Common;
using SignSvc.Signing.Audit;

namespace SignSvc.Storage;

/// <summary>A segment as both databases and the spool have it in a row: without its index, which stands elsewhere or follows from its records.</summary>
internal static class AuditSegmentRow
{
    /// <param name="reader">At the columns id, node, first_sequence, count, first_at, last_at, body, previous, seal; times are UTC ticks.</param>
    public static AuditSegment Read(DbDataReader reader) => new()
    {
        Id = reader.GetInt64(0),
        Node = reader.GetString(1),
        FirstSequence = reader.GetInt64(2),
        Count = reader.GetInt32(3),
        FirstAt = new DateTimeOffset(reader.GetInt64(4), TimeSpan.Zero),
        LastAt = new DateTimeOffset(reader.GetInt64(5), TimeSpan.Zero),
        Body = reader.GetFieldValue<byte[]>(6),
        Previous = reader.GetFieldValue<byte[]>(7),
        Seal = reader.GetFieldValue<byte[]>(8),
    };
}
