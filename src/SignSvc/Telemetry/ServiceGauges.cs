using System.Diagnostics.Metrics;
using SignSvc.Access;
using SignSvc.Backends.Pkcs11;
using SignSvc.Embedded;
using SignSvc.Http;
using SignSvc.Operations;
using SignSvc.Signing.Access;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Telemetry;

/// <summary>What can be read at any time and costs nothing until somebody asks: queues, ages, budgets, tokens, the state of the schedule.</summary>
internal sealed class ServiceGauges : IDisposable
{
    private readonly Meter _meter = new(SigningMeters.MeterName);
    private readonly Node _node;

    public ServiceGauges(Node node, StrangerLog strangers, Decisions decisions, KeyScheduler scheduler, ServedCertificate certificate, SettingsReload reload)
    {
        _node = node;
        _meter.CreateObservableGauge(
            "signsvc.build", () => new Measurement<long>(1, Pair("service.version", typeof(ServiceGauges).Assembly.GetName().Version!.ToString(3))),
            description: "Always 1; the version that runs.");
        AddAudit();
        AddSnapshot();
        AddBudgets();
        AddTokens();
        _meter.CreateObservableCounter(
            "signsvc.strangers.refused", () => strangers.Refused, "{request}", "Requests whose sender nobody could name.");
        _meter.CreateObservableGauge(
            "signsvc.limit.budgets", () => decisions.CallerBudgetsKept, "{budget}", "Callers' budgets under limits of policies that this node keeps.");
        _meter.CreateObservableGauge(
            "signsvc.schedule.alarms", () => scheduler.Alarms.Length, "{alarm}", "What the key schedule wants somebody to know, on the node that holds the lease.");
        _meter.CreateObservableGauge(
            "signsvc.certificate.remaining", () => Optional(certificate.Remaining), "s", "Until the service's own TLS certificate expires.");
        _meter.CreateObservableGauge(
            "signsvc.settings.refused", () => reload.IsRefused ? 1 : 0, description: "1: the settings files hold what was refused; older settings are in force.");
        KeyGauges.Add(_meter, node.Live, node.Backends, node.Time);
    }

    public void Dispose() => _meter.Dispose();

    private void AddAudit()
    {
        _meter.CreateObservableGauge("signsvc.audit.queue", () => _node.Audit.Queued, "{entry}", "Entries that wait for a commit of the audit.");
        _meter.CreateObservableGauge(
            "signsvc.audit.queue.limit", () => _node.Settings.Audit.QueuedEntries, "{entry}", "Entries that may wait; beyond it requests are refused.");
        _meter.CreateObservableGauge(
            "signsvc.audit.failed", () => _node.Audit.Failure is null ? 0 : 1, description: "1: the audit refuses everything until a restart.");
    }

    private void AddSnapshot()
    {
        _meter.CreateObservableGauge(
            "signsvc.snapshot.age", () => _node.Freshness.Age.TotalSeconds, "s", "Since this node last knew that its keys are the store's.");
        _meter.CreateObservableGauge(
            "signsvc.snapshot.age.limit", BoundOfAge, "s", "The age beyond which assured keys do not sign.");
        _meter.CreateObservableGauge("signsvc.snapshot.revision", () => _node.Live.Current.Revision, description: "The revision that this node serves.");
        // The key set is made from the snapshot and is as old as that.
        _meter.CreateObservableGauge(
            "signsvc.jwks.age", () => _node.Freshness.Age.TotalSeconds, "s", "Since the key set that this node serves was known to be the store's.");
        _meter.CreateObservableGauge(
            "signsvc.jwks.keys",
            () => _node.Live.Current.Keys.All.Where(k => k.Purpose == KeyPurpose.Tokens).Sum(k => k.Versions.Count(v => v.IsPublished)),
            "{key}", "Public keys in the key set.");
    }

