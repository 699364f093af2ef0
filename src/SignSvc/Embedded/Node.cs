using SignSvc.Keys;
using SignSvc.Operations;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Access.Approvals;
using SignSvc.Signing.Access.Grants;
using SignSvc.Signing.Access.Policies;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;
using SignSvc.Storage.Postgres;

namespace SignSvc.Embedded;

/// <summary>
/// One node on its data folder: opened whole before the first request, closed after the last. Alone with SQLite in that
/// folder, or one of several on a PostgreSQL.
/// </summary>
public sealed class Node : IAsyncDisposable
{
    private readonly DataFolder _folder;
    private readonly RootKey _rootKey;
    private readonly IKeyBackend[] _backends;

    private Node(
        Settings settings, DataFolder folder, RootKey rootKey, NodeStore store, AuditLog audit, AuditChain chain, LiveSnapshot live, TimeProvider time)
    {
        _folder = folder;
        _rootKey = rootKey;
        _backends = ConfiguredBackends.Open(settings.Backends, rootKey, new StoredKeyIntents(live, new Decisions(audit, live, time)), time);
        Settings = settings;
        Store = store.Store;
        Cluster = store.Cluster;
        Name = store.Node;
        IsShared = store.IsShared;
        Audit = audit;
        Live = live;
        Time = time;
        Freshness = new SnapshotFreshness(
            store.IsShared ? TimeSpan.FromSeconds(settings.Store.StaleAfterSeconds) : TimeSpan.MaxValue, time);
        Backends = new BackendSet(_backends, backend => new FreshnessGuard(new MeasuredBackend(backend, time), Freshness));
        Search = new AuditSearch(store.Store);
        Check = new AuditCheck(store.Store, chain);
    }

    public Settings Settings { get; }

    /// <summary>This node's name in the audit and among the nodes.</summary>
    public string Name { get; }

    public IStore Store { get; }

    public ICluster Cluster { get; }

    public AuditLog Audit { get; }

    public AuditSearch Search { get; }

    public AuditCheck Check { get; }

    public LiveSnapshot Live { get; }

    public SnapshotFreshness Freshness { get; }

    public BackendSet Backends { get; }

    /// <summary>Other nodes may change the state at any time.</summary>
    public bool IsShared { get; }

    public TimeProvider Time { get; }

    /// <summary>Keeps what is stored in the clear by nobody: the root key itself.</summary>
    public IWrapsKeys Wrapping => _rootKey;

    public GrantTokens GrantTokens => new(_rootKey.Derive("signsvc/grant-tokens/v1"), Live);

    public BackupKey BackupKey => BackupKeyOf(_rootKey);

    public string BootstrapCredentialFile => _folder.BootstrapCredential;

    /// <summary>The first administrator's token, if it was made at this start; null afterwards.</summary>
    public string? NewBootstrapToken { get; private set; }

    /// <exception cref="StartException">What is wrong, and what to do.</exception>
    public static async Task<Node> OpenAsync(Settings settings, TimeProvider time, CancellationToken cancellationToken)
    {
        var folder = DataFolder.Open(settings.Data);
        try
        {
            var rootKey = folder.OpenRootKey(settings.RootKeyFile);
            var store = await NodeStore.OpenAsync(settings, folder, time, cancellationToken);
            var chain = AuditChainOf(rootKey);
            await store.RefuseBrokenAuditAsync(chain, DocumentSealOf(rootKey), folder, cancellationToken);
            var limits = new AuditLimits
            {
                CommitTimeout = TimeSpan.FromMilliseconds(settings.Audit.CommitTimeoutMilliseconds),
                QueuedEntries = settings.Audit.QueuedEntries,
            };
            var audit = await AuditLog.OpenAsync(store.Store, chain, store.Node, limits, time, cancellationToken);
            var live = await LiveSnapshot.OpenAsync(store.Store, audit, DocumentSealOf(rootKey), cancellationToken);
            var node = new Node(settings, folder, rootKey, store, audit, chain, live, time);
            node.NewBootstrapToken = await new FirstStart(node, folder).CompleteAsync(cancellationToken);
            return node;
        }
        catch (Exception e) when (e is SigningException or IOException or UnauthorizedAccessException or ArgumentException)
        {
            folder.Dispose();
            var cause = e.InnerException is SigningException inner ? $" {inner.Message}" : "";
            var store = settings.Store.Postgres is { } postgres ? $"The database is {PostgresOptions.PlaceOf(postgres)} (SignSvc__Store__Postgres). " : "";
            throw new StartException($"{e.Message}{cause}\n{store}The data folder is {settings.Data}.", e);
        }
        catch (StartException)
        {
            folder.Dispose();
            throw;
        }
    }

    internal static AuditChain AuditChainOf(RootKey root) => new(root.Derive("signsvc/seal/audit/v1"));

    internal static DocumentSeal DocumentSealOf(RootKey root) => new(root.Derive("signsvc/seal/documents/v1"));

    internal static BackupKey BackupKeyOf(RootKey root) => new(root.Derive("signsvc/backup/v1"));

    public async ValueTask DisposeAsync()
    {
        await Audit.DisposeAsync();
        await Store.DisposeAsync();
        Live.Dispose();
        Backends.Dispose();
        foreach (var backend in _backends.OfType<IDisposable>())
            backend.Dispose();
        _rootKey.Dispose();
        _folder.Dispose();
    }
}

public static class NodeServices
{
    /// <summary>What the endpoints ask for.</summary>
    public static void AddNode(this IServiceCollection services, Node node)
    {
        services.AddSingleton(node);
        services.AddSingleton(node.Time);
        services.AddSingleton(node.Live);
        services.AddSingleton(node.Audit);
        services.AddSingleton(node.Search);
        services.AddSingleton(node.Check);
        services.AddSingleton(node.Backends);
        services.AddSingleton(node.Store);
        // As it is, and not by a factory: what a factory gives the container disposes of, and the store is the node's to close.
        services.AddSingleton((IUseOnce)node.Store);
        services.AddSingleton(node.Cluster);
        services.AddSingleton(node.Freshness);
        services.AddHostedService<SnapshotService>();
        services.AddSingleton(new KeyRules(node.Settings.RequireHardware));
        services.AddSingleton<Decisions>();
        services.AddSingleton<KeyLifecycle>();
        services.AddSingleton<KeyEdits>();
        services.AddSingleton<KeyChanges>();
        services.AddSingleton<KeyRotation>();
        services.AddSingleton<KeyAliases>();
        services.AddSingleton<TokenProfiles>();
        services.AddSingleton<Credentials>();
        services.AddSingleton<PolicyAdministration>();
        services.AddSingleton<PolicyQuestions>();
        services.AddSingleton<KeyGrants>();
        services.AddSingleton<ApprovalDecisions>();
        services.AddSingleton<ApprovalRules>();
        services.AddSingleton(node.GrantTokens);
        services.AddSingleton<Signer>();
    }

    /// <summary>What backends with keys far away ask for while the process lives.</summary>
    public static void AddRemoteKeys(this IServiceCollection services)
    {
        services.AddHostedService<KeyMirrorService>();
        services.AddHostedService<KeyStateService>();
        services.AddHostedService<AwsKmsUpkeep>();
    }
}
