using Microsoft.AspNetCore.Http.HttpResults;
using SignSvc.Emulation.Faults;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Control;

/// <summary>
/// The settings that may change while the emulator runs; members that a request leaves out stay as they are.
/// </summary>
public sealed record RuntimeSettings
{
    public double? ConsistencyDelaySeconds { get; init; }

    public double? ReplicationDelaySeconds { get; init; }

    public double? LatencyMedianMilliseconds { get; init; }

    public double? LatencyPercentile99Milliseconds { get; init; }

    public bool? QuotasEnforced { get; init; }
}

/// <summary>
/// <c>/_emulator/…</c>: the emulator's own controls, without authentication, for tests of other languages.
/// </summary>
internal static class ControlEndpoints
{
    public static void MapControl(this WebApplication app, KmsEmulator emulator)
    {
        var control = app.MapGroup("/_emulator");
        control.MapGet("/calls", () => emulator.Calls.Snapshot());
        control.MapDelete("/calls", emulator.Calls.Reset);
        control.MapGet("/faults", () => emulator.Faults.Faults);
        control.MapPost(
            "/faults",
            Results<NoContent, BadRequest<string>> (Fault fault) =>
            {
                if (fault.Operation is { } name && !Operations.ByName.ContainsKey(name))
                    return TypedResults.BadRequest($"Unknown operation {name}.");
                return Try(() => emulator.Faults.Add(fault));
            });
        control.MapDelete("/faults", emulator.Faults.Clear);
        control.MapGet(
            "/quotas",
            () => emulator.Quotas.Rates.OrderBy(r => r.Key, StringComparer.Ordinal).ToDictionary(StringComparer.Ordinal)
        );
        control.MapPut(
            "/quotas/{family}",
            Results<NoContent, BadRequest<string>> (string family, double perSecond) =>
                Try(() => emulator.Quotas.Set(family, perSecond)));
        control.MapPatch("/settings", (RuntimeSettings settings) => Apply(emulator, settings));
    }

    private static RuntimeSettings Apply(KmsEmulator emulator, RuntimeSettings settings)
    {
        if (settings.ConsistencyDelaySeconds is { } consistency)
            emulator.Settings.ConsistencyDelay = TimeSpan.FromSeconds(consistency);
        if (settings.ReplicationDelaySeconds is { } replication)
            emulator.Settings.ReplicationDelay = TimeSpan.FromSeconds(replication);
        emulator.Latency = new Latency(
            settings.LatencyMedianMilliseconds is { } median
                ? TimeSpan.FromMilliseconds(median)
                : emulator.Latency.Median,
            settings.LatencyPercentile99Milliseconds is { } p99
                ? TimeSpan.FromMilliseconds(p99)
                : emulator.Latency.Percentile99);
        if (settings.QuotasEnforced is { } enforced)
            emulator.Quotas.Enforced = enforced;
        return new RuntimeSettings
        {
            ConsistencyDelaySeconds = emulator.Settings.ConsistencyDelay.TotalSeconds,
            ReplicationDelaySeconds = emulator.Settings.ReplicationDelay.TotalSeconds,
            LatencyMedianMilliseconds = emulator.Latency.Median.TotalMilliseconds,
            LatencyPercentile99Milliseconds = emulator.Latency.Percentile99.TotalMilliseconds,
            QuotasEnforced = emulator.Quotas.Enforced,
        };
    }

    private static Results<NoContent, BadRequest<string>> Try(Action change)
    {
        try
        {
            change();
            return TypedResults.NoContent();
        }
        catch (ArgumentException error)
        {
            return TypedResults.BadRequest(error.Message);
        }
    }
}
