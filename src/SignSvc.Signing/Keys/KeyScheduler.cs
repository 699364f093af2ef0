using System.Collections.Immutable;
using SignSvc.Signing.Storage;

namespace SignSvc.Signing.Keys;

/// <param name="Key">The name of the key it is about.</param>
public sealed record KeyAlarm(string Key, string Message);

/// <summary>
/// Does what <see cref="KeySchedule"/> finds due. One node at a time does it, under a lease; should two do it after all,
/// the versions of the documents keep them from doing it twice.
/// </summary>
public sealed class KeyScheduler(
    LiveSnapshot live, IStore store, ICluster cluster, KeyRotation rotation, string node, TimeProvider time)
{
    /// <summary>A node that was silent for so long is not waited for; it must not serve verifiers by then.</summary>
    public static readonly TimeSpan NodeTimeout = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>Steps of one key in one tick: announce, confirm, activate, and what ends meanwhile.</summary>
    private const int MaxSteps = 8;

    private DateTimeOffset? _lastTick;
    private long _lastTimestamp;

    /// <summary>What somebody has to know, as of the last tick.</summary>
    public ImmutableArray<KeyAlarm> Alarms { get; private set; } = [];

    /// <summary>Works through every key once, if this node has the lease.</summary>
    /// <exception cref="SigningException">The store does not answer; the next tick tries again.</exception>
    public async Task TickAsync(CancellationToken cancellationToken)
    {
        if (await cluster.TryLeaseAsync("schedule", node, Lease, cancellationToken) is null)
            return;
        if (ClockJumped())
        {
            Alarms = [new KeyAlarm("", "the clock jumped: nothing is removed or destroyed before it is looked at or stays steady for a tick")];
            return;
        }

        var expiry = await ReadLatestExpiryAsync(cancellationToken);
        var alarms = ImmutableArray.CreateBuilder<KeyAlarm>();
        foreach (var key in live.Current.Keys.All.ToArray())
        {
            try
            {
                await AdvanceAsync(key, expiry, alarms, cancellationToken);
            }
            catch (SigningException e) when (e.Fault is not SigningFault.AuditUnavailable)
            {
                // One key's backend may be down; the others go on, and this one is due again at the next tick.
                alarms.Add(new KeyAlarm(key.Name, e.Message));
            }
        }

        Alarms = alarms.ToImmutable();
    }

    /// <summary>Does at once what a rotation on demand has made due.</summary>
    public async Task<Key> AdvanceAsync(Key key, CancellationToken cancellationToken) =>
        await AdvanceAsync(key, await ReadLatestExpiryAsync(cancellationToken), alarms: null, cancellationToken);

    private async Task<Key> AdvanceAsync(
        Key key, Func<string, DateTimeOffset?> expiry, ImmutableArray<KeyAlarm>.Builder? alarms, CancellationToken cancellationToken)
    {
        for (var i = 0; i < MaxSteps; i++)
        {
            var due = KeySchedule.Due(key, expiry, time.GetUtcNow());
            var before = key;
            foreach (var step in due)
            {
                key = await DoAsync(key, step, cancellationToken);
                if (!ReferenceEquals(key, before))
                    break;
            }

            if (ReferenceEquals(key, before))
            {
                alarms?.AddRange(due.OfType<DueStep.Alarm>().Select(a => new KeyAlarm(key.Name, a.Message)));
                return key;
            }
        }

        return key;
    }

    private async Task<Key> DoAsync(Key key, DueStep step, CancellationToken cancellationToken) => step switch
    {
        DueStep.Announce => await rotation.AnnounceAsync(key, cancellationToken),
        DueStep.ConfirmServed s when await IsServedAsync(cancellationToken) => await rotation.ConfirmServedAsync(key, s.Version, cancellationToken),
        DueStep.Activate s => await rotation.ActivateAsync(key, s.Version, cancellationToken),
        DueStep.Retire s => await rotation.RetireAsync(key, s.Version, cancellationToken),
        DueStep.Remove s => await rotation.RemoveAsync(key, s.Version, cancellationToken),
        DueStep.Destroy s => await rotation.DestroyAsync(key, s.Version, cancellationToken),
        DueStep.Delete => await rotation.DeleteAsync(key, cancellationToken),
        _ => key,
    };

    /// <summary>Every live node serves a snapshot at least as new as the one in which this node sees the version.</summary>
    private async Task<bool> IsServedAsync(CancellationToken cancellationToken)
    {
        var revision = live.Current.Revision;
        await cluster.HeartbeatAsync(new NodeStatus(node, revision), cancellationToken);
        var nodes = await cluster.ReadNodesAsync(NodeTimeout, cancellationToken);
        return nodes.All(n => n.Revision >= revision);
    }

    private async Task<Func<string, DateTimeOffset?>> ReadLatestExpiryAsync(CancellationToken cancellationToken)
    {
        var usage = (await store.ReadUsageAsync(cancellationToken)).ToDictionary(u => u.Kid, u => u.LatestExpiry, StringComparer.Ordinal);
        return usage.GetValueOrDefault;
    }

    /// <summary>The wall clock moved otherwise than the steady one since the last tick: what is due by it may not be.</summary>
    private bool ClockJumped()
    {
        var now = time.GetUtcNow();
        var timestamp = time.GetTimestamp();
        var jumped = _lastTick is { } last
            && (now - last - time.GetElapsedTime(_lastTimestamp, timestamp)).Duration() > KeySchedule.Skew;
        _lastTick = now;
        _lastTimestamp = timestamp;
        return jumped;
    }
}
