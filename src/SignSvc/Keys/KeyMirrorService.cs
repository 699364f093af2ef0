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

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        node.Backends.All.OfType<BudgetedBackend>().Where(b => b.Inner is IMirrorsKeys).Select(b => MirrorAsync(b, stoppingToken)));

    private async Task MirrorAsync(BudgetedBackend backend, CancellationToken stoppingToken)
    {
        var mirrored = new Dictionary<string, Key>(StringComparer.Ordinal);
        // As it was mirrored last, or met first: a state that was changed here since may be enabled there.
        var stateOf = new Dictionary<string, DateTimeOffset?>(StringComparer.Ordinal);
        var failed = new Dictionary<string, (Key Key, long At)>(StringComparer.Ordinal);
        long? leasedAt = null;
        using var timer = new PeriodicTimer(Interval, time);
        do
        {
            try
            {
                // What was changed last comes first: after a start there may be thousands.
                var due = live.Current.Keys.Ever.Where(IsDue).OrderByDescending(k => k.StateChangedAt ?? k.CreatedAt).Take(AtOnce).ToArray();
                if (due.Length > 0 && await HasLeaseAsync())
                {
                    foreach (var key in due)
                    {
                        stateOf.TryAdd(key.Id, key.StateChangedAt);
                        if (await TryMirrorAsync(backend, key, mayEnable: stateOf[key.Id] != key.StateChangedAt, stoppingToken))
                        {
                            mirrored[key.Id] = key;
                            stateOf[key.Id] = key.StateChangedAt;
                            if (failed.Remove(key.Id))
                                LogMirrored(key.Name, backend.Name);
                        }
                        else
                        {
                            failed[key.Id] = (key, time.GetTimestamp());
                        }

                        if (!await HasLeaseAsync())
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
            && !(mirrored.TryGetValue(key.Id, out var done) && ReferenceEquals(done, key))
            && !(failed.TryGetValue(key.Id, out var late) && ReferenceEquals(late.Key, key) && time.GetElapsedTime(late.At) < Pause);

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
}
