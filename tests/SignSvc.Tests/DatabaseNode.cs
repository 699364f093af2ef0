using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Tests;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Tests;

/// <summary>A node without a process on a database of its own, so that time and the database's rows are the test's to move.</summary>
internal sealed class DatabaseNode : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-domain-").FullName;
    private readonly RootKey _root = RootKey.Generate();
    private readonly SqliteStore _store;
    private readonly SoftwareBackend _software;

    private DatabaseNode()
    {
        _store = SqliteStore.Open(Database);
        _software = new SoftwareBackend("software", _root);
    }

    public ManualClock Clock { get; } = new();

    public DomainNode Node { get; private set; } = null!;

    public string Database => Path.Combine(_folder, "signsvc.db");

    public AuditChain Chain => DomainNode.Chain(_root);

    public static async Task<DatabaseNode> OpenAsync()
    {
        var opened = new DatabaseNode();
        opened.Node = await DomainNode.StartAsync(
            "local", opened._store, opened._root, opened._software, opened.Clock, TestContext.Current.CancellationToken);
        return opened;
    }

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        await _store.DisposeAsync();
        _software.Dispose();
        _root.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
