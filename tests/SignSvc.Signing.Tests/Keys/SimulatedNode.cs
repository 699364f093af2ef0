using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Software;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tokens;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>A node whose key schedule runs by a clock that a test moves.</summary>
internal sealed class SimulatedNode : IAsyncDisposable
{
    public static readonly Caller Operator = new("credential:operator", [Role.Admin]);

    private readonly RootKey _root = RootKey.Generate();
    private DomainNode _node = null!;

    public ManualClock Clock { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public MemoryStore Store { get; } = new();

    public IKeyBackend Backend { get; private set; } = null!;

    public LiveSnapshot Live => _node.Live;

    public KeyLifecycle Keys => _node.Keys;

    public KeyChanges Changes => _node.Changes;

    public KeyRotation Rotation => _node.Rotation;

    public KeyAliases Aliases => _node.Aliases;

    public TokenProfiles Profiles => _node.Profiles;

    public Signer Signer => _node.Signer;

    public KeyScheduler Scheduler { get; private set; } = null!;

    public DateTimeOffset Now => Clock.GetUtcNow();

    /// <summary>Time that truly passed.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(Clock.GetTimestamp());

    /// <param name="open">Opens the only backend that it has, which ends with it.</param>
    public static async Task<SimulatedNode> StartAsync(Func<RootKey, IKeyBackend> open, CancellationToken cancellationToken)
    {
        var node = new SimulatedNode();
        node.Backend = open(node._root);
        node._node = await DomainNode.StartAsync("node", node.Store, node._root, node.Backend, node.Clock, cancellationToken);
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
        return await _node.Backends.PrepareVolumeKeysAsync(Live.Current.Keys, cancellationToken);
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
        await _node.DisposeAsync();
        (Backend as IDisposable)?.Dispose();
        _root.Dispose();
    }
}