    private void AddBudgets()
    {
        _meter.CreateObservableGauge("signsvc.budget.rate", () => Each(b => b.Rate), "{call}/s", "Calls a second that leave now; lowered by throttles.");
        _meter.CreateObservableGauge("signsvc.budget.quota", () => Each(b => b.Quota), "{call}/s", "Calls a second as configured.");
        _meter.CreateObservableGauge("signsvc.budget.in_flight", () => Each(b => b.InFlight), "{call}", "Calls at the backend now.");
        _meter.CreateObservableGauge("signsvc.budget.waiting", Waiting, "{call}", "Calls that wait for their turn.");
        _meter.CreateObservableGauge("signsvc.budget.breaker.open", () => Each(b => b.Breaker == BreakerState.Closed ? 0 : 1), description: "1: the backend counts as down and calls are refused.");
        _meter.CreateObservableCounter("signsvc.budget.passed", () => Each(b => b.Passed), "{call}", "Tries that left for the backend.");
        _meter.CreateObservableCounter("signsvc.budget.throttled", () => Each(b => b.Throttled), "{call}", "Tries that the backend throttled.");
        _meter.CreateObservableCounter("signsvc.budget.refused", () => Each(b => b.Refused), "{call}", "Calls that were refused here: no room, or no turn before their deadline.");
    }

    private void AddTokens()
    {
        _meter.CreateObservableGauge("signsvc.hsm.token.ready", () => Each(t => t.State == Pkcs11TokenState.Ready ? 1 : 0), description: "1: the token is connected.");
        _meter.CreateObservableGauge("signsvc.hsm.token.sessions", () => Each(t => t.Sessions), "{session}", "Sessions of the token that are open for work.");
        _meter.CreateObservableGauge("signsvc.hsm.token.waiting", () => Each(t => t.Waiting), "{call}", "Calls that wait for a session of the token.");
        _meter.CreateObservableGauge("signsvc.hsm.token.abandoned", () => Each(t => t.Abandoned), "{thread}", "Threads that hang inside the module.");
        _meter.CreateObservableCounter("signsvc.hsm.token.connections", () => Each(t => t.Connections), "{connection}", "Times that the token was connected: 1 in a quiet life.");
    }

    /// <summary>A node alone with its store has no bound and shows none.</summary>
    private IEnumerable<Measurement<double>> BoundOfAge() =>
        _node.Freshness.Bound == TimeSpan.MaxValue ? [] : [new Measurement<double>(_node.Freshness.Bound.TotalSeconds)];

    private IEnumerable<BudgetState> Budgets => _node.Backends.All.OfType<BudgetedBackend>().SelectMany(b => b.Budgets);

    private IEnumerable<Measurement<double>> Each(Func<BudgetState, double?> value) =>
        Budgets.Where(b => value(b) is not null).Select(b => new Measurement<double>(value(b)!.Value, Pair(Tags.Budget, b.Name)));

    private IEnumerable<Measurement<long>> Each(Func<BudgetState, long> value) =>
        Budgets.Select(b => new Measurement<long>(value(b), Pair(Tags.Budget, b.Name)));

    private IEnumerable<Measurement<long>> Waiting() => Budgets.SelectMany(b => new[]
    {
        new Measurement<long>(b.WaitingInteractive, Pair(Tags.Budget, b.Name), Pair("signsvc.lane", "interactive")),
        new Measurement<long>(b.WaitingBulk, Pair(Tags.Budget, b.Name), Pair("signsvc.lane", "bulk")),
    });

    private IEnumerable<Measurement<long>> Each(Func<Pkcs11TokenStatus, long> value) => _node.Backends.All
        .Select(b => b is BudgetedBackend budgeted ? budgeted.Inner : b).OfType<Pkcs11Backend>()
        .SelectMany(b => b.Status).Select(t => new Measurement<long>(value(t), Pair("signsvc.hsm.token", t.Token)));

    private static IEnumerable<Measurement<double>> Optional(double? value) => value is { } known ? [new Measurement<double>(known)] : [];

    internal static KeyValuePair<string, object?> Pair(string name, object value) => new(name, value);
}
