using System.Net;
using System.Net.Sockets;

namespace SignSvc.Signing.Telemetry.Usage;

/// <summary>A baseline as it is kept over a restart. Times are seconds of Unix time; 0: never.</summary>
/// <param name="Peak">Most uses in five minutes.</param>
/// <param name="Hours">For each hour of the day when it was last used in it.</param>
/// <param name="Networks">When it last came from each.</param>
public sealed record KeptBaseline(UsageSubject Subject, string Name, long FirstSeen, long LastSeen, double Peak, long[] Hours, Dictionary<string, long> Networks);

/// <summary>
/// How one caller, or one grant, is used: how often, from where, at what hours. What breaks it is learned at the same time,
/// so that a lasting change is told once and then is usual; whoever changes slowly teaches it.
/// </summary>
internal sealed class UsageBaseline
{
    /// <summary>Beyond them it comes from anywhere, and where from says nothing: hosted runners.</summary>
    private const int MaxNetworks = 32;

    private const int MaxAddresses = 64;
    private const int WindowMinutes = 5;
    private const int HoursOfDay = 24;

    /// <summary>What was not seen for so long is forgotten.</summary>
    public static readonly TimeSpan Memory = TimeSpan.FromDays(30);

    /// <summary>A peak that is not reached again is worth half after 14 days.</summary>
    private static readonly double DecayInMinute = Math.Pow(0.5, 1 / TimeSpan.FromDays(14).TotalMinutes);

    /// <summary>Of a rate beyond the peak so much is learned in a minute: what goes on for an hour or two is usual then.</summary>
    private const double GrowthInMinute = 1.01;

    /// <summary>One kind of break is told once in this time.</summary>
    private static readonly TimeSpan Quiet = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly UsageWatch _watch;
    private readonly UsageSubject _subject;
    private readonly string _name;
    private readonly DateTimeOffset _firstSeen;
    private readonly int[] _minutes = new int[WindowMinutes];
    private readonly DateTimeOffset?[] _hours = new DateTimeOffset?[HoursOfDay];
    private readonly DateTimeOffset?[] _brokenAt = new DateTimeOffset?[Enum.GetValues<UsageBreakKind>().Length];
    private readonly Dictionary<string, DateTimeOffset> _networks = new(StringComparer.Ordinal);
    private readonly HashSet<string> _addresses = new(StringComparer.Ordinal);
    private int _minute;
    private double _peak;

    // Written by everybody who uses it.
    private int _uses;
    private string? _lastAddress;

    public UsageBaseline(UsageWatch watch, UsageSubject subject, string name, DateTimeOffset now)
    {
        _watch = watch;
        _subject = subject;
        _name = name;
        _firstSeen = LastSeen = now;
    }

    public UsageBaseline(UsageWatch watch, KeptBaseline kept)
        : this(watch, kept.Subject, kept.Name, DateTimeOffset.FromUnixTimeSeconds(kept.FirstSeen))
    {
        LastSeen = DateTimeOffset.FromUnixTimeSeconds(kept.LastSeen);
        _peak = kept.Peak;
        for (var i = 0; i < Math.Min(HoursOfDay, kept.Hours.Length); i++)
            _hours[i] = kept.Hours[i] == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(kept.Hours[i]);
        foreach (var (network, at) in kept.Networks.Take(MaxNetworks))
            _networks[network] = DateTimeOffset.FromUnixTimeSeconds(at);
    }

    public DateTimeOffset LastSeen { get; private set; }

    public bool IsLearned(DateTimeOffset now) => now - _firstSeen >= _watch.Limits.Learning;

    /// <summary>Two kinds of break within an hour: hardly a coincidence.</summary>
    public bool IsSuspect(DateTimeOffset now)
    {
        lock (_gate)
            return _brokenAt.Count(at => now - at < Quiet) >= 2;
    }

    /// <summary>On the path of every request: an increment and a comparison, where it comes from where it came from last.</summary>
    public void Count(string? address)
    {
        Interlocked.Increment(ref _uses);
        if (address is not null && !string.Equals(address, Volatile.Read(ref _lastAddress), StringComparison.Ordinal))
            Meet(address);
    }

