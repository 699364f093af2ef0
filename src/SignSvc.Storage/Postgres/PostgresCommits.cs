using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Npgsql;
using SignSvc.Signing;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Postgres;

/// <summary>
/// Commits. A segment alone is one statement, one round trip and one flush; nodes meet at no row, so they append in
/// parallel. With changes it is two round trips, one commit at a time over all nodes: whoever changes documents holds
/// the row of the revision until its commit is visible, so no reader sees a revision before all that lead to it.
/// </summary>
internal sealed class PostgresCommits(PostgresConnections connections)
{
    /// <summary>Told after every commit with changes; the payload is the revision.</summary>
    public const string Channel = "signsvc_changes";

    // The head's row is the fence: where it does not stand at the seal before, nothing at all is written and no row
    // comes back. A second writer of the same chain waits for the first one's commit here, and then misses the seal.
    private const string Follow =
        """
        UPDATE audit_heads SET last_sequence = $2 + $3 - 1, seal = $8
        WHERE node = $1 AND last_sequence = $2 - 1 AND seal = $7 RETURNING node
        """;

    private const string Begin =
        "INSERT INTO audit_heads (node, last_sequence, seal) VALUES ($1, $2 + $3 - 1, $8) ON CONFLICT DO NOTHING RETURNING node";

    private const string Append =
        """
        , segment AS (
            INSERT INTO audit_segments (node, first_sequence, count, first_at, last_at, body, previous, seal)
            SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM head RETURNING id),
        terms AS (
            INSERT INTO audit_terms (term, first_at, segment)
            SELECT DISTINCT term, $4, segment.id FROM segment, unnest($9) term),
        usage AS (
            INSERT INTO version_usage AS known (node, kid, uses, last_used_at, latest_expiry)
            SELECT $1, more.* FROM head, unnest($10, $11, $12, $13) more
            ON CONFLICT (node, kid) DO UPDATE SET uses = known.uses + excluded.uses,
                last_used_at = greatest(known.last_used_at, excluded.last_used_at),
                latest_expiry = greatest(known.latest_expiry, excluded.latest_expiry))
        SELECT revision.value FROM revision, segment
        """;

    private readonly UnconfirmedCommits _unconfirmed = new();

    public async Task<long> CommitAsync(AuditSegment segment, IReadOnlyList<DocumentChange> changes)
    {
        try
        {
            // Not to be cancelled: a commit that was given up on may have happened.
            var revision = await connections.ServeAsync(
                connection => changes.Count == 0 ? AppendAsync(connection, segment) : ChangeAsync(connection, segment, changes),
                CancellationToken.None);
            _unconfirmed.Forget(segment.Node);
            return revision;
        }
        catch (SigningException e) when (e.Fault == SigningFault.StoreUnavailable)
        {
            _unconfirmed.Add(segment.Node, segment.Seal);
            throw;
        }
    }

