using System.Collections.Concurrent;
using SignSvc.Embedded;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Keys;

/// <summary>
/// Brings keys at remote backends in line with the store after every change, whoever made it, and all of them when a node
/// takes this over. One node does it for a backend, under a lease. Backends do not wait for each other.
/// </summary>
public sealed partial class KeyMirrorService(
    Node node, LiveSnapshot live, ICluster cluster, AuditLog audit, Decisions decisions, TimeProvider time, ILogger<KeyMirrorService> log)
    : BackgroundService
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    /// <summary>Longer than one key takes.</summary>
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan Renewal = TimeSpan.FromSeconds(30);

    /// <summary>Keys that are gone through before new changes are looked for.</summary>
    private const int AtOnce = 16;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(2);

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        node.Backends.All.OfType<BudgetedBackend>().Where(b => b.Inner is IMirrorsKeys).Select(b => MirrorAsync(b, stoppingToken)));

    /// <summary>What is not to sign any more has a turn of its own: it waits for no key that cannot be brought in line.</summary>
    private async Task MirrorAsync(BudgetedBackend backend, CancellationToken stoppingToken)
    {
        var mirrored = new ConcurrentDictionary<string, Mirrored>(StringComparer.Ordinal);
        await Task.WhenAll(
            TakeTurnsAsync(backend, mirrored, IsStopped, stoppingToken),
            TakeTurnsAsync(backend, mirrored, key => !IsStopped(key), stoppingToken));
    }

    /// <summary>Disabled or pending deletion, or with a version that is compromised.</summary>
    private static bool IsStopped(Key key) => key.State != KeyState.Enabled || key.Versions.Any(v => v.State == VersionState.Revoked);

    private async Task TakeTurnsAsync(
        BudgetedBackend backend, ConcurrentDictionary<string, Mirrored> mirrored, Func<Key, bool> isMine, CancellationToken stoppingToken)
    {
        long? leasedAt = null;
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                // What was changed last comes first: after a start there may be thousands. What failed comes after what was not tried.
                var due = live.Current.Keys.Ever.Where(k => isMine(k) && IsDue(k))
                    .OrderBy(HasFailed).ThenByDescending(k => k.StateChangedAt ?? k.CreatedAt).Take(AtOnce).ToArray();
                if (due.Length > 0 && await HasLeaseAsync())
                {
                    foreach (var key in due)
                    {
                        var from = time.GetTimestamp();
                        await MirrorOneAsync(backend, mirrored, key.Id, k => isMine(k) && IsDue(k), stoppingToken);
                        // After one that took long there may be one that is in more of a hurry.
                        if (time.GetElapsedTime(from) > Long || !await HasLeaseAsync())
                            break;
                    }
                }
                else if (leasedAt is not null)
                {
                    await HasLeaseAsync();
                }
            }
            catch (SigningException e)
            {
                // The store does not answer; the node's poll says so.
                LogMissed(backend.Name, e.Message);
                leasedAt = null;
                await Task.Delay(Pause, time, stoppingToken);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));

        // A key is the same instance for as long as its document has not changed.
        bool IsDue(Key key) =>
            key.Tier == KeyTier.Assured && key.State != KeyState.Deleted
            && string.Equals(key.Backend, backend.Name, StringComparison.Ordinal)
            && !(mirrored.TryGetValue(key.Id, out var last)
                && (last.IsUnderWay || (ReferenceEquals(last.Key, key) && (last.FailedAt is not { } at || time.GetElapsedTime(at) < Pause))));

        bool HasFailed(Key key) => mirrored.TryGetValue(key.Id, out var last) && last.FailedAt is not null && ReferenceEquals(last.Key, key);

        async Task<bool> HasLeaseAsync()
        {
            if (leasedAt is { } at && time.GetElapsedTime(at) < Renewal)
                return true;
            var has = await cluster.TryLeaseAsync($"mirror/{backend.Name}", node.Name, Lease, stoppingToken) is not null;
            leasedAt = has ? time.GetTimestamp() : null;
            if (!has)
                await Task.Delay(Pause, time, stoppingToken);
            return has;
        }
    }

    /// <summary>Never twice at a time, so that no older state of the key overtakes a newer one.</summary>
    /// <param name="isDue">Whether it is this turn's still: it may have had to wait for others.</param>
    private async Task MirrorOneAsync(
        BudgetedBackend backend, ConcurrentDictionary<string, Mirrored> mirrored, string id, Func<Key, bool> isDue, CancellationToken stoppingToken)
    {
        // The key is read after this: so it is no older than what was mirrored last.
        var before = mirrored.GetValueOrDefault(id);
        if (!live.Current.Keys.TryGet(id, out var key) || !isDue(key))
            return;
        var underWay = new Mirrored(key, before is null ? key.StateChangedAt : before.StateChangedAt) { IsUnderWay = true };
        if (before is { IsUnderWay: true } || !(before is null ? mirrored.TryAdd(key.Id, underWay) : mirrored.TryUpdate(key.Id, underWay, before)))
            return;
        // If this is cut short, it is as it was: due.
        var after = before;
        try
        {
            var isDone = await TryMirrorAsync(backend, key, mayEnable: underWay.StateChangedAt != key.StateChangedAt, stoppingToken);
            after = isDone
                ? new Mirrored(key, key.StateChangedAt)
                : underWay with { IsUnderWay = false, FailedAt = time.GetTimestamp() };
            if (isDone && before?.FailedAt is not null)
                LogMirrored(key.Name, backend.Name);
        }
        finally
        {
            if (after is null)
                mirrored.TryRemove(key.Id, out _);
            else
                mirrored[key.Id] = after;
        }
    }

    /// <summary>A call that changed something, or failed to, is on record; that all was as it should be is not.</summary>
    private async Task<bool> TryMirrorAsync(BudgetedBackend backend, Key key, bool mayEnable, CancellationToken stoppingToken)
    {
        // Whoever waits for an answer goes first.
        using var terms = CallTerms.Begin(Lane.Bulk, patience: null, time);
        using var trail = CallTrail.Begin();
        var record = decisions.Draft(Caller.Service, Actions.KeysMirror) with { KeyId = key.Id, KeyName = key.Name };
        try
        {
            await backend.MirrorAsync(key, mayEnable, stoppingToken);
        }
        catch (SigningException e)
        {
            LogFailed(key.Name, backend.Name, e.Message);
            if (e.Fault is not (SigningFault.BackendUnavailable or SigningFault.Overloaded or SigningFault.DeadlineExceeded))
                await decisions.RecordRefusalAsync(record, e);
            return false;
        }

        var changes = trail.Operations.Where(IsChange).Distinct(StringComparer.Ordinal).ToArray();
        if (changes.Length > 0)
            await audit.AppendAsync(record with { Detail = string.Join(", ", changes), BackendRequestId = trail.RequestIds }, stoppingToken);
        return true;
    }

    private static bool IsChange(string operation) =>
        !operation.StartsWith("Describe", StringComparison.Ordinal)
        && !operation.StartsWith("Get", StringComparison.Ordinal)
        && !operation.StartsWith("List", StringComparison.Ordinal);

    [LoggerMessage(1111, LogLevel.Information, "The key {Key} is in {Backend} again as it is here")]
    private partial void LogMirrored(string key, string backend);

    [LoggerMessage(1112, LogLevel.Warning, "The key {Key} could not be brought in line in {Backend} and is tried again: {Reason}")]
    private partial void LogFailed(string key, string backend, string reason);

    [LoggerMessage(1113, LogLevel.Warning, "Keys in {Backend} are not brought in line for a while: {Reason}")]
    private partial void LogMissed(string backend, string reason);

    /// <param name="Key">As it was tried last; mirrored, unless it failed or is under way.</param>
    /// <param name="StateChangedAt">As it was mirrored last, or met first: a state that was changed here since may be enabled there.</param>
    private sealed record Mirrored(Key Key, DateTimeOffset? StateChangedAt)
    {
        public bool IsUnderWay { get; init; }

        public long? FailedAt { get; init; }
    }
}