    /// <summary>Once a minute.</summary>
    public void Tick(DateTimeOffset now)
    {
        lock (_gate)
        {
            var uses = Interlocked.Exchange(ref _uses, 0);
            _minute = (_minute + 1) % WindowMinutes;
            _minutes[_minute] = uses;
            if (uses > 0)
            {
                LastSeen = now;
                MeetHour(now);
            }

            MeetRate(_minutes.Sum(), now);
            _addresses.Clear();
            _lastAddress = null;
            foreach (var old in _networks.Where(n => now - n.Value > Memory).Select(n => n.Key).ToArray())
                _networks.Remove(old);
        }
    }

    public KeptBaseline Keep()
    {
        lock (_gate)
        {
            return new KeptBaseline(
                _subject, _name, _firstSeen.ToUnixTimeSeconds(), LastSeen.ToUnixTimeSeconds(), _peak, [.. _hours.Select(h => h?.ToUnixTimeSeconds() ?? 0)],
                _networks.ToDictionary(n => n.Key, n => n.Value.ToUnixTimeSeconds(), StringComparer.Ordinal));
        }
    }

    private void MeetRate(int uses, DateTimeOffset now)
    {
        if (!IsLearned(now))
        {
            _peak = Math.Max(_peak, uses);
            return;
        }

        var limit = Math.Max(_watch.Limits.RateFloor, _watch.Limits.RateFactor * _peak);
        if (uses > limit)
            Break(UsageBreakKind.Rate, now, $"{uses} uses in five minutes", $"at most {limit:F0}");
        _peak = uses > _peak ? Math.Min(uses, Math.Max(_peak * GrowthInMinute, _peak + 1)) : _peak * DecayInMinute;
    }

    private void MeetHour(DateTimeOffset now)
    {
        var hour = now.UtcDateTime.Hour;
        var known = Enumerable.Range(0, HoursOfDay).Where(h => now - _hours[h] <= Memory).ToArray();
        var isUsual = Enumerable.Range(hour + HoursOfDay - 1, 3).Any(h => known.Contains(h % HoursOfDay));
        // Who was used in no whole minute yet has no hour: a past of none says nothing.
        if (known.Length > 0 && !isUsual && IsLearned(now))
            Break(UsageBreakKind.Hour, now, $"used at {hour} h UTC", $"the hours {string.Join(", ", known)}");

        _hours[hour] = now;
    }

    private void Meet(string address)
    {
        lock (_gate)
        {
            _lastAddress = address;
            if (!_addresses.Add(address))
                return;
            if (_addresses.Count > MaxAddresses)
                _addresses.Clear();
            if (NetworkOf(address) is not { } network)
                return;
            var now = _watch.Now;
            if (!_networks.ContainsKey(network))
            {
                if (_networks.Count >= MaxNetworks)
                    _networks.Remove(_networks.MinBy(n => n.Value).Key);
                else if (IsLearned(now))
                    Break(UsageBreakKind.Address, now, $"used from {address}", $"{_networks.Count} other networks");
            }

            _networks[network] = now;
        }
    }

    private void Break(UsageBreakKind kind, DateTimeOffset now, string seen, string known)
    {
        if (now - _brokenAt[(int)kind] < Quiet)
            return;
        _brokenAt[(int)kind] = now;
        _watch.Tell(new UsageBreak(_subject, _name, kind, now, seen, known));
    }

    /// <summary>Null: it is no IP address.</summary>
    private static string? NetworkOf(string address)
    {
        if (!IPAddress.TryParse(address, out var ip))
            return null;
        if (ip.IsIPv4MappedToIPv6)
            ip = ip.MapToIPv4();
        var bits = ip.AddressFamily == AddressFamily.InterNetwork ? 24 : 64;
        var bytes = ip.GetAddressBytes();
        Array.Clear(bytes, bits / 8, bytes.Length - (bits / 8));
        return $"{new IPAddress(bytes)}/{bits}";
    }
}
