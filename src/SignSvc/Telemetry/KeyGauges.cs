using System.Diagnostics.Metrics;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Telemetry;
using static SignSvc.Telemetry.ServiceGauges;

namespace SignSvc.Telemetry;

/// <summary>What time will do, and to which key: rotations that are late, versions that end, deletions, credentials that expire.</summary>
internal static class KeyGauges
{
    /// <summary>Keys that are shown by name; of more only the number is known.</summary>
    private const int NamedKeys = 2_000;

    private static readonly (string Name, TimeSpan Span)[] Horizons =
        [("1d", TimeSpan.FromDays(1)), ("7d", TimeSpan.FromDays(7)), ("30d", TimeSpan.FromDays(30))];

    public static void Add(Meter meter, LiveSnapshot live, BackendSet backends, TimeProvider time)
    {
        meter.CreateObservableGauge("signsvc.keys", () => Count(live.Current), "{key}", "Keys, by tier, backend and state.");
        meter.CreateObservableGauge(
            "signsvc.key.enabled", () => Named(live).Select(k => Of(k, k.State == KeyState.Enabled ? 1 : 0)), description: "0: the key is disabled or pending deletion.");
        meter.CreateObservableGauge(
            "signsvc.key.usable", () => Named(live).Select(k => Of(k, k.Signing(time.GetUtcNow()) is null ? 0 : 1)), description: "0: no version of the key signs now.");
        meter.CreateObservableGauge(
            "signsvc.key.backend.enabled",
            () => Named(live).Select(k => (Key: k, Signs: BackendDrift.MaySignThere(backends, k, time.GetUtcNow())))
                .Where(k => k.Signs is not null).Select(k => Of(k.Key, k.Signs == true ? 1 : 0)),
            description: "0: the version that signs was stopped at its backend, by somebody else. Where nothing is known, nothing is shown.");
        meter.CreateObservableGauge(
            "signsvc.key.deletion.remaining",
            () => Named(live).Where(k => k.State == KeyState.PendingDeletion).Select(k => UntilDeleted(k, time)).OfType<Measurement<double>>(),
            "s", "Until a key that is pending deletion is gone for good.");
        meter.CreateObservableGauge(
            "signsvc.key.rotation.overdue",
            () => Named(live).Select(k => Overdue(k, time)).OfType<Measurement<double>>(),
            "s", "How long ago a successor was to take over from the version that signs; 0: none was.");
        meter.CreateObservableGauge(
            "signsvc.key.expiry.remaining",
            () => Named(live).Select(k => Until(k, ActiveOf(k)?.SignsUntil, time)).OfType<Measurement<double>>(),
            "s", "Until the active version's hard stop.");
        meter.CreateObservableGauge(
            "signsvc.credentials.expiring", () => Expiring(live.Current, time.GetUtcNow()), "{credential}", "Credentials that expire within a time, and are neither expired nor revoked.");
    }

    /// <summary>In order of their names, so that the same keys are shown at every scrape.</summary>
    private static IEnumerable<Key> Named(LiveSnapshot live) => live.Current.Keys.All.Take(NamedKeys);

    private static KeyVersion? ActiveOf(Key key) => key.State == KeyState.Enabled ? key.Versions.LastOrDefault(v => v.State == VersionState.Active) : null;

    private static Measurement<long> Of(Key key, long value) =>
        new(value, Pair(Tags.KeyName, key.Name), Pair(Tags.Tier, SigningMeters.NameOf(key.Tier)), Pair(Tags.Backend, key.Backend));

    private static Measurement<double>? Until(Key key, DateTimeOffset? moment, TimeProvider time) =>
        moment is { } at ? new Measurement<double>((at - time.GetUtcNow()).TotalSeconds, Pair(Tags.KeyName, key.Name)) : null;

    private static Measurement<double>? UntilDeleted(Key key, TimeProvider time) => key.DeletesAt is { } at
        ? new Measurement<double>((at - time.GetUtcNow()).TotalSeconds, Pair(Tags.KeyName, key.Name), Pair("signsvc.approved", key.DeletionApproved ? "true" : "false"))
        : null;

    private static Measurement<double>? Overdue(Key key, TimeProvider time) => ActiveOf(key) is { } active && KeySchedule.SuccessionAt(active) is { } at
        ? new Measurement<double>(Math.Max(0, (time.GetUtcNow() - at).TotalSeconds), Pair(Tags.KeyName, key.Name))
        : null;

    private static IEnumerable<Measurement<long>> Count(Snapshot snapshot) => snapshot.Keys.All
        .GroupBy(k => (k.Tier, k.Backend, k.State))
        .Select(g => new Measurement<long>(
            g.Count(), Pair(Tags.Tier, SigningMeters.NameOf(g.Key.Tier)), Pair(Tags.Backend, g.Key.Backend), Pair("signsvc.key.state", NameOf(g.Key.State))));

    private static IEnumerable<Measurement<long>> Expiring(Snapshot snapshot, DateTimeOffset now) => Horizons.Select(h => new Measurement<long>(
        snapshot.Credentials.Values.Count(c => c.RevokedAt is null && c.ExpiresAt > now && c.ExpiresAt <= now + h.Span),
        Pair("signsvc.within", h.Name)));

    private static string NameOf(KeyState state) => state switch
    {
        KeyState.Enabled => "enabled",
        KeyState.Disabled => "disabled",
        KeyState.PendingDeletion => "pendingDeletion",
        _ => "deleted",
    };
}
