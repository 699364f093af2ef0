using BenchmarkDotNet.Attributes;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Keys;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Benchmarks;

/// <summary>Putting decisions on record in SQLite, durably: alone, and together as a group commit has them.</summary>
public class AuditParts
{

    private string _folder = "";
    private SqliteStore _store = null!;
    private AuditLog _log = null!;
    private AuditRecord[] _records = [];

    /// <summary>Records that become durable together; figures are of all of them.</summary>
    [Params(1, 16, 1000)]
    public int Records { get; set; }

    [GlobalSetup]
    public async Task PrepareAsync()
    {
        _folder = Directory.CreateTempSubdirectory("signsvc-benchmarks-").FullName;
        _store = SqliteStore.Open(Path.Combine(_folder, "signsvc.db"));
        _log = await AuditLog.OpenAsync(_store, new AuditChain(new byte[32]), "local", new AuditLimits(), TimeProvider.System, CancellationToken.None);
        _records = [.. Enumerable.Range(0, Records).Select(i => new AuditRecord
        {
            At = TimeProvider.System.GetUtcNow(),
            Caller = "credential:ci",
            Action = Actions.TokensIssue,
            Outcome = AuditOutcome.Allowed,
            Resource = "profile/default",
            KeyId = "0197a2b4-0000-7000-8000-000000000000",
            KeyName = "tokens",
            Version = 1,
            Kid = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            Algorithm = SigningAlgorithm.ES256,
            Protection = Protection.Software,
            TokenId = $"token-{i}",
            Subject = "build-42",
            Audience = "api://deploy",
            ExpiresAt = TimeProvider.System.GetUtcNow(),
            Address = "127.0.0.1",
        })];
    }

    [Benchmark(Description = "append, durable")]
    public async Task<int> AppendAsync() => (await _log.AppendAsync(_records, CancellationToken.None)).Length;

    [GlobalCleanup]
    public async Task EndAsync()
    {
        await _log.DisposeAsync();
        await _store.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