    /// <summary>The key of an index entry for a term.</summary>
    public static long TermKey(string term) =>
        BinaryPrimitives.ReadInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(term)));

    /// <summary>Waits for a commit that is under way on this chain, so that a writer that lost its connection learns whether it happened.</summary>
    public static async Task<AuditHead?> ReadHeadAsync(NpgsqlConnection connection, string node, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT last_sequence, seal FROM audit_heads WHERE node = $1 FOR SHARE", connection);
        command.Parameters.Bind(node);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? new AuditHead(node, reader.GetInt64(0), await reader.GetFieldValueAsync<byte[]>(1, cancellationToken))
            : null;
    }

    private async Task<long> AppendAsync(NpgsqlConnection connection, AuditSegment segment)
    {
        await using var command = new NpgsqlCommand(AppendTo(segment), connection);
        Fill(command.Parameters, segment);
        return await command.ExecuteScalarAsync() as long? ?? throw await FenceAsync(connection, segment);
    }

    private async Task<long> ChangeAsync(NpgsqlConnection connection, AuditSegment segment, IReadOnlyList<DocumentChange> changes)
    {
        await using var transaction = await connection.BeginTransactionAsync();
        await using var batch = new NpgsqlBatch(connection, transaction);
        Fill(batch.Add(AppendTo(segment)).Parameters, segment);
        batch.Add("UPDATE revision SET value = value + $1 RETURNING value").Parameters.Bind((long)changes.Count);
        var demands = new List<(NpgsqlBatchCommand Command, Func<SigningException> Otherwise)>();
        for (var i = 0; i < changes.Count; i++)
            AddChange(batch, demands, changes[i], laterChanges: changes.Count - 1 - i);
        batch.Add($"SELECT value, pg_notify('{Channel}', value::text) FROM revision");

        long revision = 0;
        await using (var reader = await batch.ExecuteReaderAsync())
        {
            do
            {
                while (await reader.ReadAsync())
                    revision = reader.GetInt64(0);
            }
            while (await reader.NextResultAsync());
        }

        if (batch.BatchCommands[0].Rows != 1)
            throw await FenceAsync(connection, segment);
        foreach (var (command, otherwise) in demands)
        {
            if (command.Rows != 1)
                throw otherwise();
        }

        await transaction.CommitAsync();
        return revision;
    }

    private static void AddChange(
        NpgsqlBatch batch, List<(NpgsqlBatchCommand, Func<SigningException>)> demands, DocumentChange change, int laterChanges)
    {
        var document = change.Document;
        var put = batch.Add(document.Version == 1
            ? """
              INSERT INTO documents (kind, id, version, revision, body, seal)
              SELECT $1, $2, $3, value - $4, $5, $6 FROM revision ON CONFLICT DO NOTHING
              """
            : """
              UPDATE documents SET version = $3, revision = (SELECT value - $4 FROM revision), body = $5, seal = $6
              WHERE kind = $1 AND id = $2 AND version = $3 - 1
              """);
        put.Parameters.Bind(document.Kind);
        put.Parameters.Bind(document.Id);
        put.Parameters.Bind(document.Version);
        put.Parameters.Bind((long)laterChanges);
        put.Parameters.Bind(document.Body);
        put.Parameters.Bind(document.Seal);
        demands.Add((put, () => new SigningException(
            SigningFault.Conflict, $"The {document.Kind} was changed by somebody else meanwhile; read it again.")));

        var release = batch.Add("DELETE FROM names WHERE kind = $1 AND id = $2");
        release.Parameters.Bind(document.Kind);
        release.Parameters.Bind(document.Id);
        foreach (var name in change.Names)
        {
            var take = batch.Add("INSERT INTO names (name, kind, id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING");
            take.Parameters.Bind(name);
            take.Parameters.Bind(document.Kind);
            take.Parameters.Bind(document.Id);
            demands.Add((take, () => new SigningException(
                SigningFault.NameTaken, $"The name {name[(name.IndexOf(':', StringComparison.Ordinal) + 1)..]} is taken.")));
        }
    }

    /// <summary>Why the head did not stand where the segment begins.</summary>
    private async Task<SigningException> FenceAsync(NpgsqlConnection connection, AuditSegment segment)
    {
        var head = await ReadHeadAsync(connection, segment.Node, CancellationToken.None);
        return head is not null && _unconfirmed.Holds(head.Node, head.Seal)
            ? PostgresFaults.Unavailable("A commit whose connection had been lost has arrived after all.")
            : PostgresFaults.Failed("The audit chain of this node was written by somebody else.");
    }

    private static string AppendTo(AuditSegment segment) => segment.FirstSequence == 1 ? FirstAppend : NextAppend;

    private static readonly string FirstAppend = $"WITH head AS ({Begin}){Append}";

    private static readonly string NextAppend = $"WITH head AS ({Follow}){Append}";

    private static void Fill(NpgsqlParameterCollection parameters, AuditSegment segment)
    {
        parameters.Bind(segment.Node);
        parameters.Bind(segment.FirstSequence);
        parameters.Bind(segment.Count);
        parameters.Bind(segment.FirstAt.UtcTicks);
        parameters.Bind(segment.LastAt.UtcTicks);
        parameters.Bind(segment.Body);
        parameters.Bind(segment.Previous);
        parameters.Bind(segment.Seal);
        parameters.Bind(segment.Terms.Select(TermKey).ToArray());
        parameters.Bind(segment.Usage.Select(u => u.Kid).ToArray());
        parameters.Bind(segment.Usage.Select(u => u.Uses).ToArray());
        parameters.Bind(segment.Usage.Select(u => u.LastUsedAt.UtcTicks).ToArray());
        parameters.Bind(segment.Usage.Select(u => u.LatestExpiry?.UtcTicks).ToArray());
    }
}

/// <summary>
/// Seals of commits of which it is not known whether they happened. One of them may still arrive after the head was
/// read again, when its server was only slow; it is then this node's own and no second writer's.
/// </summary>
internal sealed class UnconfirmedCommits
{
    /// <summary>For one chain. All of them follow the same head, so one at the most can ever happen.</summary>
    private const int Remembered = 64;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Queue<ReadOnlyMemory<byte>>> _seals = new(StringComparer.Ordinal);

    public void Add(string node, ReadOnlyMemory<byte> seal)
    {
        lock (_gate)
        {
            if (!_seals.TryGetValue(node, out var seals))
                _seals[node] = seals = [];
            if (seals.Count == Remembered)
                seals.Dequeue();
            seals.Enqueue(seal);
        }
    }

    public bool Holds(string node, ReadOnlyMemory<byte> seal)
    {
        lock (_gate)
            return _seals.TryGetValue(node, out var seals) && seals.Any(s => s.Span.SequenceEqual(seal.Span));
    }

    public void Forget(string node)
    {
        lock (_gate)
            _seals.Remove(node);
    }
}
