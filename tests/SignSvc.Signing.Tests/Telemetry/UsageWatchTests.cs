using SignSvc.Signing.Access;
using SignSvc.Signing.Audit;
using SignSvc.Signing.Telemetry.Usage;
using SignSvc.Tests.Shared;

namespace SignSvc.Signing.Tests.Telemetry;

public sealed class UsageWatchTests
{
    private const string Home = "192.0.2.10";
    private const string Elsewhere = "203.0.113.9";
    private const string Ci = "credential:ci";
    private static readonly string GrantId = "0198c2f0-1111-7222-8333-444455556666";

    /// <summary>Midnight, so that hours can be told.</summary>
    private readonly ManualClock _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly UsageWatch _watch;
    private readonly List<UsageBreak> _told = [];

    public UsageWatchTests() => _watch = new UsageWatch(new UsageLimits(), _clock);

    [Fact]
    public void Working_days_like_those_before_break_nothing()
    {
        Work(days: 30);
        Assert.Empty(_told);
        Assert.Equal((0, 1, 0), _watch.CountOf(UsageSubject.Caller));
    }

    [Fact]
    public void Nothing_is_unusual_while_it_is_learned()
    {
        Work(days: 5);
        Use(100_000, Elsewhere);
        At(hour: 3);
        Use(100_000, "2001:db8::1");
        Assert.Empty(_told);
    }

    [Fact]
    public void Another_network_is_told_once_and_then_known()
    {
        Work(days: 8);
        At(hour: 10);
        Use(1, "192.0.2.250");
        Assert.Empty(_told);
        Use(1, Elsewhere);
        Use(1, "203.0.113.200");
        var told = Assert.Single(_told);
        Assert.Equal((UsageSubject.Caller, Ci, UsageBreakKind.Address), (told.Subject, told.Name, told.Kind));
        Assert.Contains(Elsewhere, told.Seen, StringComparison.Ordinal);
        Assert.Equal(1, _watch.BreaksOf(UsageSubject.Caller, UsageBreakKind.Address));
        Assert.Equal(0, _watch.CountOf(UsageSubject.Caller).Suspect);
    }

    [Fact]
    public void One_IPv6_network_has_64_bits_and_a_mapped_address_is_IPv4()
    {
        Work(days: 8, "2001:db8:0:1::5");
        At(hour: 10);
        Use(1, "2001:db8:0:1:ffff::9");
        Use(1, "::ffff:192.0.2.1");
        Use(1, "192.0.2.2");
        Assert.Single(_told);
    }

    [Fact]
    public void A_caller_from_everywhere_is_not_judged_by_where_it_comes_from()
    {
        Work(days: 8);
        At(hour: 10);
        for (var i = 0; i < 31; i++)
            Use(1, $"10.0.{i}.1");
        _told.Clear();
        _clock.Advance(TimeSpan.FromHours(2));
        for (var i = 100; i < 200; i++)
            Use(1, $"10.0.{i}.1");
        Assert.Empty(_told);
    }

    [Fact]
    public void A_multiple_of_the_highest_rate_breaks_the_baseline_and_half_of_it_does_not()
    {
        Work(days: 8, usesInAMinute: 100);
        At(hour: 10);
        // 500 in five minutes were the most; 2,000 are allowed.
        UseFor(minutes: 5, each: 380);
        Assert.Empty(_told);
        UseFor(minutes: 5, each: 500);
        Assert.Equal(UsageBreakKind.Rate, Assert.Single(_told).Kind);
    }

    [Fact]
    public void A_seldom_caller_may_be_a_hundred_times_in_five_minutes()
    {
        Work(days: 8);
        At(hour: 10);
        Use(99);
        Assert.Empty(_told);
        Use(99);
        Assert.Equal(UsageBreakKind.Rate, Assert.Single(_told).Kind);
    }

    [Fact]
    public void A_higher_rate_that_lasts_becomes_usual()
    {
        Work(days: 8, usesInAMinute: 100);
        At(hour: 8);
        UseFor(minutes: 10 * 60, each: 600);
        // Told once an hour at the most, and no longer after it was learned.
        Assert.InRange(_told.Count, 1, 3);
        _told.Clear();
        Work(days: 2, usesInAMinute: 600);
        Assert.Empty(_told);
    }

    [Fact]
    public void An_hour_of_the_night_breaks_the_baseline_of_a_caller_by_day_and_the_hour_beside_does_not()
    {
        Work(days: 8);
        At(hour: 18);
        Use(1);
        Assert.Empty(_told);
        At(hour: 3);
        Use(1);
        Assert.Equal(UsageBreakKind.Hour, Assert.Single(_told).Kind);
    }

