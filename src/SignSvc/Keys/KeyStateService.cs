using SignSvc.Embedded;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;

namespace SignSvc.Keys;

/// <summary>
/// Looks every few minutes whether the keys of a remote backend may sign there, so that one that was stopped there shows
/// before it is needed. Each node looks for itself: it also decides by what it knows.
/// </summary>
public sealed partial class KeyStateService(Node node, LiveSnapshot live, TimeProvider time, ILogger<KeyStateService> log) : BackgroundService
{
    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(
        node.Backends.All.Select(b => (b.Name, Knowing: BackendDrift.KnowingOf(b))).Where(b => b.Knowing is not null)
            .Select(b => LookAsync(b.Name, b.Knowing!, stoppingToken)));

    private async Task LookAsync(string backend, IKnowsKeyStates states, CancellationToken stoppingToken)
    {
        // By key and version: told once, until it is otherwise.
        var told = new HashSet<(string KeyId, string Warning)>();
        var missed = new Dictionary<string, SigningFault>(StringComparer.Ordinal);
        using var timer = new PeriodicTimer(states.LookEvery, time);
        do
        {
            foreach (var key in live.Current.Keys.All.Where(k => IsThere(k, backend)).ToArray())
            {
                try
                {
                    foreach (var version in BackendDrift.Looked(key))
                        await states.LookAsync(version, stoppingToken);
                    missed.Remove(key.Id);
                }
                catch (SigningException e)
                {
                    // What was known of it stands, and the next key is another matter.
                    if (!missed.TryGetValue(key.Id, out var before) || before != e.Fault)
                        LogMissed(IsOutage(e) ? LogLevel.Debug : LogLevel.Warning, key.Name, backend, e.Message);
                    missed[key.Id] = e.Fault;
                    if (e.Fault == SigningFault.Overloaded)
                        break;
                }

                Tell(key, told);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private void Tell(Key key, HashSet<(string KeyId, string Warning)> told)
    {
        var warnings = BackendDrift.Warnings(node.Backends, key).ToArray();
        told.RemoveWhere(t => string.Equals(t.KeyId, key.Id, StringComparison.Ordinal) && !warnings.Contains(t.Warning, StringComparer.Ordinal));
        foreach (var warning in warnings.Where(w => told.Add((key.Id, w))))
            LogDrift(key.Name, warning);
    }

    /// <summary>Of the backend, which shows in /healthz/ready.</summary>
    private static bool IsOutage(SigningException e) => e.Fault is SigningFault.BackendUnavailable or SigningFault.Overloaded;

    private static bool IsThere(Key key, string backend) =>
        key.Tier == KeyTier.Assured && string.Equals(key.Backend, backend, StringComparison.Ordinal);

    [LoggerMessage(1121, LogLevel.Warning, "The key {Key}: {Warning}")]
    private partial void LogDrift(string key, string warning);

    [LoggerMessage(EventId = 1122, Message = "The state of the key {Key} in {Backend} is not known until it can be looked at again: {Reason}")]
    private partial void LogMissed(LogLevel level, string key, string backend, string reason);
}
