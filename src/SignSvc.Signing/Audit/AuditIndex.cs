using System.Runtime.InteropServices;
using System.Text.Json;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Audit;

/// <summary>What follows from a segment's records and is stored beside them: the terms to find them by, and what they add to each version's usage.</summary>
public sealed class AuditIndex
{
    private readonly HashSet<string> _terms = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Added> _usage = new(StringComparer.Ordinal);
    private AuditRecord? _previous;

    public IReadOnlyCollection<string> Terms => _terms;

    public IReadOnlyCollection<VersionUsage> Usage => [.. _usage.Select(u => new VersionUsage(u.Key, u.Value.Uses, u.Value.LastUsedAt, u.Value.LatestExpiry))];

    /// <param name="body">As <see cref="AuditSegment.Body"/> has it.</param>
    /// <exception cref="JsonException">It is damaged.</exception>
    public static AuditIndex Of(ReadOnlySpan<byte> body)
    {
        var index = new AuditIndex();
        while (!body.IsEmpty)
        {
            var end = body.IndexOf((byte)'\n');
            index.Add(JsonSerializer.Deserialize(end < 0 ? body : body[..end], SigningJson.Default.AuditRecord) ?? throw new JsonException("A record is null."));
            body = end < 0 ? [] : body[(end + 1)..];
        }

        return index;
    }

    public void Add(AuditRecord record)
    {
        if (_previous is null || !AuditTerms.AreSame(_previous, record))
            AuditTerms.AddTo(_terms, record);
        _previous = record;
        if (record is { Kid: { } kid, IsSignature: true })
            CollectionsMarshal.GetValueRefOrAddDefault(_usage, kid, out _).Add(record);
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Added
    {
        public long Uses;
        public DateTimeOffset LastUsedAt;
        public DateTimeOffset? LatestExpiry;

        public void Add(AuditRecord record)
        {
            Uses++;
            LastUsedAt = record.At > LastUsedAt ? record.At : LastUsedAt;
            if (LatestExpiry is null || record.ExpiresAt > LatestExpiry)
                LatestExpiry = record.ExpiresAt;
        }
    }
}
