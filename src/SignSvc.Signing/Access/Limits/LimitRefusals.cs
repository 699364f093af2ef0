using System.Globalization;
using SignSvc.Signing.Audit;

namespace SignSvc.Signing.Access.Limits;

/// <summary>
/// Puts refusals over limits on record without letting a flood fill the audit: of one caller and limit the first has a
/// record of its own; those that follow within the second are told by one record with their number, and so on for each
/// second that the flood lasts. No refusal is missing from the numbers, but those of the last second before a node stops.
/// </summary>
internal sealed class LimitRefusals(AuditLog audit, TimeProvider time)
{
    /// <summary>Callers and limits that are told apart within a second; what goes beyond is told together.</summary>
    private const int MaxTallies = 1_024;

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Caller, string Limit), Tally> _tallies = [];
    private ITimer? _timer;

    /// <returns>Whether the refusal gets a record of its own; else it is in the next one's number.</returns>
    public bool IsToRecord(AuditRecord refused, string limit)
    {
        lock (_gate)
        {
            if (_tallies.TryGetValue((refused.Caller, limit), out var tally))
            {
                tally.Add(1);
                return false;
            }

            if (_tallies.Count < MaxTallies)
            {
                _tallies.Add((refused.Caller, limit), new Tally(Summary(refused, limit)));
                Start();
                return true;
            }

            var others = (Caller: "several", Limit: "");
            if (!_tallies.TryGetValue(others, out tally))
                _tallies.Add(others, tally = new Tally(Summary(refused, "limits of policies") with { Caller = others.Caller, Resource = null, KeyId = null, KeyName = null }));
            tally.Add(1);
            return false;
        }
    }

    private static AuditRecord Summary(AuditRecord refused, string limit) => new()
    {
        At = refused.At,
        Caller = refused.Caller,
        Action = refused.Action,
        Outcome = AuditOutcome.Denied,
        Fault = SigningFault.RateLimited,
        Resource = refused.Resource,
        KeyId = refused.KeyId,
        KeyName = refused.KeyName,
        Detail = limit,
    };

    private void Start()
    {
        _timer ??= time.CreateTimer(_ => _ = TellAsync(), state: null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        if (_tallies.Count == 1)
            _timer.Change(Interval, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whoever was quiet for a second is forgotten; its next refusal has a record of its own again.</summary>
    private async Task TellAsync()
    {
        Tally[] loud;
        lock (_gate)
        {
            foreach (var quiet in _tallies.Where(t => t.Value.Count == 0).Select(t => t.Key).ToArray())
                _tallies.Remove(quiet);
            loud = [.. _tallies.Values];
        }

        var records = loud.Select(t => (Tally: t, Count: t.Take())).ToArray();
        try
        {
            await audit.AppendAsync([.. records.Select(r => Of(r.Tally, r.Count))], CancellationToken.None);
        }
        catch (SigningException e) when (e.Fault == SigningFault.AuditUnavailable)
        {
            foreach (var (tally, count) in records)
                tally.Add(count);
        }

        lock (_gate)
        {
            if (_tallies.Count > 0)
                _timer!.Change(Interval, Timeout.InfiniteTimeSpan);
        }
    }

    private AuditRecord Of(Tally tally, int count) => tally.Summary with
    {
        At = time.GetUtcNow(),
        Detail = string.Create(CultureInfo.InvariantCulture, $"{count} more requests refused within {Interval.TotalSeconds} s by {tally.Summary.Detail}"),
    };

    private sealed class Tally(AuditRecord summary)
    {
        private int _count;

        public AuditRecord Summary => summary;

        public int Count => Volatile.Read(ref _count);

        public int Take() => Interlocked.Exchange(ref _count, 0);

        public void Add(int count) => Interlocked.Add(ref _count, count);
    }
}
