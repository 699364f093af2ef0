using System.Globalization;
using System.Text.Json;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Audit;

/// <summary>What to look for; null means any. Times are inclusive.</summary>
/// <param name="Key">A key's id or its name at the time.</param>
/// <param name="Digest">Standard base64.</param>
public sealed record AuditQuery(
    DateTimeOffset? From = null,
    DateTimeOffset? To = null,
    string? Caller = null,
    string? Key = null,
    string? Action = null,
    AuditOutcome? Outcome = null,
    string? Digest = null,
    string? AuditId = null);

/// <param name="Terms">All must be on the segment; the most telling first.</param>
/// <param name="BeforeAt">With <paramref name="BeforeId"/>: only segments that come after this one in the order newest first.</param>
public sealed record AuditSegmentFilter(
    IReadOnlyList<string> Terms,
    DateTimeOffset? From,
    DateTimeOffset? To,
    DateTimeOffset? BeforeAt = null,
    long? BeforeId = null);

/// <summary>The words under which a store finds segments again.</summary>
public static class AuditTerms
{
    public static void AddTo(ISet<string> terms, AuditRecord record)
    {
        terms.Add($"caller={record.Caller}");
        terms.Add($"action={record.Action}");
        terms.Add(Outcome(record.Outcome));
        if (record.KeyId is not null)
            terms.Add($"key={record.KeyId}");
        if (record.KeyName is not null)
            terms.Add($"key={record.KeyName}");
        if (record.Digest is not null)
            terms.Add($"digest={record.Digest}");
    }

    /// <summary>A batch's records differ in little: those that are found under the same words need not be taken apart again.</summary>
    public static bool AreSame(AuditRecord a, AuditRecord b) =>
        a.Outcome == b.Outcome
        && string.Equals(a.Caller, b.Caller, StringComparison.Ordinal)
        && string.Equals(a.Action, b.Action, StringComparison.Ordinal)
        && string.Equals(a.KeyId, b.KeyId, StringComparison.Ordinal)
        && string.Equals(a.KeyName, b.KeyName, StringComparison.Ordinal)
        && string.Equals(a.Digest, b.Digest, StringComparison.Ordinal);

    /// <summary>The most telling first: a store walks the first and tests the others.</summary>
    public static List<string> Of(AuditQuery query)
    {
        var terms = new List<string>();
        if (query.Digest is not null)
            terms.Add($"digest={query.Digest}");
        if (query.Outcome is not null and not AuditOutcome.Allowed)
            terms.Add(Outcome(query.Outcome.Value));
        if (query.Key is not null)
            terms.Add($"key={query.Key}");
        if (query.Caller is not null)
            terms.Add($"caller={query.Caller}");
        if (query.Action is not null)
            terms.Add($"action={query.Action}");
        if (query.Outcome is AuditOutcome.Allowed)
            terms.Add(Outcome(AuditOutcome.Allowed));
        return terms;
    }

    private static string Outcome(AuditOutcome outcome) => outcome switch
    {
        AuditOutcome.Allowed => "outcome=allowed",
        AuditOutcome.Denied => "outcome=denied",
        _ => "outcome=failed",
    };
}

/// <summary>Reads records out of segments.</summary>
public sealed class AuditSearch(IStore store)
{
    public const int MaxPage = 1000;

    /// <summary>One page, newest first, and where the next begins (null: there is none).</summary>
    /// <param name="after">A cursor of an earlier page.</param>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: no such cursor.</exception>
    public async Task<(IReadOnlyList<AuditRecord> Records, string? Next)> FindAsync(
        AuditQuery query, int limit, string? after, CancellationToken cancellationToken)
    {
        if (query.AuditId is not null)
            return (await FindByIdAsync(query, cancellationToken), null);

        var (from, skip) = Cursor.Parse(after);
        var found = new List<AuditRecord>();
        // The cursor names the segment a page ended in, so that one is read again: hence the +1 on its id.
        var filter = new AuditSegmentFilter(AuditTerms.Of(query), query.From, query.To, from?.At, from?.Id + 1);
        await foreach (var segment in store.SearchAuditAsync(filter, cancellationToken))
        {
            var records = Read(segment);
            var start = segment.Id == from?.Id ? records.Count - 1 - skip : records.Count - 1;
            for (var i = start; i >= 0; i--)
            {
                if (!Matches(query, records[i]))
                    continue;
                if (found.Count == limit)
                    return (found, Cursor.Format(segment, records.Count - 1 - i));
                found.Add(records[i]);
            }
        }

        return (found, null);
    }

