using System.Buffers.Binary;
using System.Security.Cryptography;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Audit;

/// <summary>
/// The records of one group commit: consecutive in their node's chain, one JSON object a line. Storing them together
/// is what makes a record cheap: one row, one set of index terms and one seal, however many decisions it holds.
/// </summary>
public sealed record AuditSegment
{
    /// <summary>No segment's records lie further apart, so that a store can find those of a time by their first record's time alone.</summary>
    public static readonly TimeSpan MaxSpan = TimeSpan.FromMinutes(10);

    /// <summary>Given by the store; rises with time on one node. 0 before the commit.</summary>
    public long Id { get; init; }

    /// <summary>The node whose chain this is.</summary>
    public required string Node { get; init; }

    /// <summary>The first record's number in the chain, from 1.</summary>
    public required long FirstSequence { get; init; }

    public required int Count { get; init; }

    /// <summary>The earliest and the latest time among the records.</summary>
    public required DateTimeOffset FirstAt { get; init; }

    public required DateTimeOffset LastAt { get; init; }

    /// <summary>UTF-8, one record a line, each line ended by a line feed.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>The seal of the segment before; 32 zero bytes for a chain's first.</summary>
    public required ReadOnlyMemory<byte> Previous { get; init; }

    /// <summary>See <see cref="AuditChain"/>.</summary>
    public required ReadOnlyMemory<byte> Seal { get; init; }

    /// <summary>What the store indexes the segment by: <c>caller=…</c>, <c>key=…</c>; see <see cref="AuditTerms"/>. Not sealed: they follow from the body.</summary>
    public IReadOnlyCollection<string> Terms { get; init; } = [];

    /// <summary>The signatures among the records, added up per version: the store adds them to what it has, in the same commit. Follows from the body.</summary>
    public IReadOnlyCollection<VersionUsage> Usage { get; init; } = [];

    public long LastSequence => FirstSequence + Count - 1;
}

/// <summary>Where a chain ends. Operators who write it down elsewhere can prove later that nothing before it was cut off.</summary>
public sealed record AuditHead(string Node, long LastSequence, ReadOnlyMemory<byte> Seal);

/// <summary>
/// Seals segments into a chain: HMAC-SHA256, under a key derived from the root key, over the seal before, the position
/// and the body. An edited, dropped or reordered record breaks it; without the root key nobody can mend the break.
/// </summary>
public sealed class AuditChain(byte[] key)
{
    public static readonly ReadOnlyMemory<byte> Genesis = new byte[32];

    public byte[] Seal(string node, long firstSequence, int count, ReadOnlySpan<byte> previous, ReadOnlySpan<byte> body)
    {
        using var hmac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hmac.AppendData(previous);
        var name = System.Text.Encoding.UTF8.GetBytes(node);
        Span<byte> position = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(position, firstSequence);
        BinaryPrimitives.WriteInt32BigEndian(position[8..], count);
        BinaryPrimitives.WriteInt32BigEndian(position[12..], name.Length);
        hmac.AppendData(position);
        hmac.AppendData(name);
        hmac.AppendData(body);
        return hmac.GetHashAndReset();
    }

    public bool IsIntact(AuditSegment segment, ReadOnlySpan<byte> previous) =>
        segment.Previous.Span.SequenceEqual(previous)
        && CryptographicOperations.FixedTimeEquals(
            Seal(segment.Node, segment.FirstSequence, segment.Count, previous, segment.Body.Span), segment.Seal.Span);
}
