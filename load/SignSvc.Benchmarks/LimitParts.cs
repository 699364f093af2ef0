using System.Text.Json;
using BenchmarkDotNet.Attributes;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Storage;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Benchmarks;

/// <summary>What a limit adds to a decision: without one, and with one for each caller or for each caller and key. Uses are counted, because no rate is above that of the benchmark.</summary>
public class LimitParts
{
    private readonly Caller _caller = new("oidc:github:repo:acme/app:ref:refs/heads/main", [Role.Signer]);
    private string _folder = "";
    private SqliteStore _store = null!;
    private AuditLog _audit = null!;
    private AuditRecord _draft = null!;
    private Decisions _decisions = null!;

    [Params("none", "caller", "callerAndKey")]
    public string Limit { get; set; } = "none";

    [GlobalSetup]
    public async Task PrepareAsync()
    {
        _folder = Directory.CreateTempSubdirectory("signsvc-benchmarks-").FullName;
        _store = SqliteStore.Open(Path.Combine(_folder, "signsvc.db"));
        _audit = await AuditLog.OpenAsync(_store, new AuditChain(new byte[32]), "local", new AuditLimits(), TimeProvider.System, CancellationToken.None);
        var live = await LiveSnapshot.OpenAsync(_store, _audit, new DocumentSeal(new byte[32]), CancellationToken.None);
        _decisions = new Decisions(_audit, live, TimeProvider.System);
        _draft = _decisions.Draft(_caller, Actions.KeysSign, "key/release");
        if (Limit is "none")
            return;
        var document = JsonSerializer.Deserialize<PolicyDocument>(
            $$$"""{"statements":[{"effect":"limit","principals":["oidc:github:*"],"actions":["keys:Sign"],"resources":["*"],"limit":{"per":"{{{Limit}}}","uses":1000000000,"periodSeconds":31622400} }]}""")!;
        await new PolicyAdministration(live, _decisions, TimeProvider.System).PutAsync(new Caller("credential:admin", [Role.Admin]), "limit", document, force: true, CancellationToken.None);
    }

    [Benchmark(Description = "a decision by a role, within its limits")]
    public Permit Authorise() => _decisions.Authorise(_caller, _draft);

    [GlobalCleanup]
    public async Task EndAsync()
    {
        await _audit.DisposeAsync();
        await _store.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
