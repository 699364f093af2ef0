using System.Text.Json;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Audit;

/// <summary>What follows from a segment's records and is stored beside them: the terms to find them by, and what they add to each version's usage.</summary>
public sealed class AuditIndex
{
    private readonly HashSet<string> _terms = new(StringComparer.Ordinal);
    private readonly Dictionary<string, VersionUsage> _usage = new(StringComparer.Ordinal);
    private AuditRecord? _previous;

    public IReadOnlyCollection<string> Terms => _terms;

    public IReadOnlyCollection<VersionUsage> Usage => _usage.Values;

    /// <param name="body">As <see cref="AuditSegment.Body"/> has it.</param>
    public static AuditIndex Of(ReadOnlySpan<byte> body)
    {
        var index = new AuditIndex();
        while (!body.IsEmpty)
        {
            var end = body.IndexOf((byte)'\n');
            index.Add(JsonSerializer.Deserialize(end < 0 ? body : body[..end], SigningJson.Default.AuditRecord)!);
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
            _usage[kid] = Add(_usage.GetValueOrDefault(kid), kid, record);
    }

    private static VersionUsage Add(VersionUsage? known, string kid, AuditRecord record) => new(
        kid,
        (known?.Uses ?? 0) + 1,
        record.At > known?.LastUsedAt ? record.At : known?.LastUsedAt ?? record.At,
        record.ExpiresAt > known?.LatestExpiry ? record.ExpiresAt : known?.LatestExpiry ?? record.ExpiresAt);
}
