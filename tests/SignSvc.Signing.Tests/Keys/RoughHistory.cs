using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>
/// Everything happens: ticks missed for days, clocks set by up to 400 days, policies changed, versions revoked, the key
/// disabled, the backend down, the scheduler restarted. The rules hold throughout; only signing may pause, with an alarm.
/// </summary>
internal sealed class RoughHistory
{
    /// <summary>After the clock was set, what cannot be undone waits so long (and what the test allows itself for a tick).</summary>
    private static readonly TimeSpan Caution = TimeSpan.FromHours(25);

    private readonly SimulatedNode _node;
    private readonly LifecycleInvariants _rules;
    private readonly Random _random;
    private readonly CancellationToken _cancellation;
    private readonly List<string> _log = [];
    private TimeSpan? _jumpSeenAt;
    private bool _backendWasDown;

    private RoughHistory(SimulatedNode node, Random random, CancellationToken cancellation)
    {
        _node = node;
        _random = random;
        _cancellation = cancellation;
        _rules = new LifecycleInvariants(node, HistoryParts.KeyName);
    }

    private bool IsCautious => _jumpSeenAt is { } at && _node.Elapsed - at < Caution;

    public static async Task<int> PlayAsync(Random random, int seed, CancellationToken cancellation)
    {
        await using var node = await HistoryParts.StartAsync(HistoryParts.Policy(random), cancellation);
        var history = new RoughHistory(node, random, cancellation);
        try
        {
            history._rules.Check();
            await history.TickAsync();
            for (var i = 0; i < 500 && node.Key(HistoryParts.KeyName).Versions.Length < 40; i++)
                await history.StepAsync();
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw HistoryParts.Explain(e, seed, history._log, history._rules);
        }

        return history._rules.Signed;
    }

    private async Task StepAsync()
    {
        var key = _node.Key(HistoryParts.KeyName);
        switch (_random.Next(100))
        {
            case < 50:
                await PassAsync(SomeTime(key));
                break;
            case < 76:
                await HistoryParts.IssueAsync(_node, _rules, _random, _cancellation);
                break;
            case < 80:
                var policy = HistoryParts.Policy(_random);
                Log($"policy {policy}");
                await HistoryParts.PatchAsync(_node, policy, _cancellation);
                break;
            case < 83:
                await JumpAsync();
                break;
            case < 87:
                await RotateAsync();
                break;
            case < 89:
                await RevokeAsync(key);
                break;
            case < 92:
                Log("toggle");
                await (key.State == KeyState.Enabled
                    ? _node.Changes.DisableAsync(SimulatedNode.Operator, key.Id, _cancellation)
                    : _node.Changes.EnableAsync(SimulatedNode.Operator, key.Id, _cancellation));
                break;
            case < 95:
                HistoryParts.BackendOf(_node).IsDown = !HistoryParts.BackendOf(_node).IsDown;
                Log($"backend down: {HistoryParts.BackendOf(_node).IsDown}");
                break;
            case < 97 when !IsCautious:
                Log("scheduler restarted");
                _node.RestartScheduler();
                break;
            default:
                await TickAsync();
                break;
        }

        _rules.Check();
    }

    private async Task PassAsync(TimeSpan span)
    {
        Log($"pass {span}");
        _node.Clock.Advance(span);
        _rules.Check();
        if (_random.Next(4) > 0)
            await TickAsync();
    }

    private async Task TickAsync()
    {
        Log("tick");
        _backendWasDown |= HistoryParts.BackendOf(_node).IsDown;
        await TickUntilDoneAsync();
        _rules.CheckAfterTick(IsCautious, _backendWasDown);
        // Failed steps are tried again after a minute: until then a backend that is back does not show.
        if (HistoryParts.BackendOf(_node).IsDown || !_backendWasDown)
            return;
        _node.Clock.Advance(TimeSpan.FromMinutes(2));
        await TickUntilDoneAsync();
        _backendWasDown = false;
        _rules.CheckAfterTick(IsCautious, backendWasDown: false);
    }

    /// <summary>One tick does a bounded number of steps; what has piled up takes several.</summary>
    private async Task TickUntilDoneAsync()
    {
        long revision;
        do
        {
            revision = _node.Live.Current.Revision;
            await _node.Scheduler.TickAsync(_cancellation);
            _rules.Check();
        }
        while (_node.Live.Current.Revision != revision);
    }

    /// <summary>A running scheduler ticks every few seconds: it sees a jump before anything else happens.</summary>
    private async Task JumpAsync()
    {
        await TickAsync();
        var by = TimeSpan.FromMinutes(_random.Next(10, 400 * 24 * 60) * (_random.Next(2) == 0 ? -1 : 1));
        Log($"clock set by {by}");
        _rules.ClockWasSet = true;
        _node.Clock.JumpTo(_node.Now + by);
        _jumpSeenAt = _node.Elapsed;
        _rules.Check();
        await TickAsync();
        // Wrong clocks are set right, sooner or later or never.
        if (_random.Next(3) == 0)
            return;
        await PassAsync(TimeSpan.FromMinutes(_random.Next(1, 3 * 24 * 60)));
        await TickAsync();
        Log("clock set right");
        _node.Clock.JumpTo(_node.Now - by);
        _jumpSeenAt = _node.Elapsed;
        _rules.Check();
        await TickAsync();
    }

    private async Task RotateAsync()
    {
        Log("rotate");
        try
        {
            var rotated = await _node.Rotation.RotateAsync(SimulatedNode.Operator, HistoryParts.KeyName, _cancellation);
            _rules.Check();
            await _node.Scheduler.AdvanceAsync(rotated, _cancellation);
        }
        catch (SigningException e) when (e.Fault is SigningFault.KeyNotUsable or SigningFault.BackendUnavailable)
        {
            Log(e.Message);
        }
    }

    private async Task RevokeAsync(Key key)
    {
        var signing = key.Versions.LastOrDefault(v => v.State == VersionState.Active);
        var number = _random.Next(2) == 0 && signing is not null ? signing.Number : _random.Next(1, key.Versions.Length + 1);
        // Without a backend the last published version has no successor: the one case in which the key set may be empty.
        _rules.MayBeEmpty |= HistoryParts.BackendOf(_node).IsDown && !key.Versions.Any(v => v.IsPublished && v.Number != number);
        Log($"revoke {number}");
        var revoked = await _node.Rotation.RevokeAsync(
            SimulatedNode.Operator, key.Id, number, RevocationReason.Compromised, _cancellation);
        _rules.Revoked(key, revoked);
    }

    private TimeSpan SomeTime(Key key)
    {
        var period = key.Rotation!.Period!.Value;
        return _random.Next(10) switch
        {
            < 3 => TimeSpan.FromSeconds(_random.Next(1, 120)),
            < 6 => period * (_random.NextDouble() / 20),
            < 9 => period * (_random.NextDouble() / 3),
            _ => period * (_random.NextDouble() * 3),
        };
    }

    private void Log(string what) => _log.Add($"{_node.Now:s} {what}");
}
