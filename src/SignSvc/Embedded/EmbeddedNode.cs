using System.Security.Cryptography;
using System.Text;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Embedded;

/// <summary>
/// One node on one data folder: opened whole before the first request, closed after the last. On its first start it has
/// keys, a token profile and an administrator's credential, so that no other step stands before the first signature.
/// </summary>
public sealed class EmbeddedNode : IAsyncDisposable
{
    private const string NodeName = "local";

    private readonly DataFolder _folder;
    private readonly RootKey _rootKey;
    private readonly SqliteStore _store;
    private readonly SoftwareBackend _software;

    private EmbeddedNode(
        DataFolder folder, RootKey rootKey, SqliteStore store, AuditLog audit, AuditChain chain, LiveSnapshot live, TimeProvider time)
    {
        _folder = folder;
        _rootKey = rootKey;
        _store = store;
        _software = SoftwareBackendOf(rootKey);
        Audit = audit;
        Live = live;
        Time = time;
        Cluster = new SingleNode(time);
        Backends = new BackendSet([_software]);
        Search = new AuditSearch(store);
        Check = new AuditCheck(store, chain);
    }

    public AuditLog Audit { get; }

    public AuditSearch Search { get; }

    public AuditCheck Check { get; }

    public LiveSnapshot Live { get; }

    public BackendSet Backends { get; }

    public TimeProvider Time { get; }

    public IStore Store => _store;

    public ICluster Cluster { get; }

    /// <summary>Keeps what is stored in the clear by nobody: the root key itself.</summary>
    public IWrapsKeys Wrapping => _rootKey;

    public BackupKey BackupKey => BackupKeyOf(_rootKey);

    /// <summary>This node's name in the audit and among the nodes.</summary>
    public string Name => NodeName;

    public required Settings Settings { get; init; }

    public string BootstrapCredentialFile => _folder.BootstrapCredential;

    /// <summary>The first administrator's token, if it was made at this start; null afterwards.</summary>
    public string? NewBootstrapToken { get; private set; }

