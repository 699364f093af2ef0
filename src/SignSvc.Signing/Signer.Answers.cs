using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Backends.Budgets;
using SignSvc.Signing.Telemetry;

namespace SignSvc.Signing;

/// <summary>The end of the one path: what was decided is put on record, and only then released.</summary>
public sealed partial class Signer
{
    /// <summary>Items of one batch that are worked on at once: enough to keep a remote backend busy.</summary>
    private const int BatchParallelism = 64;

    /// <summary>Of a batch whose caller names no deadline. What was not signed by then is refused, item by item; the rest is signed and on record.</summary>
    private static readonly TimeSpan LongestBatch = TimeSpan.FromSeconds(60);

    private async Task<T> AnswerAsync<T>(Decided<T> decided, long started, CancellationToken cancellationToken)
        where T : class
    {
        if (decided.Refusal is { } refusal)
        {
            // A refusal is put on record even if its caller has gone.
            await decisions.RecordRefusalAsync(decided.Record, refusal);
            throw refusal;
        }

        var auditId = await audit.AppendAsync(decided.Record, cancellationToken);
        if (SigningMeters.MeasuresSignatures && live.Current.Keys.TryGet(decided.Record.KeyId!, out var key))
            SigningMeters.Delivered(key, decided.Record.Action, time.GetElapsedTime(started));
        return decided.Release!(auditId);
    }

    private async Task<Outcome<T>[]> AnswerAllAsync<TItem, T>(
        IReadOnlyList<TItem> items, Func<TItem, Task<Decided<T>>> decide, CancellationToken cancellationToken)
        where T : class
    {
        using var terms = CallTerms.BeginBatch(LongestBatch, time);
        var decided = new Decided<T>[items.Count];
        await Parallel.ForAsync(
            0, items.Count,
            new ParallelOptions { MaxDegreeOfParallelism = BatchParallelism, CancellationToken = cancellationToken },
            async (i, _) => decided[i] = await decide(items[i]));

        var isRecorded = new bool[decided.Length];
        var records = new List<AuditRecord>(decided.Length);
        for (var i = 0; i < decided.Length; i++)
        {
            isRecorded[i] = decisions.IsToRecord(decided[i].Record, decided[i].Refusal);
            if (isRecorded[i])
                records.Add(decided[i].Record);
        }

        var auditIds = await audit.AppendAsync(records, cancellationToken);
        var outcomes = new Outcome<T>[decided.Length];
        var next = 0;
        for (var i = 0; i < decided.Length; i++)
            outcomes[i] = decided[i].ToOutcome(isRecorded[i] ? auditIds[next++] : null);
        return outcomes;
    }

    /// <summary>With what is known only after the signature. Most have nothing of it: a role allowed it, and a key in this process signed.</summary>
    private static AuditRecord Completed(AuditRecord record, in BackendSignature signature, Permit permit) =>
        signature.RequestId is null && permit.Remark is null ? record : record with { BackendRequestId = signature.RequestId, Detail = permit.Remark };

    /// <summary>What may become a refusal on record. Anything else is a defect and goes up to the process edge.</summary>
    private static SigningException? AsRefusal(Exception e) => e switch
    {
        SigningException { Fault: SigningFault.AuditUnavailable } => null,
        SigningException refusal => refusal,
        OperationCanceledException => new SigningException(
            SigningFault.DeadlineExceeded, "The caller went away or its deadline passed before the signature was made.", e),
        _ => null,
    };

    /// <summary>What was decided on one item, before its record is durable: either a way to release the answer, or the refusal.</summary>
    private readonly struct Decided<T>
        where T : class
    {
        public Decided(AuditRecord record, Func<string, T> release)
        {
            Record = record;
            Release = release;
        }

        public Decided(AuditRecord record, SigningException refusal)
        {
            Record = record;
            Refusal = refusal;
        }

        public AuditRecord Record { get; }

        public Func<string, T>? Release { get; }

        public SigningException? Refusal { get; }

        /// <param name="auditId">Null: a refusal of which another record tells.</param>
        public Outcome<T> ToOutcome(string? auditId)
        {
            if (Refusal is null)
                return new Outcome<T>(Release!(auditId!), Refusal: null);
            Refusal.AuditId = auditId;
            return new Outcome<T>(Answer: null, Refusal);
        }
    }
}
