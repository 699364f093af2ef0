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
        using var timer = new PeriodicTimer(states.LookEvery, time);
        do
        {
            try
            {
                foreach (var key in live.Current.Keys.All.Where(k => IsThere(k, backend)).ToArray())
                {
                    foreach (var version in BackendDrift.Looked(key))
                        await states.LookAsync(version, stoppingToken);
                    Tell(key, told);
                }
            }
            catch (SigningException e)
            {
                // What was known stands; the backend's state shows in /healthz/ready.
                LogMissed(backend, e.Message);
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

    private static bool IsThere(Key key, string backend) =>
        key.Tier == KeyTier.Assured && string.Equals(key.Backend, backend, StringComparison.Ordinal);

    [LoggerMessage(1121, LogLevel.Warning, "The key {Key}: {Warning}")]
    private partial void LogDrift(string key, string warning);

    [LoggerMessage(1122, LogLevel.Debug, "The states of keys in {Backend} are looked at again later: {Reason}")]
    private partial void LogMissed(string backend, string reason);
}
