using System.Collections.Concurrent;
using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;

namespace SignSvc.Signing.Telemetry.Usage;

/// <summary>
/// Watches how callers and grants are used, by what is put on record, and tells what is unlike their own past: the signs of
/// a stolen credential. Memory is bounded, one node sees what it serves, and nothing is refused by it.
/// </summary>
public sealed class UsageWatch(UsageLimits limits, TimeProvider time)
{
    /// <summary>As <see cref="Permit.Remark"/> writes it.</summary>
    private const string ByGrant = "allowed by grant/";

    private const int IdLength = 36;
    private const int MaxUntold = 1_000;

    private static readonly TimeSpan BetweenTicks = TimeSpan.FromMinutes(1);

    private static readonly int Kinds = Enum.GetValues<UsageBreakKind>().Length;

    private readonly ConcurrentDictionary<string, UsageBaseline>[] _subjects = [new(StringComparer.Ordinal), new(StringComparer.Ordinal)];
    private readonly ConcurrentQueue<UsageBreak> _untold = new();
    private readonly long[] _breaks = new long[2 * Kinds];
    private volatile UsageLimits _limits = limits;
    private DateTimeOffset _lastTick = time.GetUtcNow();
    private long _unwatched;

    /// <summary>May be exchanged at any time.</summary>
    public UsageLimits Limits
    {
        get => _limits;
        set => _limits = value;
    }

    /// <summary>Uses of callers and grants for which there was no room.</summary>
    public long Unwatched => Volatile.Read(ref _unwatched);

    internal DateTimeOffset Now => time.GetUtcNow();

    public long BreaksOf(UsageSubject subject, UsageBreakKind kind) => Volatile.Read(ref _breaks[((int)subject * Kinds) + (int)kind]);

    public (int Learning, int Learned, int Suspect) CountOf(UsageSubject subject)
    {
        var (now, learned, suspect, all) = (Now, 0, 0, 0);
        foreach (var baseline in _subjects[(int)subject].Values)
        {
            all++;
            learned += baseline.IsLearned(now) ? 1 : 0;
            suspect += baseline.IsSuspect(now) ? 1 : 0;
        }

        return (all - learned, learned, suspect);
    }

    /// <summary>A record that is durable. On the path of every request.</summary>
    public void Note(AuditRecord record)
    {
        if (Limits.Subjects == 0 || record.Caller is "unknown" || ReferenceEquals(record.Caller, Caller.Service.Principal))
            return;
        Of(UsageSubject.Caller, record.Caller)?.Count(record.Address);
        if (record.Detail is { } detail && detail.StartsWith(ByGrant, StringComparison.Ordinal) && detail.Length >= ByGrant.Length + IdLength)
            Of(UsageSubject.Grant, detail.AsSpan(ByGrant.Length, IdLength))?.Count(record.Address);
    }

    /// <summary>Does what is due; to be called every few seconds.</summary>
    /// <returns>Breaks that nobody was told of yet.</returns>
    public IReadOnlyList<UsageBreak> Tick()
    {
        var now = Now;
        if (now - _lastTick >= BetweenTicks)
        {
            _lastTick = now;
            foreach (var subjects in _subjects)
            {
                foreach (var baseline in subjects.Values)
                    baseline.Tick(now);
                Forget(subjects, now);
            }
        }

        var breaks = new List<UsageBreak>();
        while (breaks.Count < MaxUntold && _untold.TryDequeue(out var each))
            breaks.Add(each);
        return breaks;
    }

    public IReadOnlyList<KeptBaseline> Keep() => [.. _subjects.SelectMany(s => s.Values).Select(b => b.Keep())];

    /// <summary>Goes on where another process stopped. Before the first record.</summary>
    public void Restore(IEnumerable<KeptBaseline> kept)
    {
        foreach (var each in kept.Where(k => Enum.IsDefined(k.Subject)))
        {
            var subjects = _subjects[(int)each.Subject];
            if (subjects.Count < Limits.Subjects)
                subjects[each.Name] = new UsageBaseline(this, each);
        }
    }

    internal void Tell(UsageBreak @break)
    {
        Interlocked.Increment(ref _breaks[((int)@break.Subject * Kinds) + (int)@break.Kind]);
        // What is not told is counted all the same.
        if (_untold.Count < MaxUntold)
            _untold.Enqueue(@break);
    }

    private UsageBaseline? Of(UsageSubject subject, ReadOnlySpan<char> name)
    {
        var subjects = _subjects[(int)subject];
        if (subjects.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out var baseline))
            return baseline;
        if (subjects.Count >= Limits.Subjects)
        {
            Interlocked.Increment(ref _unwatched);
            return null;
        }

        var text = name.ToString();
        return subjects.GetOrAdd(text, new UsageBaseline(this, subject, text, Now));
    }

    /// <summary>Those that were silent for long, and, where there is hardly room, the tenth that was silent longest.</summary>
    private void Forget(ConcurrentDictionary<string, UsageBaseline> subjects, DateTimeOffset now)
    {
        foreach (var (name, _) in subjects.Where(s => now - s.Value.LastSeen > UsageBaseline.Memory))
            subjects.TryRemove(name, out _);
        if (subjects.Count < Limits.Subjects)
            return;
        foreach (var (name, _) in subjects.OrderBy(s => s.Value.LastSeen).Take((subjects.Count - Limits.Subjects) + (Limits.Subjects / 10) + 1).ToArray())
            subjects.TryRemove(name, out _);
    }
}