    public static IReadOnlyList<AuditRecord> Read(AuditSegment segment)
    {
        var records = new List<AuditRecord>(segment.Count);
        var rest = segment.Body.Span;
        while (!rest.IsEmpty)
        {
            var end = rest.IndexOf((byte)'\n');
            if (end < 0)
                throw Damaged(segment);
            var record = JsonSerializer.Deserialize(rest[..end], SigningJson.Default.AuditRecord) ?? throw Damaged(segment);
            records.Add(record with { AuditId = AuditId.Format(segment.Node, segment.FirstSequence + records.Count) });
            rest = rest[(end + 1)..];
        }

        return records;
    }

    private async Task<IReadOnlyList<AuditRecord>> FindByIdAsync(AuditQuery query, CancellationToken cancellationToken)
    {
        if (!AuditId.TryParse(query.AuditId!, out var node, out var sequence))
            return [];
        await foreach (var segment in store.ReadAuditChainAsync(node, sequence, cancellationToken))
        {
            // A number beyond the chain's end leads to its last segment.
            if (sequence < segment.FirstSequence || sequence > segment.LastSequence)
                break;
            var record = Read(segment)[(int)(sequence - segment.FirstSequence)];
            return Matches(query, record) ? [record] : [];
        }

        return [];
    }

    private static bool Matches(AuditQuery query, AuditRecord record) =>
        (query.From is null || record.At >= query.From)
        && (query.To is null || record.At <= query.To)
        && Same(query.Caller, record.Caller)
        && (query.Key is null || Same(query.Key, record.KeyId) || Same(query.Key, record.KeyName))
        && Same(query.Action, record.Action)
        && (query.Outcome is null || query.Outcome == record.Outcome)
        && Same(query.Digest, record.Digest);

    private static bool Same(string? wanted, string? actual) =>
        wanted is null || string.Equals(wanted, actual, StringComparison.Ordinal);

    private static SigningException Damaged(AuditSegment segment) => new(
        SigningFault.StoreFailed, $"The audit segment of {segment.Node} from {segment.FirstSequence} is damaged.");

    /// <summary>Where a page ended: a segment by time and id, and how many of its records, from its end, were passed.</summary>
    private sealed record Cursor(DateTimeOffset At, long Id)
    {
        public static string Format(AuditSegment segment, int passed) =>
            string.Create(CultureInfo.InvariantCulture, $"{segment.FirstAt.UtcTicks}.{segment.Id}.{passed}");

        public static (Cursor? From, int Skip) Parse(string? text)
        {
            if (text is null)
                return (null, 0);
            var parts = text.Split('.');
            if (parts.Length == 3
                && long.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var ticks)
                && ticks <= DateTimeOffset.MaxValue.UtcTicks
                && long.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && id < long.MaxValue
                && int.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out var skip))
            {
                return (new Cursor(new DateTimeOffset(ticks, TimeSpan.Zero), id), skip);
            }

            throw new SigningException(SigningFault.InvalidRequest, "The cursor is not one that a search gave.");
        }
    }
}

/// <summary>An audit record's name: its node and its number in that node's chain.</summary>
public static class AuditId
{
    public static string Format(string node, long sequence) =>
        string.Create(CultureInfo.InvariantCulture, $"{node}-{sequence}");

    public static bool TryParse(string id, out string node, out long sequence)
    {
        var dash = id.LastIndexOf('-');
        node = dash < 0 ? "" : id[..dash];
        sequence = 0;
        return dash > 0 && long.TryParse(id.AsSpan(dash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out sequence);
    }
}
