using System.Diagnostics;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;

namespace SignSvc.Access;

/// <summary>
/// Refusals of callers whom nobody can name: all are counted, few are put on record, so that a flood neither fills the
/// disk nor slows the audit for those who are known.
/// </summary>
public sealed class StrangerLog(AuditLog audit, TimeProvider time)
{
    private const int RecordsASecond = 10;

    private readonly Lock _gate = new();
    private long _second;
    private int _recordsInSecond;
    private long _refused;

    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Gives the refusal its audit id if it is recorded. A stranger learns nothing of the state of the audit.</summary>
    /// <param name="why">In words of ours: nothing that the stranger chose.</param>
    public async Task RecordAsync(SigningException refusal, string why, string? address, CancellationToken cancellationToken)
    {
        var count = Interlocked.Increment(ref _refused);
        if (!MayRecord())
            return;
        try
        {
            refusal.AuditId = await audit.AppendAsync(
                new AuditRecord
                {
                    At = time.GetUtcNow(),
                    Caller = "unknown",
                    Action = Actions.Authenticate,
                    Outcome = AuditOutcome.Denied,
                    Fault = refusal.Fault,
                    Detail = $"refusal {count} of an unknown caller since the start: {why}",
                    Address = address,
                    TraceId = Activity.Current?.TraceId.ToHexString(),
                },
                cancellationToken);
        }
        catch (SigningException e) when (e.Fault == SigningFault.AuditUnavailable)
        {
            // Nothing was asked for that a record would have to stand for.
        }
    }

    private bool MayRecord()
    {
        var second = time.GetUtcNow().ToUnixTimeSeconds();
        lock (_gate)
        {
            if (second != _second)
                (_second, _recordsInSecond) = (second, 0);
            return ++_recordsInSecond <= RecordsASecond;
        }
    }
}
