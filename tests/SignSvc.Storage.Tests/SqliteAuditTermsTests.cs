using System.Globalization;
using Microsoft.Data.Sqlite;
using SignSvc.Signing.Audit;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Storage.Tests;

/// <summary>Terms of the audit are written some commits later: what is found is the same before, in between, and after a restart.</summary>
public sealed class SqliteAuditTermsTests : IAsyncLifetime
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-terms-");
    private readonly AuditChain _chain = new(new byte[32]);
    private SqliteStore _store = null!;
    private AuditLog _log = null!;
    private int _minute;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string File => Path.Combine(_folder.FullName, "signsvc.db");

    public async ValueTask InitializeAsync() => await OpenAsync();

    [Fact]
    public async Task Every_record_is_found_by_each_of_its_terms_however_many_came_after_it_and_whenever_it_restarted()
    {
        for (var i = 0; i < 100; i++)
        {
            await RecordAsync($"caller-{i % 5}", digest: $"{i}");
            if (i % 17 == 0)
                await ReopenAsync();
            Assert.Equal((i / 5) + 1, await CountAsync(new AuditQuery(Caller: $"caller-{i % 5}")));
            Assert.Equal(1, await CountAsync(new AuditQuery(Digest: $"{i}")));
            Assert.Equal(1, await CountAsync(new AuditQuery(Digest: $"{i / 2}", Caller: $"caller-{i / 2 % 5}")));
            Assert.Equal(0, await CountAsync(new AuditQuery(Digest: $"{i / 2}", Caller: $"caller-{(i / 2 + 1) % 5}")));
            Assert.Equal(i + 1, await CountAsync(new AuditQuery()));
        }

        Assert.InRange(await ReadNumberAsync("SELECT through FROM audit_indexed"), 1, 99);
        await AssertIndexIsExactAsync();
    }

    [Fact]
    public async Task A_large_segment_is_indexed_at_once()
    {
        await RecordAsync("small", digest: "1");
        Assert.Equal(0, await ReadNumberAsync("SELECT count(*) FROM audit_terms"));
        await _log.AppendAsync([.. Enumerable.Range(0, 2000).Select(i => Record("large", $"{i}"))], Cancel);
        await AssertIndexIsExactAsync();
        Assert.Equal(2, await ReadNumberAsync("SELECT through FROM audit_indexed"));
    }

    [Fact]
    public async Task A_commit_that_is_refused_while_it_writes_terms_leaves_them_for_the_next()
    {
        for (var i = 0; i < 20; i++)
            await RecordAsync("ci", digest: $"{i}");
        var before = await ReadNumberAsync("SELECT through FROM audit_indexed");
        var many = Enumerable.Range(0, 200).Select(i => Record("ci", $"many-{i}")).ToArray();
        var taken = new ChainWriter("other");
        await taken.CommitAsync(_store);
        await Assert.ThrowsAsync<Signing.SigningException>(() => _store.CommitAsync(
            taken.Next(terms: [.. many.Select(m => $"digest={m.Digest}")]), [MisplacedChange()], Cancel));
        Assert.Equal(before, await ReadNumberAsync("SELECT through FROM audit_indexed"));

        await _log.AppendAsync(many, Cancel);
        Assert.InRange(await ReadNumberAsync("SELECT through FROM audit_indexed"), before + 1, long.MaxValue);
        await AssertIndexIsExactAsync();
        Assert.Equal(220, await CountAsync(new AuditQuery(Caller: "ci")));
    }

    [Fact]
    public async Task A_file_of_the_schema_before_is_searched_as_it_was()
    {
        for (var i = 0; i < 60; i++)
            await RecordAsync($"caller-{i % 3}", digest: $"{i}");
        await CloseAsync();
        await IndexAllAsBeforeAsync();
        await OpenAsync();
        Assert.Equal(60, await CountAsync(new AuditQuery()));
        Assert.Equal(20, await CountAsync(new AuditQuery(Caller: "caller-1")));
        await RecordAsync("caller-1", digest: "new");
        Assert.Equal(21, await CountAsync(new AuditQuery(Caller: "caller-1")));
        await AssertIndexIsExactAsync();
    }

    [Fact]
    public async Task A_damaged_body_among_the_last_segments_does_not_keep_the_store_from_opening()
    {
        await RecordAsync("ci", digest: "1");
        await RecordAsync("ci", digest: "2");
        await CloseAsync();
        await ExecuteAsync("UPDATE audit_segments SET body = CAST('null' || char(10) AS BLOB) WHERE id = 2");
        await OpenAsync();
        Assert.Equal([2, 1], await _store.SearchAuditAsync(new AuditSegmentFilter(["digest=1"], null, null), Cancel).Select(s => s.Id).ToListAsync(Cancel));
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _folder.Delete(recursive: true);
    }

    private static Signing.Storage.DocumentChange MisplacedChange() =>
        new(new Signing.Storage.Document("key", "none", Version: 7, new byte[1], new byte[32]), []);

    private AuditRecord Record(string caller, string digest) => new()
    {
        At = ChainWriter.Noon.AddMinutes(++_minute % 7),
        Caller = caller,
        Action = "keys:Sign",
        Outcome = AuditOutcome.Allowed,
        KeyId = "key-1",
        Digest = digest,
    };

    private async Task RecordAsync(string caller, string digest) => await _log.AppendAsync(Record(caller, digest), Cancel);

    private async Task<int> CountAsync(AuditQuery query)
    {
        var search = new AuditSearch(_store);
        var (count, next) = (0, (string?)null);
        do
        {
            (var page, next) = await search.FindAsync(query, limit: 7, next, Cancel);
            count += page.Count;
        }
        while (next is not null);
        return count;
    }

    /// <summary>The terms of every segment up to the mark, each under its time, and no others.</summary>
    private async Task AssertIndexIsExactAsync()
    {
        var through = await ReadNumberAsync("SELECT through FROM audit_indexed");
        var expected = new List<string>();
        await foreach (var segment in _store.ReadAuditChainAsync("log", 1, Cancel))
        {
            if (segment.Id <= through)
                expected.AddRange(AuditIndex.Of(segment.Body.Span).Terms.Append("").Select(t => Row(t, segment.FirstAt.UtcTicks, segment.Id)));
        }

        var actual = new List<string>();
        await using var connection = await ConnectAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT t.term, t.first_at, t.segment FROM audit_terms t JOIN audit_segments s ON s.id = t.segment WHERE s.node = 'log'";
        await using var reader = await command.ExecuteReaderAsync(Cancel);
        while (await reader.ReadAsync(Cancel))
            actual.Add(Row(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2)));
        Assert.Equal(expected.Order(StringComparer.Ordinal), actual.Order(StringComparer.Ordinal), StringComparer.Ordinal);

        static string Row(string term, long at, long segment) => string.Create(CultureInfo.InvariantCulture, $"{term} {at} {segment}");
    }

    /// <summary>As schema version 2 had it: every term beside its segment, and an index by time.</summary>
    private async Task IndexAllAsBeforeAsync()
    {
        await ExecuteAsync("DELETE FROM audit_terms");
        var rows = new List<string>();
        await using (var connection = await ConnectAsync())
        await using (var command = connection.CreateCommand())
        {
            command.CommandText = "SELECT id, first_at, body FROM audit_segments";
            await using var reader = await command.ExecuteReaderAsync(Cancel);
            while (await reader.ReadAsync(Cancel))
            {
                var (id, at, body) = (reader.GetInt64(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(2));
                rows.AddRange(AuditIndex.Of(body).Terms.Select(t => string.Create(CultureInfo.InvariantCulture, $"('{t}', {at}, {id})")));
            }
        }

        await ExecuteAsync($"INSERT INTO audit_terms (term, first_at, segment) VALUES {string.Join(',', rows)}");
        await ExecuteAsync("DROP TABLE audit_indexed; CREATE INDEX audit_segments_by_time ON audit_segments (first_at, id); PRAGMA user_version = 2");
    }

    private async Task OpenAsync()
    {
        _store = SqliteStore.Open(File);
        _log = await AuditLog.OpenAsync(_store, _chain, "log", new AuditLimits { CommitTimeout = TimeSpan.FromMinutes(1) }, TimeProvider.System, Cancel);
    }

    private async Task CloseAsync()
    {
        await _log.DisposeAsync();
        await _store.DisposeAsync();
    }

    private async Task ReopenAsync()
    {
        await CloseAsync();
        await OpenAsync();
    }

    private async Task<SqliteConnection> ConnectAsync()
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = File, Pooling = false }.ToString());
        await connection.OpenAsync(Cancel);
        return connection;
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var connection = await ConnectAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync(Cancel);
    }

    private async Task<long> ReadNumberAsync(string sql)
    {
        await using var connection = await ConnectAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        return (long)(await command.ExecuteScalarAsync(Cancel))!;
    }
}
