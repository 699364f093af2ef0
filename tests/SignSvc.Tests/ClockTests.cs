using System.Text.Json;
using SignSvc.Signing;
using SignSvc.Signing.Access;
using SignSvc.Signing.Keys;
using SignSvc.Signing.Storage;
using SignSvc.Signing.Tests;
using SignSvc.Signing.Tokens;

namespace SignSvc.Tests;

/// <summary>Promise 20 and invariant 2: the clock jumps, the period stands.</summary>
public sealed class ClockTests
{
    [Fact]
    public async Task A_version_signs_inside_its_period_and_never_outside_of_it()
    {
        await using var database = await DatabaseNode.OpenAsync();
        var (node, clock) = (database.Node, database.Clock);
        var cancellation = TestContext.Current.CancellationToken;
        var start = clock.GetUtcNow();
        var end = start.AddDays(90);
        var artifacts = await MakeAsync(node, "release", KeyPurpose.Artifacts, end);
        await MakeAsync(node, "tokens", KeyPurpose.Tokens, end);
        await node.Profiles.PutAsync(
            Caller.Service, "tokens",
            new TokenProfile { Name = "default", KeyId = "", Audiences = ["*"], DefaultLifetimeSeconds = 300, MaxLifetimeSeconds = 3600 }, cancellation);

        var random = new Random(20);
        long[] edges = [0, -1, 1, (end - start).Ticks, (end - start).Ticks - 1, (end - start).Ticks + 1];
        var jumps = edges.Select(TimeSpan.FromTicks).Concat(Enumerable.Range(0, 400).Select(_ => TimeSpan.FromDays((random.NextDouble() * 800) - 400))).ToArray();
        var signed = 0;
        foreach (var jump in jumps)
        {
            clock.JumpTo(start + jump);
            var isInside = jump >= TimeSpan.Zero && start + jump < end;
            var explicitly = random.Next(2) == 0 ? 1 : (int?)null;
            var request = new SignRequest { Key = artifacts.Name, Version = explicitly, Payload = Payload.Digest(new byte[32]) };
            var order = new TokenOrder("default", TokenRequest.Parse("s", JsonSerializer.SerializeToElement("a"), null, null));
            if (isInside)
            {
                await node.Signer.SignAsync(Caller.Service, request, cancellation);
                Assert.True((await node.Signer.IssueAsync(Caller.Service, order, cancellation)).ExpiresAt > start + jump);
                signed++;
                continue;
            }

            Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => node.Signer.SignAsync(Caller.Service, request, cancellation))).Fault);
            Assert.Equal(SigningFault.KeyNotUsable, (await Assert.ThrowsAsync<SigningException>(() => node.Signer.IssueAsync(Caller.Service, order, cancellation))).Fault);
            var batch = await node.Signer.SignBatchAsync(Caller.Service, [request, request], cancellation);
            Assert.All(batch, outcome => Assert.Equal(SigningFault.KeyNotUsable, outcome.Refusal?.Fault));
        }

        Assert.InRange(signed, 20, jumps.Length - 200);
    }

    /// <summary>The period's end is written as a rotation policy writes it.</summary>
    private static async Task<Key> MakeAsync(DomainNode node, string name, KeyPurpose purpose, DateTimeOffset end)
    {
        var made = await node.Keys.CreateAsync(
            Caller.Service, NewKey.Parse(name, purpose, tier: null, backend: null, "ECC_NIST_P256", algorithms: null), TestContext.Current.CancellationToken);
        var ended = made with { Versions = [made.Versions[0] with { SignsUntil = end }] };
        await node.Live.ChangeAsync(
            node.Live.Current.Access.Authorise(node.Decisions.Ask(Caller.Service, Actions.KeysCreate, resource: null, default)), node.Decisions.Draft(Caller.Service, Actions.KeysCreate),
            TestContext.Current.CancellationToken, Change.Of(ended, node.Live.Current));
        return ended;
    }
}
