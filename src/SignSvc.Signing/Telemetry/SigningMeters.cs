using System.Diagnostics;
using System.Diagnostics.Metrics;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Telemetry;

/// <summary>
/// What is counted and timed as it happens. Every instrument asks first whether anybody listens; the attributes live on
/// the stack. What can be read at any time (queues, ages, expiries) is read when it is asked for, by the process.
/// </summary>
public static class SigningMeters
{
    public const string MeterName = "SignSvc";

    private static readonly Meter Meter = new(MeterName);

    /// <summary>Of a local signature up to one that waited its whole deadline.</summary>
    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    };

    private static readonly Counter<long> Decisions = Meter.CreateCounter<long>(
        "signsvc.decisions", "{decision}", "Decisions on record, and those that could not be put on record.");

    private static readonly Counter<long> LimitRefusals = Meter.CreateCounter<long>(
        "signsvc.limit.refusals", "{request}", "Requests refused by limits of policies, items of batches one by one; fewer records tell of them.");

    private static readonly Histogram<double> SignatureDuration = Meter.CreateHistogram(
        "signsvc.signature.duration", "s", "From the request's entry to its durable record, of signatures and tokens that left.", advice: Seconds);

    private static readonly Histogram<double> BackendDuration = Meter.CreateHistogram(
        "signsvc.backend.call.duration", "s", "Signatures by backends of the assured tier, with their waiting and their retries.", advice: Seconds);

    private static readonly Counter<long> WrongSignatures = Meter.CreateCounter<long>(
        "signsvc.backend.wrong_signatures", "{signature}", "Signatures by backends of the assured tier that did not verify, and were not given away.");

    private static readonly Counter<long> BackendTries = Meter.CreateCounter<long>(
        "signsvc.backend.tries", "{try}", "Tries at backends within their budgets; the first of a call and its repetitions apart.");

    private static readonly Histogram<double> CommitDuration = Meter.CreateHistogram(
        "signsvc.audit.commit.duration", "s", "One commit of the audit, of however many records.", advice: Seconds);

    private static readonly Counter<long> CommittedRecords = Meter.CreateCounter<long>(
        "signsvc.audit.records", "{record}", "Audit records that became durable.");

    /// <summary>Read from the start, so that Prometheus sees the first one as an increase.</summary>
    private static readonly ObservableCounter<long> GlassBroken = Meter.CreateObservableCounter(
        "signsvc.approvals.glass.broken", () => Volatile.Read(ref _glassBroken), "{approval}", "Requests that somebody let go on without the approvals that rules ask for.");

    private static long _glassBroken;

    public static bool MeasuresSignatures => SignatureDuration.Enabled;

    /// <summary>A record became durable.</summary>
    public static void Decided(AuditRecord record)
    {
        if (Decisions.Enabled)
            Count(record, record.Outcome, record.Fault);
    }

    /// <summary>A record did not become durable in time: whatever was decided, its caller was refused.</summary>
    public static void NotRecorded(AuditRecord record)
    {
        if (Decisions.Enabled)
            Count(record, AuditOutcome.Failed, SigningFault.AuditUnavailable);
    }

    /// <param name="limit">The statement's name.</param>
    internal static void Limited(string action, string limit)
    {
        if (LimitRefusals.Enabled)
            LimitRefusals.Add(1, new TagList { { Tags.Action, action }, { Tags.Limit, limit } });
    }

    internal static void BrokeGlass()
    {
        Interlocked.Increment(ref _glassBroken);
    }

    public static void Delivered(Key key, string action, TimeSpan elapsed)
    {
        var tags = new TagList { { Tags.Action, action }, { Tags.Tier, NameOf(key.Tier) }, { Tags.Backend, key.Backend } };
        SignatureDuration.Record(elapsed.TotalSeconds, tags);
    }

    internal static void BackendCalled(string backend, SigningFault? fault, TimeSpan elapsed)
    {
        if (!BackendDuration.Enabled)
            return;
        var tags = new TagList { { Tags.Backend, backend } };
        if (fault is { } code)
            tags.Add(Tags.ErrorType, FaultCodes.Of(code));
        BackendDuration.Record(elapsed.TotalSeconds, tags);
    }

    /// <summary>The call itself has counted as one that went well.</summary>
    internal static void BackendSignedWrongly(string backend) => WrongSignatures.Add(1, new KeyValuePair<string, object?>(Tags.Backend, backend));

    internal static void BackendTried(string budget, bool isRetry, SigningFault? fault)
    {
        if (!BackendTries.Enabled)
            return;
        var tags = new TagList { { Tags.Budget, budget }, { Tags.Retry, isRetry ? "true" : "false" } };
        if (fault is { } code)
            tags.Add(Tags.ErrorType, FaultCodes.Of(code));
        BackendTries.Add(1, tags);
    }

    internal static void Committed(int records, bool failed, TimeSpan elapsed)
    {
        if (!failed)
            CommittedRecords.Add(records);
        if (!CommitDuration.Enabled)
            return;
        var tags = new TagList();
        if (failed)
            tags.Add(Tags.ErrorType, FaultCodes.Of(SigningFault.StoreFailed));
        CommitDuration.Record(elapsed.TotalSeconds, tags);
    }

    public static string NameOf(KeyTier tier) => tier == KeyTier.Assured ? "assured" : "volume";

    private static void Count(AuditRecord record, AuditOutcome outcome, SigningFault? fault)
    {
        var tags = new TagList
        {
            { Tags.Action, record.Action },
            { Tags.Outcome, outcome switch { AuditOutcome.Allowed => "allowed", AuditOutcome.Denied => "denied", _ => "failed" } },
        };
        if (record.KeyName is { } key)
            tags.Add(Tags.KeyName, key);
        if (fault is { } code)
            tags.Add(Tags.ErrorType, FaultCodes.Of(code));
        Decisions.Add(1, tags);
    }
}
