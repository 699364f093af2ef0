using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>
/// Watches one tokens key and fails at the first moment at which a rule of "when a key may be used" does not hold. Leads
/// and token lives are measured in time that truly passed, whatever the clock showed.
/// </summary>
internal sealed class LifecycleInvariants(SimulatedNode node, string name)
{
    private readonly Dictionary<string, TimeSpan> _publishedSince = new(StringComparer.Ordinal);
    private readonly HashSet<string> _active = new(StringComparer.Ordinal);
    private readonly HashSet<string> _revoked = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (DateTimeOffset Wall, TimeSpan True)> _tokensEnd = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DateTimeOffset> _removable = new(StringComparer.Ordinal);

    /// <summary>A version that an emergency put in place, before its lead was over.</summary>
    private string? _promoted;

    private IReadOnlySet<string> _published = new HashSet<string>(StringComparer.Ordinal);


    /// <summary>The version that signed was revoked, and no successor could be made: the next one does not wait.</summary>
    public bool IsCutOff { get; private set; }

    /// <summary>The last published version was revoked, and no successor could be made.</summary>
    public bool MayBeEmpty { get; set; }

    /// <summary>By a clock that was set, what happened later may have happened earlier.</summary>
    public bool ClockWasSet { get; set; }

    public int Signed { get; private set; }

    /// <summary>A version has just been revoked: of whoever was announced nobody is passed over, and who had waited out the lead is no exception to it.</summary>
    public void Revoked(Key before, Key after)
    {
        var (old, now) = (before.Versions.LastOrDefault(v => v.State == VersionState.Active), after.Versions.LastOrDefault(v => v.State == VersionState.Active));
        IsCutOff |= old is not null && now is null;
        if (now is null || now.Number == old?.Number)
            return;
        var standby = before.Versions.FirstOrDefault(v => v.State == VersionState.Announced && after.Versions[v.Number - 1].State != VersionState.Revoked);
        Hold(standby is null || string.Equals(standby.Kid, now.Kid, StringComparison.Ordinal), "a successor was announced, and another version took over");
        var hadWaited = standby?.ServedAt <= node.Now && standby.SignsFrom <= node.Now;
        _promoted = hadWaited ? null : now.Kid;
    }

    public void Issued(string kid, DateTimeOffset expiresAt, TimeSpan lifetime)
    {
        Signed++;
        Hold(_published.Contains(kid), "a token was signed by a kid outside the key set");
        Hold(!_revoked.Contains(kid), "a revoked version signed");
        var known = _tokensEnd.GetValueOrDefault(kid);
        _tokensEnd[kid] = (
            expiresAt > known.Wall ? expiresAt : known.Wall,
            node.Elapsed + lifetime > known.True ? node.Elapsed + lifetime : known.True);
    }

    public void Check()
    {
        var key = node.Key(name);
        var published = node.PublishedKids();
        CheckShape(key);
        CheckPublication(key, published);
        foreach (var version in key.Versions)
            CheckTimeline(key, version);
        foreach (var active in key.Versions.Where(v => v.State == VersionState.Active && _active.Add(v.Kid)))
            CheckLead(key, active);
        IsCutOff &= key.Versions.All(v => v.State != VersionState.Active);
        if (key.Signing(node.Now) is { } signing)
            CheckSigning(key, signing, published);
        _published = published;
    }

    /// <summary>What has to hold when the schedule has just run, undisturbed.</summary>
    public void CheckAfterTick(bool isCautious, bool backendWasDown)
    {
        Check();
        var key = node.Key(name);
        var alarms = node.Scheduler.Alarms;
        var active = key.Versions.SingleOrDefault(v => v.State == VersionState.Active);
        if (key.State == KeyState.Enabled && key.Signing(node.Now) is null)
            Hold(alarms.Length > 0, "nothing signs and nobody is told");
        if (active?.RetiresAt <= node.Now)
            Hold(alarms.Length > 0, "a version signs beyond its period and nobody is told");
        if (isCautious)
            Hold(alarms.Any(a => a.Key.Length == 0), "the clock was set and nobody is told");
        if (key.Rotation is { Standby: true } && !backendWasDown)
            Hold(key.Versions.Any(v => v.State == VersionState.Announced && _published.Contains(v.Kid)), "there is no standby");
        if (IsCutOff)
            Hold(alarms.Any(a => a.Message.Contains("as soon as every node serves it", StringComparison.Ordinal)), "it is not said when the next version signs");
        if (!backendWasDown)
            Hold(!IsCutOff && !MayBeEmpty, "the backend is back, and no version took the place of the one that was revoked");
        if (isCautious || backendWasDown)
            return;
        foreach (var version in key.Versions.Where(v => v.State is VersionState.Retired && v.RetiredAt + KeySchedule.Convergence <= node.Now))
            Hold(version.Handle is null && !HistoryParts.BackendOf(node).Alive.Contains(version.Kid), $"the private key of the retired version {version.Number} exists");
        foreach (var version in key.Versions.Where(v => v.State is VersionState.Removed or VersionState.Destroyed or VersionState.Revoked))
            Hold(version.Handle is null && !HistoryParts.BackendOf(node).Alive.Contains(version.Kid), $"the private key of the {version.State} version {version.Number} exists");
        Hold(HistoryParts.BackendOf(node).Alive.IsSubsetOf(key.Versions.Select(v => v.Kid)), "a private key belongs to no version");
    }

