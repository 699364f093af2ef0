using System.Globalization;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Keys;

/// <summary>
/// Simulated years of one key under the service's own schedule, rotation and signer. Every history follows from a seed;
/// a failure names it, with the last things that were done. <c>SIGNSVC_SEEDS</c> asks for more histories.
/// </summary>
public sealed class KeyScheduleTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task Its_rules_hold_whatever_the_clock_the_operator_and_the_backend_do() =>
        RunAsync(Histories(30), (random, seed) => RoughHistory.PlayAsync(random, seed, Cancellation));

    [Fact]
    public Task A_key_that_is_looked_after_signs_at_every_moment() =>
        RunAsync(Histories(10), (random, seed) => CalmHistory.PlayAsync(random, seed, Cancellation));

    private static int Histories(int usual) =>
        Environment.GetEnvironmentVariable("SIGNSVC_SEEDS") is { Length: > 0 } wish ? int.Parse(wish, CultureInfo.InvariantCulture) : usual;

    private static async Task RunAsync(int histories, Func<Random, int, Task<int>> play)
    {
        var signatures = 0;
        await Parallel.ForAsync(1, histories + 1, Cancellation, async (seed, _) =>
            Interlocked.Add(ref signatures, await play(new Random(seed), seed)));
        Assert.True(signatures > histories, "The histories signed next to nothing: they show nothing.");
    }
}

/// <summary>What both kinds of histories are made of.</summary>
internal static class HistoryParts
{
    public const string KeyName = "tokens";

    public static async Task<SimulatedNode> StartAsync(RotationWish policy, CancellationToken cancellationToken)
    {
        var node = await SimulatedNode.StartAsync(root => new WatchedBackend(root), cancellationToken);
        await node.Keys.CreateAsync(
            SimulatedNode.Operator,
            NewKey.Parse(KeyName, KeyPurpose.Tokens, tier: null, backend: null, "ECC_NIST_P256", algorithms: null, rotation: policy),
            cancellationToken);
        await node.Profiles.PutAsync(
            SimulatedNode.Operator, KeyName,
            new TokenProfile { Name = "p", KeyId = "", Audiences = ["a"], DefaultLifetimeSeconds = 300, MaxLifetimeSeconds = 86_400 },
            cancellationToken);
        return node;
    }

    public static WatchedBackend BackendOf(SimulatedNode node) => (WatchedBackend)node.Backend;

    /// <summary>A period from an hour to 90 days, every magnitude as likely; a lead up to half of it; any grace; a jitter up to a quarter; with a standby or without.</summary>
    public static RotationWish Policy(Random random)
    {
        var period = (int)(3600 * Math.Pow(2160, random.NextDouble()));
        var lead = random.Next(4) == 0 ? 0 : random.Next((period / 2) + 1);
        var grace = random.Next(4) == 0 ? 0 : random.Next(period);
        var jitter = random.Next(2) == 0 ? 0 : random.Next((period / 4) + 1);
        return new RotationWish(period, lead, grace, jitter, Standby: random.Next(2) == 0);
    }

    public static Task<Key> PatchAsync(SimulatedNode node, RotationWish policy, CancellationToken cancellationToken) =>
        node.Changes.UpdateAsync(
            SimulatedNode.Operator, KeyName,
            key => new KeyUpdate(Rotation: NewKey.ParseRotation(key.Tier, key.Purpose, policy)), cancellationToken);

    /// <summary>Signs if the key says that it can, and is refused if it says that it cannot.</summary>
    public static async Task IssueAsync(SimulatedNode node, LifecycleInvariants rules, Random random, CancellationToken cancellationToken)
    {
        var seconds = random.Next(2) == 0 ? random.Next(1, 600) : random.Next(1, 86_401);
        var canSign = node.Key(KeyName).Signing(node.Now) is not null;
        var order = new TokenOrder("p", TokenRequest.Parse("s", audience: null, seconds, claims: null));
        try
        {
            var token = await node.Signer.IssueAsync(SimulatedNode.Operator, order, cancellationToken);
            Assert.True(canSign, "It signed although no version does.");
            rules.Issued(token.Kid, token.ExpiresAt, TimeSpan.FromSeconds(seconds));
        }
        catch (SigningException e) when (e.Fault == SigningFault.KeyNotUsable)
        {
            Assert.False(canSign, $"It refused although a version signs: {e.Message}");
        }
    }

    public static Exception Explain(Exception e, int seed, IEnumerable<string> log, LifecycleInvariants rules) => new InvalidOperationException(
        $"Seed {seed}: {e.Message}\n{rules.Describe()}\n{string.Join('\n', log.TakeLast(25))}", e);
}
