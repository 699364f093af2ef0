using SignSvc.Signing.Audit;

namespace SignSvc.Signing.Storage;

/// <summary>
/// How items are written inside a backup: a byte for the kind, the length (4 bytes, little-endian), the members in order.
/// A kind once given out keeps its number and its members.
/// </summary>
internal static class BackupFrame
{
    /// <summary>A segment has about 4 MiB, and one batch more at the most.</summary>
    public const int MaxLength = 64 * 1024 * 1024;
    public const int PrefixLength = 5;

    private const byte EndKind = 0;
    private const byte DocumentKind = 1;
    private const byte SegmentKind = 2;
    private const byte HeadKind = 3;
    private const byte UsageKind = 4;
    private const byte UseKind = 5;

    /// <summary>Backups of before <see cref="UseKind"/> end with one number less.</summary>
    private const int EndLengthWithoutUses = 5 * sizeof(long);

    public static bool IsEnd(byte kind) => kind == EndKind;

    public static byte[] Write(BackupItem item) => Frame(KindOf(item), writer =>
    {
        switch (item)
        {
            case BackupItem.StoredDocument(var d, var revision, var names):
                writer.Write(d.Kind);
                writer.Write(d.Id);
                writer.Write(d.Version);
                writer.Write(revision);
                Write(writer, d.Body);
                Write(writer, d.Seal);
                writer.Write(names.Length);
                foreach (var name in names)
                    writer.Write(name);
                break;
            case BackupItem.StoredSegment(var s):
                writer.Write(s.Node);
                writer.Write(s.FirstSequence);
                writer.Write(s.Count);
                writer.Write(s.FirstAt.UtcTicks);
                writer.Write(s.LastAt.UtcTicks);
                Write(writer, s.Body);
                Write(writer, s.Previous);
                Write(writer, s.Seal);
                break;
            case BackupItem.StoredHead(var h):
                writer.Write(h.Node);
                writer.Write(h.LastSequence);
                Write(writer, h.Seal);
                break;
            case BackupItem.StoredUsage(var u):
                writer.Write(u.Kid);
                writer.Write(u.Uses);
                writer.Write(u.LastUsedAt.UtcTicks);
                writer.Write(u.LatestExpiry?.UtcTicks ?? 0);
                break;
            case BackupItem.StoredUse(var scope, var used, var until):
                writer.Write(scope);
                writer.Write(used);
                writer.Write(until.UtcTicks);
                break;
        }
    });

    /// <summary>The last frame: what was written before it, so that nothing was forgotten on either side.</summary>
    public static byte[] WriteEnd(BackupCounts counts) => Frame(EndKind, writer =>
    {
        writer.Write(counts.Documents);
        writer.Write(counts.Segments);
        writer.Write(counts.Records);
        writer.Write(counts.Chains);
        writer.Write(counts.UsedVersions);
        writer.Write(counts.UsedOnce);
    });

    public static BackupCounts ReadEnd(byte[] payload)
    {
        using var reader = Open(payload);
        return new BackupCounts(
            reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64(), reader.ReadInt64(),
            payload.Length > EndLengthWithoutUses ? reader.ReadInt64() : 0);
    }

    /// <exception cref="SigningException"><see cref="SigningFault.StoreFailed"/>: a kind of a newer version.</exception>
    public static BackupItem Read(byte kind, byte[] payload)
    {
        using var reader = Open(payload);
        switch (kind)
        {
            case DocumentKind:
                var (type, id, version, revision) = (reader.ReadString(), reader.ReadString(), reader.ReadInt32(), reader.ReadInt64());
                var document = new Document(type, id, version, ReadBytes(reader), ReadBytes(reader));
                var names = new string[reader.ReadInt32()];
                for (var i = 0; i < names.Length; i++)
                    names[i] = reader.ReadString();
                return new BackupItem.StoredDocument(document, revision, [.. names]);
            case SegmentKind:
                var segment = new AuditSegment
                {
                    Node = reader.ReadString(),
                    FirstSequence = reader.ReadInt64(),
                    Count = reader.ReadInt32(),
                    FirstAt = ReadTime(reader),
                    LastAt = ReadTime(reader),
                    Body = ReadBytes(reader),
                    Previous = ReadBytes(reader),
                    Seal = ReadBytes(reader),
                };
                return new BackupItem.StoredSegment(segment with { Terms = AuditIndex.Of(segment.Body.Span).Terms });
            case HeadKind:
                return new BackupItem.StoredHead(new AuditHead(reader.ReadString(), reader.ReadInt64(), ReadBytes(reader)));
            case UsageKind:
                var usage = new VersionUsage(reader.ReadString(), reader.ReadInt64(), ReadTime(reader), LatestExpiry: null);
                var expiry = reader.ReadInt64();
                return new BackupItem.StoredUsage(expiry == 0 ? usage : usage with { LatestExpiry = new DateTimeOffset(expiry, TimeSpan.Zero) });
            case UseKind:
                return new BackupItem.StoredUse(reader.ReadString(), reader.ReadString(), ReadTime(reader));
            default:
                throw new SigningException(SigningFault.StoreFailed, "The backup holds something that this version of SignSvc does not know: a newer one wrote it.");
        }
    }

    private static byte KindOf(BackupItem item) => item switch
    {
        BackupItem.StoredDocument => DocumentKind,
        BackupItem.StoredSegment => SegmentKind,
        BackupItem.StoredHead => HeadKind,
        BackupItem.StoredUsage => UsageKind,
        BackupItem.StoredUse => UseKind,
        _ => throw new ArgumentOutOfRangeException(nameof(item)),
    };

    private static byte[] Frame(byte kind, Action<BinaryWriter> write)
    {
        var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream);
        writer.Write(kind);
        writer.Write(0);
        write(writer);
        writer.Flush();
        var length = (int)stream.Length - PrefixLength;
        stream.Position = 1;
        writer.Write(length);
        writer.Flush();
        return stream.ToArray();
    }

    private static BinaryReader Open(byte[] payload) => new(new MemoryStream(payload, writable: false));

    private static void Write(BinaryWriter writer, ReadOnlyMemory<byte> bytes)
    {
        writer.Write(bytes.Length);
        writer.Write(bytes.Span);
    }

    private static byte[] ReadBytes(BinaryReader reader) => reader.ReadBytes(reader.ReadInt32());

    private static DateTimeOffset ReadTime(BinaryReader reader) => new(reader.ReadInt64(), TimeSpan.Zero);
}
