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

    /// <summary>
    /// What cannot be undone waits so long after the clock was set. It is longer than any token lives (24 hours and the
    /// skew), so that no clock makes a live token's kid leave; and somebody has time to see whether the clock is right.
    /// </summary>
    private static readonly TimeSpan Caution = TimeSpan.FromHours(25);

    /// <summary>A step that failed is not tried again before: a backend that is down is neither flooded nor is the audit.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly Dictionary<(string KeyId, DueStep Step), (long At, string Message)> _failed = [];
    private DateTimeOffset? _lastTick;
    private long _lastTimestamp;
    private (long At, string Message)? _jump;

    /// <summary>Leads that a jump of the clock has still to move, with the keys as they were: while one is left, nothing is activated.</summary>
    private readonly Dictionary<(string KeyId, int Number), (Key Key, TimeSpan Jump)> _leads = [];

    /// <summary>What somebody has to know, as of the last tick.</summary>
    public ImmutableArray<KeyAlarm> Alarms { get; private set; } = [];

    /// <summary>Works through every key once, if this node has the lease.</summary>
    /// <exception cref="SigningException">The store does not answer; the next tick tries again.</exception>
    public async Task TickAsync(CancellationToken cancellationToken)
    {
        // By every node at every tick: who measured for the first time when it gets the lease would take what another node
        // has dealt with for new, or miss what went before.
        if (MeasureJump() is { } jump)
            Note(jump);
        if (await cluster.TryLeaseAsync("schedule", node, Lease, cancellationToken) is null)
        {
            _leads.Clear();
            Alarms = [];
            return;
        }

        var alarms = ImmutableArray.CreateBuilder<KeyAlarm>();
        await MoveLeadsAsync(cancellationToken);
        if (IsCautious())
            alarms.Add(new KeyAlarm("", _jump!.Value.Message));
        foreach (var late in _failed.Where(f => time.GetElapsedTime(f.Value.At) >= Pause).ToArray())
            _failed.Remove(late.Key);

        var expiry = await ReadLatestExpiryAsync(cancellationToken);
        foreach (var key in live.Current.Keys.All.ToArray())
            await AdvanceAsync(key, expiry, alarms, cancellationToken);
        Alarms = alarms.ToImmutable();
    }

    /// <summary>Does at once what a rotation on demand has made due.</summary>
    public async Task<Key> AdvanceAsync(Key key, CancellationToken cancellationToken) =>
        await AdvanceAsync(key, await ReadLatestExpiryAsync(cancellationToken), alarms: null, cancellationToken);

    /// <param name="alarms">Takes what fails; null: somebody waits, who wants the successor to take over and to hear of faults.</param>
    private async Task<Key> AdvanceAsync(
        Key key, Func<string, DateTimeOffset?> expiry, ImmutableArray<KeyAlarm>.Builder? alarms, CancellationToken cancellationToken)
    {
        for (var i = 0; i < MaxSteps; i++)
        {
            var due = KeySchedule.Due(key, expiry, time.GetUtcNow());
            var before = key;
            foreach (var step in due)
            {
                if (alarms is not null)
                    key = await TryAsync(key, step, cancellationToken);
                else if (step is DueStep.ConfirmServed or DueStep.Activate)
                    key = await DoAsync(key, step, cancellationToken);
                if (!ReferenceEquals(key, before))
                    break;
            }

            if (ReferenceEquals(key, before))
            {
                alarms?.AddRange(due.OfType<DueStep.Alarm>().Select(a => new KeyAlarm(key.Name, a.Message)));
                break;
            }
        }

        alarms?.AddRange(
            _failed.Where(f => string.Equals(f.Key.KeyId, key.Id, StringComparison.Ordinal)).Select(f => new KeyAlarm(key.Name, f.Value.Message)));
        return key;
    }

    /// <summary>One step may fail, because a backend is down; the others go on, and this one is due again after a pause.</summary>
    private async Task<Key> TryAsync(Key key, DueStep step, CancellationToken cancellationToken)
    {
        if (_failed.ContainsKey((key.Id, step)) || (step is DueStep.Retire or DueStep.Remove or DueStep.Destroy or DueStep.Delete && IsCautious()))
            return key;
        try
        {
            return await DoAsync(key, step, cancellationToken);
        }
        catch (SigningException e) when (e.Fault is not SigningFault.AuditUnavailable)
        {
            _failed[(key.Id, step)] = (time.GetTimestamp(), e.Message);
            return key;
        }
    }

    private async Task<Key> DoAsync(Key key, DueStep step, CancellationToken cancellationToken) => step switch
    {
        DueStep.Announce => await rotation.AnnounceAsync(key, cancellationToken),
        DueStep.ConfirmServed s when await IsServedAsync(cancellationToken) => await rotation.ConfirmServedAsync(key, s.Version, cancellationToken),
        DueStep.Activate s => await rotation.ActivateAsync(key, s.Version, cancellationToken),
        DueStep.Retire s => await rotation.RetireAsync(key, s.Version, cancellationToken),
        DueStep.Remove s when await IsEveryTokenOnRecordAsync(cancellationToken) => await rotation.RemoveAsync(key, s.Version, cancellationToken),
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

    /// <summary>A node that fell silent may have issued tokens that are not on record yet: their kids stay until the last of them has expired.</summary>
    private async Task<bool> IsEveryTokenOnRecordAsync(CancellationToken cancellationToken)
    {
        var heard = await cluster.ReadNodesAsync(Caution, cancellationToken);
        var alive = await cluster.ReadNodesAsync(NodeTimeout, cancellationToken);
        return heard.Count <= alive.Count;
    }

    private async Task<Func<string, DateTimeOffset?>> ReadLatestExpiryAsync(CancellationToken cancellationToken)
    {
        var usage = (await store.ReadUsageAsync(cancellationToken)).ToDictionary(u => u.Kid, u => u.LatestExpiry, StringComparer.Ordinal);
        return usage.GetValueOrDefault;
    }

    /// <summary>By how much the time of day moved otherwise than the steady clock since the last tick; null where it did not.</summary>
    private TimeSpan? MeasureJump()
    {
        var now = time.GetUtcNow();
        var timestamp = time.GetTimestamp();
        var jump = _lastTick is { } last ? now - last - time.GetElapsedTime(_lastTimestamp, timestamp) : TimeSpan.Zero;
        _lastTick = now;
        _lastTimestamp = timestamp;
        return jump.Duration() > KeySchedule.Skew ? jump : null;
    }

    private void Note(TimeSpan jump)
    {
        _jump = (time.GetTimestamp(), $"the clock was set by {jump} at {time.GetUtcNow():u}: nothing is retired, removed, destroyed or deleted for {Caution.TotalHours} hours");
        foreach (var key in live.Current.Keys.All)
        {
            foreach (var waiting in key.Versions.Where(v => v.State == VersionState.Announced).Select(v => (key.Id, v.Number)))
                _leads[waiting] = _leads.TryGetValue(waiting, out var earlier) ? (earlier.Key, earlier.Jump + jump) : (key, jump);
        }
    }

    /// <summary>A lead is counted in time that passed, not in what the clock shows. What fails is moved at the next tick.</summary>
    private async Task MoveLeadsAsync(CancellationToken cancellationToken)
    {
        foreach (var (waiting, (key, jump)) in _leads.ToArray())
        {
            try
            {
                await rotation.MoveLeadAsync(key, waiting.Number, jump, cancellationToken);
            }
            catch (SigningException e) when (e.Fault == SigningFault.NotFound)
            {
                // The key was deleted meanwhile.
            }

            _leads.Remove(waiting);
        }
    }

    private bool IsCautious() => _jump is { } jump && time.GetElapsedTime(jump.At) < Caution;
}
