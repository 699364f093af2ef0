using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>The service's own parts on a clock that a test moves: schedule, rotation, signer, audit, snapshot.</summary>
internal sealed class SimulatedNode : IAsyncDisposable
{
    public static readonly Caller Operator = new("credential:operator", [Role.Admin]);

    private readonly RootKey _root = RootKey.Generate();
    private AuditLog _audit = null!;
    private BackendSet _backends = null!;

    public ManualClock Clock { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public MemoryStore Store { get; } = new();

    public IKeyBackend Backend { get; private set; } = null!;

    public LiveSnapshot Live { get; private set; } = null!;

    public KeyLifecycle Keys { get; private set; } = null!;

    public KeyChanges Changes { get; private set; } = null!;

    public KeyRotation Rotation { get; private set; } = null!;

    public KeyAliases Aliases { get; private set; } = null!;

    public KeyScheduler Scheduler { get; private set; } = null!;

    public Signer Signer { get; private set; } = null!;

    public TokenProfiles Profiles { get; private set; } = null!;

    public DateTimeOffset Now => Clock.GetUtcNow();

    /// <summary>Time that truly passed.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(Clock.GetTimestamp());

    /// <param name="open">Opens the only backend that it has, which ends with it.</param>
    public static async Task<SimulatedNode> StartAsync(Func<RootKey, IKeyBackend> open, CancellationToken cancellationToken)
    {
        var node = new SimulatedNode();
        node.Backend = open(node._root);
        node._backends = new BackendSet([node.Backend]);
        // How long a commit takes is the machine's time, not the simulation's.
        node._audit = await AuditLog.OpenAsync(
            node.Store, new AuditChain(node._root.Derive("audit")), "node",
            new AuditLimits { CommitTimeout = TimeSpan.FromMinutes(1) }, TimeProvider.System, cancellationToken);
        node.Live = await LiveSnapshot.OpenAsync(node.Store, node._audit, new DocumentSeal(node._root.Derive("documents")), cancellationToken);
        var decisions = new Decisions(node._audit, node.Live, node.Clock);
        var rules = new KeyRules(RequireHardware: false);
        var edits = new KeyEdits(node.Live, decisions, node._audit);
        node.Keys = new KeyLifecycle(node.Live, decisions, node._backends, rules, node.Clock);
        node.Changes = new KeyChanges(edits, node.Live, node.Store, node._backends, node.Clock);
        node.Rotation = new KeyRotation(edits, node.Live, node._backends, node.Clock);
        node.Aliases = new KeyAliases(node.Live, decisions, edits, node._audit);
        node.Profiles = new TokenProfiles(node.Live, decisions, node.Store, node.Clock);
        node.Signer = new Signer(node.Live, node._backends, node._audit, decisions, rules, new TokenIssuing("https://issuer.example"), node.Clock);
        node.RestartScheduler();
        return node;
    }

    public void RestartScheduler() => Scheduler = SchedulerOf("node", new SingleNode(Clock));

    /// <summary>Of several nodes on one store.</summary>
    public KeyScheduler SchedulerOf(string name, ICluster cluster) => new(Live, Store, cluster, Rotation, name, Clock);

    /// <summary>What the service does every few seconds.</summary>
    /// <returns>The keys that could not be unwrapped ahead of their use.</returns>
    public async Task<IReadOnlyList<(Key Key, SigningException Fault)>> TickAsync(CancellationToken cancellationToken)
    {
        await Scheduler.TickAsync(cancellationToken);
        return await _backends.PrepareVolumeKeysAsync(Live.Current.Keys, cancellationToken);
    }

    public Key Key(string reference) =>
        Live.Current.Keys.TryGet(reference, out var key) ? key : throw new InvalidOperationException($"No key {reference}.");

    public IReadOnlySet<string> PublishedKids()
    {
        using var json = JsonDocument.Parse(Live.Current.TokenKeys.Json);
        return json.RootElement.GetProperty("keys").EnumerateArray()
            .Select(k => k.GetProperty("kid").GetString()!).ToHashSet(StringComparer.Ordinal);
    }

    public async ValueTask DisposeAsync()
    {
        await _audit.DisposeAsync();
        Live.Dispose();
        _backends.Dispose();
        (Backend as IDisposable)?.Dispose();
        _root.Dispose();
    }
}