    [Fact]
    public void Who_was_kept_before_an_hour_of_his_was_known_breaks_none_and_has_one_then()
    {
        _watch.Note(Record(Ci, Home, grant: null));
        var next = new UsageWatch(new UsageLimits(), _clock);
        next.Restore(_watch.Keep());
        _clock.Advance(TimeSpan.FromDays(8));
        next.Note(Record(Ci, Home, grant: null));
        Assert.Empty(next.Tick());

        _clock.Advance(TimeSpan.FromHours(5));
        next.Note(Record(Ci, Home, grant: null));
        Assert.Equal(UsageBreakKind.Hour, Assert.Single(next.Tick()).Kind);
    }

    [Fact]
    public void Two_ways_at_once_make_a_suspect_for_an_hour()
    {
        Work(days: 8);
        At(hour: 3);
        Use(1, Elsewhere);
        Assert.Equal(2, _told.Count);
        Assert.Equal(1, _watch.CountOf(UsageSubject.Caller).Suspect);
        _clock.Advance(TimeSpan.FromMinutes(61));
        Assert.Equal(0, _watch.CountOf(UsageSubject.Caller).Suspect);
    }

    [Fact]
    public void A_grant_has_a_baseline_of_its_own()
    {
        for (var day = 0; day < 8; day++)
        {
            At(hour: 10);
            Use(1, Home, GrantId);
        }

        Use(1, Elsewhere, GrantId);
        Assert.Equal([UsageSubject.Caller, UsageSubject.Grant], _told.Select(b => b.Subject).Order());
        Assert.Equal(GrantId, _told.Single(b => b.Subject == UsageSubject.Grant).Name);
    }

    [Fact]
    public void What_was_learned_outlives_a_restart()
    {
        Work(days: 8);
        var next = new UsageWatch(new UsageLimits(), _clock);
        next.Restore(_watch.Keep());
        At(hour: 10);
        next.Note(Record(Ci, Elsewhere, grant: null));
        var told = Assert.Single(next.Tick());
        Assert.Equal(UsageBreakKind.Address, told.Kind);
    }

    [Fact]
    public void Memory_is_bounded_and_those_who_were_silent_longest_go_first()
    {
        var small = new UsageWatch(new UsageLimits { Subjects = 10 }, _clock);
        for (var i = 0; i < 100; i++)
            small.Note(Record($"oidc:github:{i}", Home, grant: null));
        Assert.Equal(10, small.Keep().Count);
        Assert.Equal(90, small.Unwatched);

        _clock.Advance(TimeSpan.FromMinutes(2));
        small.Note(Record("oidc:github:0", Home, grant: null));
        small.Tick();
        Assert.InRange(small.Keep().Count, 5, 9);
        Assert.Contains(small.Keep(), k => k.Name is "oidc:github:0");
    }

    [Fact]
    public void The_service_itself_and_strangers_are_not_watched()
    {
        _watch.Note(Record(Caller.Service.Principal, address: null, grant: null));
        _watch.Note(Record("unknown", Elsewhere, grant: null));
        Assert.Empty(_watch.Keep());
    }

    /// <summary>From 8 to 17 h each day.</summary>
    private void Work(int days, string address = Home, int usesInAMinute = 1)
    {
        for (var day = 0; day < days; day++)
        {
            for (var hour = 8; hour < 18; hour++)
            {
                At(hour);
                for (var minute = 0; minute < 6; minute++)
                    Use(usesInAMinute, address);
            }
        }
    }

    private void UseFor(int minutes, int each)
    {
        for (var minute = 0; minute < minutes; minute++)
            Use(each);
    }

    /// <summary>The next time that it is that hour.</summary>
    private void At(int hour)
    {
        var now = _clock.GetUtcNow();
        var then = now.Date.AddHours(hour);
        if (then <= now.DateTime)
            then = then.AddDays(1);
        var minutes = (then - now.DateTime).TotalMinutes;
        // Minutes without use are ticked, too: they end the five minutes before.
        for (var i = 0; i < Math.Min(6, (int)minutes); i++)
        {
            _clock.Advance(TimeSpan.FromMinutes(1));
            _told.AddRange(_watch.Tick());
        }

        var left = then - _clock.GetUtcNow().DateTime;
        if (left > TimeSpan.Zero)
            _clock.Advance(left);
    }

    /// <summary>In one minute, which then is over.</summary>
    private void Use(int times, string address = Home, string? grant = null)
    {
        var record = Record(Ci, address, grant);
        for (var i = 0; i < times; i++)
            _watch.Note(record);
        _clock.Advance(TimeSpan.FromMinutes(1));
        _told.AddRange(_watch.Tick());
    }

    private AuditRecord Record(string caller, string? address, string? grant) => new()
    {
        At = _clock.GetUtcNow(),
        Caller = caller,
        Action = Actions.KeysSign,
        Outcome = AuditOutcome.Allowed,
        Address = address,
        Detail = grant is null ? null : $"allowed by grant/{grant}",
    };
}
