using System.Runtime.CompilerServices;
using System.Text;
using Microsoft.Data.Sqlite;
using SignSvc.Signing.Audit;

namespace SignSvc.Storage.Sqlite;

/// <summary>Reads segments: by their terms, newest first, or as a chain, oldest first.</summary>
internal static class SqliteAuditReader
{
    internal const string Columns = "s.id, s.node, s.first_sequence, s.count, s.first_at, s.last_at, s.body, s.previous, s.seal";

    public static IAsyncEnumerable<AuditSegment> SearchAsync(
        Func<SqliteConnection> open, SqliteAuditTerms index, AuditSegmentFilter filter, CancellationToken cancellationToken)
    {
        // The first term drives: its rows stand in order of time, so that a page ends the walk early. What is not indexed yet comes
        // in between by its time.
        var terms = filter.Terms.Count == 0 ? [SqliteAuditTerms.Any] : filter.Terms;
        var parameters = new List<SqliteParameter>();
        var others = new StringBuilder();
        for (var i = 0; i < terms.Count; i++)
        {
            parameters.Add(new SqliteParameter($"$term{i}", terms[i]));
            if (i > 0)
                others.Append($"AND EXISTS (SELECT 1 FROM audit_terms t{i} WHERE t{i}.term = $term{i} AND t{i}.first_at = d.first_at AND t{i}.segment = d.segment) ");
        }

        var sql =
            $"""
             SELECT {Columns} FROM audit_segments s
             WHERE s.id > (SELECT through FROM audit_indexed) {Within(filter, "s.first_at", "s.id")}
             UNION ALL
             SELECT d.segment, s.node, s.first_sequence, s.count, d.first_at, s.last_at, s.body, s.previous, s.seal
             FROM audit_terms d CROSS JOIN audit_segments s ON s.id = d.segment
             WHERE d.term = $term0 {others} {Within(filter, "d.first_at", "d.segment")}
             ORDER BY 5 DESC, 1 DESC
             """;
        if (filter.From is { } from)
            parameters.Add(new SqliteParameter("$from", Math.Max(0, from.UtcTicks - AuditSegment.MaxSpan.Ticks)));
        if (filter.To is { } to)
            parameters.Add(new SqliteParameter("$to", to.UtcTicks));
        if (filter is { BeforeAt: { } beforeAt, BeforeId: { } beforeId })
        {
            parameters.Add(new SqliteParameter("$before_at", beforeAt.UtcTicks));
            parameters.Add(new SqliteParameter("$before_id", beforeId));
        }

        return ReadAsync(open, sql, parameters, cancellationToken).Where(s => index.MayHave(s.Id, filter.Terms));
    }

    public static IAsyncEnumerable<AuditSegment> ReadChainAsync(
        Func<SqliteConnection> open, string node, long fromSequence, CancellationToken cancellationToken) => ReadAsync(
            open,
            $"""
             SELECT {Columns} FROM audit_segments s WHERE s.node = $node AND s.first_sequence >= coalesce(
                 (SELECT max(first_sequence) FROM audit_segments WHERE node = $node AND first_sequence <= $from), 0)
             ORDER BY s.first_sequence
             """,
            [new SqliteParameter("$node", node), new SqliteParameter("$from", fromSequence)],
            cancellationToken);

    private static string Within(AuditSegmentFilter filter, string at, string id) =>
        (filter.From is null ? "" : $"AND {at} >= $from ")
        + (filter.To is null ? "" : $"AND {at} <= $to ")
        + (filter is { BeforeAt: not null, BeforeId: not null } ? $"AND ({at}, {id}) < ($before_at, $before_id) " : "");

    private static async IAsyncEnumerable<AuditSegment> ReadAsync(
        Func<SqliteConnection> open, string sql, IEnumerable<SqliteParameter> parameters,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var connection = Guard(open);
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.Parameters.AddRange(parameters);
        using var reader = Guard(command.ExecuteReader);
        while (Guard(reader.Read))
        {
            cancellationToken.ThrowIfCancellationRequested();
            yield return Guard(() => AuditSegmentRow.Read(reader));
        }

        // SQLite is synchronous; the signature is asynchronous for the stores that are not.
        await Task.CompletedTask;
    }

    private static T Guard<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (SqliteException e)
        {
            throw SqliteFaults.Of(e);
        }
    }
}