    public string Describe() => string.Join(
        '\n',
        node.Key(name).Versions.TakeLast(4).Select(v =>
            $"  {v.Number} {v.State} served {v.ServedAt:s} signs {v.SignsFrom:s} retires {v.RetiresAt:s} until {v.SignsUntil:s} retired {v.RetiredAt:s} early {v.TakesOverEarly}")
        .Prepend($"now {node.Now:s}, true {node.Elapsed}, policy {node.Key(name).Rotation}, alarms {string.Join("; ", node.Scheduler.Alarms)}"));

    private void CheckShape(Key key)
    {
        Hold(key.Versions.Select(v => v.Number).SequenceEqual(Enumerable.Range(1, key.Versions.Length)), "the versions' numbers have gaps");
        Hold(key.Versions.Count(v => v.State == VersionState.Announced) <= 1, "there are two announced successors");
        Hold(key.Versions.Count(v => v.State == VersionState.Active) <= 1, "two versions are active");
        foreach (var version in key.Versions)
        {
            if (version.State is VersionState.Announced or VersionState.Active)
                Hold(version.Handle is not null && HistoryParts.BackendOf(node).Alive.Contains(version.Kid), $"the private key of the {version.State} version {version.Number} is gone");
            if (version.State == VersionState.Revoked)
                _revoked.Add(version.Kid);
            else
                Hold(!_revoked.Contains(version.Kid), "a revoked version is back");
        }
    }

    private void CheckPublication(Key key, IReadOnlySet<string> published)
    {
        MayBeEmpty &= published.Count == 0;
        Hold(published.Count > 0 || MayBeEmpty, "the key set is empty");
        foreach (var kid in published)
            _publishedSince.TryAdd(kid, node.Elapsed);
        Hold(!published.Overlaps(_revoked), "a revoked version is published");
        Hold(
            key.Versions.Where(v => v.State is VersionState.Announced or VersionState.Active).All(v => published.Contains(v.Kid)),
            "a version that signs or will sign is not published");
        foreach (var gone in _published.Except(published, StringComparer.Ordinal).Where(kid => !_revoked.Contains(kid)))
        {
            var end = _tokensEnd.GetValueOrDefault(gone);
            Hold(node.Now >= end.Wall + KeySchedule.Skew, $"{gone} left before its last token's exp and the skew");
            Hold(node.Elapsed >= end.True + KeySchedule.Skew, $"{gone} left while its last token truly lived");
        }
    }

    /// <summary>What the timeline says of a version: in order, after its last token, and not taken back once it has stopped.</summary>
    private void CheckTimeline(Key key, KeyVersion version)
    {
        var tokens = _tokensEnd.TryGetValue(version.Kid, out var end) ? end.Wall : (DateTimeOffset?)null;
        var timeline = VersionTimeline.Of(key, version, tokens, TimeSpan.FromDays(1));
        var what = $"version {version.Number} ({version.State}): {timeline}";
        Hold(timeline.SafeToDeleteAt is null == timeline.RemovableAt is null, $"the key set and the deletion disagree on {what}");
        if (tokens is not null && timeline.SafeToDeleteAt is { } safe)
            Hold(safe >= tokens + KeySchedule.Skew, $"a token outlives {what}");
        if (tokens is not null && version.State != VersionState.Revoked && timeline.RemovableAt is { } removable)
            Hold(removable >= tokens + KeySchedule.Skew, $"a token outlives {what}");
        if (version.State is VersionState.Retired && timeline.RemovableAt is { } fixedAt)
            Hold(_removable.TryAdd(version.Kid, fixedAt) || _removable[version.Kid] == fixedAt, $"another date was given for {what}");
        if (ClockWasSet)
            return;
        DateTimeOffset?[] moments =
            [timeline.AnnouncedAt, timeline.SignsFrom, timeline.RetiresAt, timeline.StopsAt, timeline.RemovableAt, timeline.SafeToDeleteAt];
        var known = moments.OfType<DateTimeOffset>().ToArray();
        Hold(known.SequenceEqual(known.Order()), $"not in order: {what}");
        Hold(
            version.State is not (VersionState.Removed or VersionState.Destroyed or VersionState.Revoked) || timeline.RemovableAt <= node.Now,
            $"it is gone before {what}");
        Hold(version.State != VersionState.Active || timeline.StopsAt is null || timeline.RemovableAt > timeline.StopsAt, $"removed while it signs: {what}");
    }

    /// <summary>At the moment at which a version becomes active, under the policy of that moment.</summary>
    private void CheckLead(Key key, KeyVersion active)
    {
        if (active.Number == 1 || IsCutOff || string.Equals(active.Kid, _promoted, StringComparison.Ordinal))
            return;
        var waited = node.Elapsed - _publishedSince[active.Kid];
        Hold(waited >= key.Rotation!.Lead, $"version {active.Number} is active {waited} after it was published, and its lead is {key.Rotation.Lead}");
    }

    private void CheckSigning(Key key, KeyVersion signing, IReadOnlySet<string> published)
    {
        Hold(key.State == KeyState.Enabled, "a key signs that is not enabled");
        Hold(published.Contains(signing.Kid), "the version that signs is not published");
        Hold(node.Now >= signing.SignsFrom && (signing.SignsUntil is null || node.Now < signing.SignsUntil), "a version signs outside its period");
        Hold(signing.SignsUntil is not null || key.Rotation?.Period is null, "a version has no hard stop");
    }

    private static void Hold(bool holds, string otherwise) => Assert.True(holds, otherwise);
}
