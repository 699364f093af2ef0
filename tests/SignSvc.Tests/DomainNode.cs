using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Tests;

/// <summary>The rules over a real database, without a process, so that time and the database's rows are the test's to move.</summary>
internal sealed class DomainNode : IAsyncDisposable
{
    public static readonly AuditChain Chain = new(new byte[32]);

    private readonly string _folder;
    private readonly SqliteStore _store;
    private readonly RootKey _rootKey = RootKey.Generate();
    private readonly SoftwareBackend _software;
    private readonly AuditLog _audit;

    private DomainNode(string folder, SqliteStore store, AuditLog audit, LiveSnapshot live, ManualClock clock)
    {
        _folder = folder;
        _store = store;
        _audit = audit;
        _software = new SoftwareBackend("software", _rootKey);
        Live = live;
        Clock = clock;
        var backends = new BackendSet([_software]);
        var rules = new KeyRules(RequireHardware: false);
        Decisions = new Decisions(audit, live, clock);
        Keys = new KeyLifecycle(live, Decisions, backends, rules, clock);
        Profiles = new TokenProfiles(live, Decisions, store, clock);
        Signer = new SignSvc.Signing.Signer(live, backends, audit, Decisions, rules, new TokenIssuing("https://issuer.example"), clock);
    }

    public ManualClock Clock { get; }

    public LiveSnapshot Live { get; }

    public Decisions Decisions { get; }

    public KeyLifecycle Keys { get; }

    public TokenProfiles Profiles { get; }

    public SignSvc.Signing.Signer Signer { get; }

    public string Database => Path.Combine(_folder, "signsvc.db");

    public static async Task<DomainNode> OpenAsync()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var folder = Directory.CreateTempSubdirectory("signsvc-domain-").FullName;
        var clock = new ManualClock();
        var store = SqliteStore.Open(Path.Combine(folder, "signsvc.db"));
        var audit = await AuditLog.OpenAsync(store, Chain, "local", new AuditLimits(), clock, cancellation);
        var live = await LiveSnapshot.OpenAsync(store, audit, new DocumentSeal(new byte[32]), cancellation);
        return new DomainNode(folder, store, audit, live, clock);
    }

    public async ValueTask DisposeAsync()
    {
        await _audit.DisposeAsync();
        await _store.DisposeAsync();
        Live.Dispose();
        _software.Dispose();
        _rootKey.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