    /// <exception cref="StartException">What is wrong, and what to do.</exception>
    public static async Task<EmbeddedNode> OpenAsync(Settings settings, TimeProvider time, CancellationToken cancellationToken)
    {
        var folder = DataFolder.Open(settings.Data);
        try
        {
            var rootKey = folder.OpenRootKey(settings.RootKeyFile);
            var store = SqliteStore.Open(folder.Database);
            var chain = AuditChainOf(rootKey);
            await RefuseBrokenAuditAsync(store, chain, folder, cancellationToken);
            var limits = new AuditLimits
            {
                CommitTimeout = TimeSpan.FromMilliseconds(settings.Audit.CommitTimeoutMilliseconds),
                QueuedEntries = settings.Audit.QueuedEntries,
            };
            var audit = await AuditLog.OpenAsync(store, chain, NodeName, limits, time, cancellationToken);
            var live = await LiveSnapshot.OpenAsync(store, audit, DocumentSealOf(rootKey), cancellationToken);
            var node = new EmbeddedNode(folder, rootKey, store, audit, chain, live, time) { Settings = settings };
            await node.BootstrapAsync(cancellationToken);
            return node;
        }
        catch (Exception e) when (e is SigningException or IOException or UnauthorizedAccessException)
        {
            folder.Dispose();
            throw new StartException($"{e.Message}\nThe data folder is {settings.Data}.", e);
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

    internal static SoftwareBackend SoftwareBackendOf(RootKey root) => new("software", root);

    public async ValueTask DisposeAsync()
    {
        await Audit.DisposeAsync();
        await _store.DisposeAsync();
        Live.Dispose();
        _software.Dispose();
        _rootKey.Dispose();
        _folder.Dispose();
    }

    /// <summary>Promise 3: a small chain is read whole; of a large one the end is, and <c>signsvc audit check</c> reads the rest.</summary>
    private static async Task RefuseBrokenAuditAsync(
        SqliteStore store, AuditChain chain, DataFolder folder, CancellationToken cancellationToken)
    {
        const long wholeUpTo = 64 * 1024 * 1024;
        var check = new AuditCheck(store, chain);
        var results = new FileInfo(folder.Database).Length <= wholeUpTo
            ? await check.RunAsync(cancellationToken)
            : await check.RunAtEndAsync(cancellationToken);
        if (results.FirstOrDefault(r => r.Fault is not null) is { } broken)
        {
            throw new StartException(
                $"The audit log is not whole: after {broken.Records} good records of the node {broken.Node}, {broken.Fault}.\n"
                + $"SignSvc repairs nothing by itself. Keep a copy of {folder.FolderPath}, then restore a backup.");
        }
    }

    private async Task BootstrapAsync(CancellationToken cancellationToken)
    {
        var decisions = new Decisions(Audit, Time);
        var keys = new KeyLifecycle(Live, decisions, Backends, new KeyRules(RequireHardware: false), Time);
        if (Live.Current.Credentials.IsEmpty)
            await MakeFirstAdministratorAsync(decisions, cancellationToken);
        if (!Settings.RequireHardware)
            await MakeFirstKeyAsync(keys, "release", KeyPurpose.Artifacts, KeyTier.Assured, cancellationToken);
        await MakeFirstKeyAsync(keys, "tokens", KeyPurpose.Tokens, KeyTier.Volume, cancellationToken);
        if (Live.Current.Profiles.IsEmpty)
        {
            await new TokenProfiles(Live, decisions).PutAsync(
                Caller.Service,
                "tokens",
                new TokenProfile
                {
                    Name = "default",
                    KeyId = "",
                    Audiences = ["*"],
                    DefaultLifetimeSeconds = 300,
                    MaxLifetimeSeconds = 3600,
                },
                cancellationToken);
        }
    }

    /// <summary>
    /// The file is durable before the credential counts: a crash in between leaves a file that opens nothing, and the
    /// next start makes a new one; the other way round nobody could ever enter.
    /// </summary>
    private async Task MakeFirstAdministratorAsync(Decisions decisions, CancellationToken cancellationToken)
    {
        var (credential, token) = Credential.Create("bootstrap", [Role.Admin], Time.GetUtcNow(), expiresAt: null);
        var bytes = Encoding.ASCII.GetBytes(token);
        DurableFile.Write(_folder.BootstrapCredential, bytes);
        CryptographicOperations.ZeroMemory(bytes);
        var record = decisions.Draft(Caller.Service, Actions.CredentialsCreate, "credential/bootstrap");
        await decisions.ChangeAsync(Caller.Service, record, async permit =>
            await Live.ChangeAsync(permit, record, cancellationToken, Change.Of(credential, Snapshot.Empty)));
        NewBootstrapToken = token;
    }

    private async Task MakeFirstKeyAsync(
        KeyLifecycle keys, string name, KeyPurpose purpose, KeyTier tier, CancellationToken cancellationToken)
    {
        // Only into an empty ring, or beside what an interrupted first start left: never next to an operator's own keys.
        var isFirstStart = Live.Current.Keys.Count == 0 || NewBootstrapToken is not null || Live.Current.Profiles.IsEmpty;
        if (isFirstStart && !Live.Current.Keys.TryGet(name, out _))
        {
            await keys.CreateAsync(
                Caller.Service, NewKey.Parse(name, purpose, tier, "software", "ECC_NIST_P256", algorithms: null), cancellationToken);
        }
    }
}

public static class EmbeddedNodeServices
{
    /// <summary>What the endpoints ask for.</summary>
    public static void AddNode(this IServiceCollection services, EmbeddedNode node)
    {
        services.AddSingleton(node);
        services.AddSingleton(node.Time);
        services.AddSingleton(node.Live);
        services.AddSingleton(node.Audit);
        services.AddSingleton(node.Search);
        services.AddSingleton(node.Check);
        services.AddSingleton(node.Backends);
        services.AddSingleton(node.Store);
        services.AddSingleton(node.Cluster);
        services.AddSingleton(new KeyRules(node.Settings.RequireHardware));
        services.AddSingleton<Decisions>();
        services.AddSingleton<KeyLifecycle>();
        services.AddSingleton<KeyEdits>();
        services.AddSingleton<KeyChanges>();
        services.AddSingleton<KeyRotation>();
        services.AddSingleton<KeyAliases>();
        services.AddSingleton<TokenProfiles>();
        services.AddSingleton<Credentials>();
        services.AddSingleton<Signer>();
    }
}
