using System.Runtime.CompilerServices;
using System.Text;
using Npgsql;
using SignSvc.Signing.Audit;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// Reads segments: by their terms, newest first, or as a chain, oldest first. In pages, each of which is one statement:
/// no connection and no snapshot is held while the reader works, and a page is bounded in bytes as well as in rows.
/// </summary>
internal sealed class PostgresAuditReader(PostgresConnections connections)
{
    /// <summary>A lookup of one record reads little; a long walk soon reads large pages.</summary>
    private const int FirstPage = 4;

    private const int LargestPage = 64;

    /// <summary>A page ends with the segment that passes it.</summary>
    private const int PageBytes = 8 * 1024 * 1024;

    public IAsyncEnumerable<AuditSegment> SearchAsync(AuditSegmentFilter filter, CancellationToken cancellationToken) => ReadAsync(
        (last, rows) => last is null ? Search(filter, rows) : Search(filter with { BeforeAt = last.FirstAt, BeforeId = last.Id }, rows),
        cancellationToken);

    public async IAsyncEnumerable<AuditSegment> ReadChainAsync(
        string node, long fromSequence, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var first = await connections.SearchAsync(
            async connection =>
            {
                await using var command = new NpgsqlCommand(
                    "SELECT coalesce(max(first_sequence), 0) FROM audit_segments WHERE node = $1 AND first_sequence <= $2", connection);
                command.Parameters.Bind(node);
                command.Parameters.Bind(fromSequence);
                return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
            },
            cancellationToken);
        await foreach (var segment in ReadAsync((last, rows) => Chain(node, last is null ? first : last.LastSequence + 1, rows), cancellationToken))
            yield return segment;
    }

    private static NpgsqlCommand Search(AuditSegmentFilter filter, int rows)
    {
        var command = new NpgsqlCommand();
        // The first term drives: its rows stand in order of time, so that a page ends the walk early.
        var (at, id) = filter.Terms.Count == 0 ? ("s.first_at", "s.id") : ("d.first_at", "d.segment");
        var sql = new StringBuilder("SELECT s.* FROM ");
        sql.Append(filter.Terms.Count == 0 ? "audit_segments s WHERE true" : "audit_terms d JOIN audit_segments s ON s.id = d.segment WHERE true");
        for (var i = 0; i < filter.Terms.Count; i++)
        {
            var term = Parameter(PostgresCommits.TermKey(filter.Terms[i]));
            sql.Append(i == 0
                ? $" AND d.term = {term}"
                : $" AND EXISTS (SELECT FROM audit_terms t WHERE t.term = {term} AND t.first_at = d.first_at AND t.segment = d.segment)");
        }

        if (filter.From is { } from)
        {
            sql.Append($" AND {at} >= {Parameter(Math.Max(0, from.UtcTicks - AuditSegment.MaxSpan.Ticks))}");
            sql.Append($" AND s.last_at >= {Parameter(from.UtcTicks)}");
        }

        if (filter.To is { } to)
            sql.Append($" AND {at} <= {Parameter(to.UtcTicks)}");
        if (filter is { BeforeAt: { } beforeAt, BeforeId: { } beforeId })
            sql.Append($" AND ({at}, {id}) < ({Parameter(beforeAt.UtcTicks)}, {Parameter(beforeId)})");
        sql.Append($" ORDER BY {at} DESC, {id} DESC LIMIT {rows}");
        command.CommandText = Bounded(sql.ToString(), "first_at DESC, id DESC");
        return command;

        string Parameter(long value)
        {
            command.Parameters.Bind(value);
            return $"${command.Parameters.Count}";
        }
    }

    private static NpgsqlCommand Chain(string node, long firstSequence, int rows)
    {
        var command = new NpgsqlCommand(Bounded(
            $"SELECT * FROM audit_segments WHERE node = $1 AND first_sequence >= $2 ORDER BY first_sequence LIMIT {rows}",
            "first_sequence"));
        command.Parameters.Bind(node);
        command.Parameters.Bind(firstSequence);
        return command;
    }

    /// <summary>The sizes are known without reading the bodies, so what is beyond the bound is not even fetched by the server.</summary>
    private static string Bounded(string rows, string order) =>
        $"""
         SELECT id, node, first_sequence, count, first_at, last_at, body, previous, seal
         FROM (SELECT *, sum(octet_length(body)) OVER (ORDER BY {order}) - octet_length(body) AS bytes_before FROM ({rows}) page) sized
         WHERE bytes_before < {PageBytes} ORDER BY {order}
         """;

    private async IAsyncEnumerable<AuditSegment> ReadAsync(
        Func<AuditSegment?, int, NpgsqlCommand> page, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        AuditSegment? last = null;
        for (var rows = FirstPage; ; rows = Math.Min(rows * 4, LargestPage))
        {
            var segments = await connections.SearchAsync(
                connection => ReadPageAsync(connection, page(last, rows), cancellationToken), cancellationToken);
            foreach (var segment in segments)
                yield return last = segment;
            // A short page may have ended at its bound of bytes: only an empty one is the end.
            if (segments.Count == 0)
                yield break;
        }
    }

    private static async Task<List<AuditSegment>> ReadPageAsync(
        NpgsqlConnection connection, NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var _ = command;
        command.Connection = connection;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var segments = new List<AuditSegment>();
        while (await reader.ReadAsync(cancellationToken))
        {
            segments.Add(AuditSegmentRow.Read(reader));
        }

        return segments;
    }
}
