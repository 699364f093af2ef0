using System.Text.Json;
using Microsoft.Data.Sqlite;
using SignSvc.Signing.Audit;

namespace SignSvc.Storage.Sqlite;

/// <summary>
/// The index of the audit: terms of several segments, written together. Each term stands in a page of its own, and a commit of a
/// few records would write six of them. A search goes through the last segments, whose terms wait, by itself.
/// </summary>
/// <remarks>Written under the writer's gate. What waits follows from the segments' bodies, from which it is read at the next start.</remarks>
internal sealed class SqliteAuditTerms : IDisposable
{
    /// <summary>Every segment has it: the index by time.</summary>
    public const string Any = "";

    /// <summary>Terms that wait at the most: each may touch a page of its own, and somebody waits for the commit that writes them.</summary>
    private const int MostTerms = 128;

    /// <summary>Of the records of segments that wait, at the most: every search reads them.</summary>
    private const int MostBytes = 256 * 1024;

    private readonly SqliteStatement _term;
    private readonly SqliteStatement _through;
    private readonly Lock _gate = new();
    private readonly Dictionary<long, Unindexed> _waiting = [];
    private Unindexed? _added;
    private bool _isWritten;
    private int _terms;
    private int _bytes;

    public SqliteAuditTerms(SqliteConnection connection)
    {
        _term = new SqliteStatement(connection, "INSERT OR IGNORE INTO audit_terms (term, first_at, segment) VALUES ($term, $first_at, $segment)");
        _through = new SqliteStatement(connection, "UPDATE audit_indexed SET through = $id");
        Read(connection);
    }

    /// <summary>In the transaction that appends the segment.</summary>
    public void Add(long id, AuditSegment appended)
    {
        _added = new Unindexed(id, appended.FirstAt.UtcTicks, appended.Terms, appended.Body.Length);
        _isWritten = _terms + _added.Terms.Count >= MostTerms || _bytes + _added.Bytes >= MostBytes;
        if (!_isWritten)
            return;
        foreach (var segment in _waiting.Values)
            Write(segment);
        Write(_added);
        _through.With(id).Run();
    }

    /// <summary>When the transaction is committed. One that is not leaves what waited as it was.</summary>
    public void Committed()
    {
        if (!_isWritten)
        {
            Wait(_added!);
            return;
        }

        lock (_gate)
            _waiting.Clear();
        (_terms, _bytes) = (0, 0);
    }

    /// <summary>False only where the segment's terms wait and are not all of these.</summary>
    public bool MayHave(long segment, IReadOnlyList<string> terms)
    {
        lock (_gate)
            return !_waiting.TryGetValue(segment, out var unindexed) || unindexed.IsDamaged || terms.All(unindexed.Terms.Contains);
    }

    public void Dispose()
    {
        _term.Dispose();
        _through.Dispose();
    }

    private void Read(SqliteConnection connection)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT id, first_at, body FROM audit_segments WHERE id > (SELECT through FROM audit_indexed) ORDER BY id";
        using var reader = command.ExecuteReader();
        while (reader.Read())
            Wait(Unindexed.Of(reader.GetInt64(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2)));
    }

    private void Wait(Unindexed segment)
    {
        lock (_gate)
            _waiting[segment.Id] = segment;
        _terms += segment.Terms.Count;
        _bytes += segment.Bytes;
    }

    private void Write(Unindexed segment)
    {
        _term.With(Any).With(segment.FirstAt).With(segment.Id).Run();
        foreach (var term in segment.Terms)
            _term.With(term).With(segment.FirstAt).With(segment.Id).Run();
    }

    private sealed record Unindexed(long Id, long FirstAt, IReadOnlyCollection<string> Terms, int Bytes, bool IsDamaged = false)
    {
        /// <summary>Of a damaged body no terms are known; the check of the chain tells of it.</summary>
        public static Unindexed Of(long id, long firstAt, byte[] body)
        {
            try
            {
                return new Unindexed(id, firstAt, AuditIndex.Of(body).Terms, body.Length);
            }
            catch (JsonException)
            {
                return new Unindexed(id, firstAt, [], body.Length, IsDamaged: true);
            }
        }
    }
}
