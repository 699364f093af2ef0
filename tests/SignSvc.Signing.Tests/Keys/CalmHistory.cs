using SignSvc.Signing.Keys;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>
/// The scheduler runs often enough and the backend answers. Operators rotate, revoke and change the period; a version
/// signs at every moment, and nobody is alarmed.
/// </summary>
internal static class CalmHistory
{
    public static async Task<int> PlayAsync(Random random, int seed, CancellationToken cancellation)
    {
        var policy = HistoryParts.Policy(random);
        await using var node = await HistoryParts.StartAsync(policy, cancellation);
        var rules = new LifecycleInvariants(node, HistoryParts.KeyName);
        var log = new List<string>();
        try
        {
            rules.Check();
            while (node.Elapsed < TimeSpan.FromDays(730) && node.Key(HistoryParts.KeyName).Versions.Length < 25)
            {
                var key = node.Key(HistoryParts.KeyName);
                node.Clock.Advance(KeySchedule.Margin(key.Rotation!.Period!.Value) * (random.NextDouble() / 3));
                Assert.True(key.Signing(node.Now) is not null, "no version signs before the tick");
                await node.Scheduler.TickAsync(cancellation);
                rules.CheckAfterTick(isCautious: false, backendWasDown: false);
                Assert.Empty(node.Scheduler.Alarms);
                Assert.True(node.Key(HistoryParts.KeyName).Signing(node.Now) is not null, "no version signs");
                if (random.Next(10) == 0)
                    await HistoryParts.IssueAsync(node, rules, random, cancellation);
                if (random.Next(1000) == 0)
                    await ActAsync(node, rules, random, policy.LeadSeconds!.Value, log, cancellation);
                rules.Check();
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw HistoryParts.Explain(e, seed, log, rules);
        }

        return rules.Signed;
    }

    private static async Task ActAsync(
        SimulatedNode node, LifecycleInvariants rules, Random random, int lead, List<string> log, CancellationToken cancellation)
    {
        var key = node.Key(HistoryParts.KeyName);
        switch (random.Next(3))
        {
            case 0:
                log.Add($"{node.Now:s} rotate");
                await node.Rotation.RotateAsync(SimulatedNode.Operator, key.Id, cancellation);
                break;
            case 1:
                // Not the successor: without it the version that signs goes into its grace, which is an alarm.
                var candidates = key.Versions.Where(v => v.State != VersionState.Announced).ToArray();
                var number = candidates[random.Next(candidates.Length)].Number;
                log.Add($"{node.Now:s} revoke {number}");
                var revoked = await node.Rotation.RevokeAsync(
                    SimulatedNode.Operator, key.Id, number, RevocationReason.Superseded, cancellation);
                rules.Revoked(key, revoked);
                break;
            default:
                // The same lead: a longer one may come too late for the version that signs, which is an alarm.
                var period = Math.Max(2 * lead, (int)(3600 * Math.Pow(2160, random.NextDouble())));
                log.Add($"{node.Now:s} period {period}");
                await HistoryParts.PatchAsync(node, new RotationWish(period, lead, random.Next(period), Standby: random.Next(2) == 0), cancellation);
                break;
        }
    }
}
