using System.Diagnostics;
using System.Globalization;

namespace SignSvc.Cluster.Tests;

/// <summary>Who rotates the same key at the same moment on several nodes.</summary>
public sealed class RotatorTests(ITestOutputHelper output)
{
    private const int RotatorsOfEach = 25;

    /// <summary><c>SIGNSVC_ROUNDS</c> asks for more.</summary>
    private static readonly int Rounds =
        int.Parse(Environment.GetEnvironmentVariable("SIGNSVC_ROUNDS") is { Length: > 0 } wish ? wish : "10", CultureInfo.InvariantCulture);

    [Fact]
    public async Task Fifty_who_rotate_at_once_on_two_nodes_make_one_successor()
    {
        await using var nodes = await Nodes.StartAsync(2);
        var watch = Stopwatch.StartNew();
        var longest = TimeSpan.Zero;
        var repeated = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var name = $"rotated-{round}";
            var made = await nodes[round % 2].Client.PostUntilServedAsync(
                "/v1/keys", $$$"""{"name":"{{{name}}}","purpose":"tokens","spec":"ECC_NIST_P256","rotation":{"leadSeconds":3600}}""");
            Assert.True(made.Code is 201 or 409, made.ToString());
            foreach (var node in nodes.All)
            {
                while ((await node.Client.GetJsonAsync($"/v1/keys/{name}")).Code != 200)
                    await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System, TestContext.Current.CancellationToken);
            }

            var began = watch.Elapsed;
            var answers = await Task.WhenAll(Enumerable.Range(0, 2 * RotatorsOfEach).Select(i => RotateAsync(nodes[i % 2], name)));
            longest = TimeSpan.FromTicks(Math.Max(longest.Ticks, (watch.Elapsed - began).Ticks));

            Assert.All(answers, a => Assert.True(a.Code == 200, a.ToString()));
            Assert.Single(answers.Select(a => a.Json.GetProperty("versions")[1].GetProperty("kid").GetString()).Distinct(StringComparer.Ordinal));
            Assert.All(answers, a => Assert.Equal(2, a.Json.GetProperty("versions").GetArrayLength()));
            foreach (var node in nodes.All)
                Assert.Equal(2, (await node.Client.GetJsonAsync($"/v1/keys/{name}")).Json.GetProperty("versions").GetArrayLength());
        }

        // A caller that is told to come back comes back, and finds the successor of whoever was first.
        Task<JsonAnswer> RotateAsync(ServiceProcess node, string key) =>
            node.Client.PostUntilServedAsync($"/v1/keys/{key}/rotate", onRepeat: () => Interlocked.Increment(ref repeated));

        output.WriteLine($"{Rounds} rounds of {2 * RotatorsOfEach} rotators on 2 nodes: {Rounds} successors, the longest round {longest.TotalMilliseconds:F0} ms, {watch.Elapsed.TotalSeconds:F1} s in all, {repeated} calls repeated after a 503");
    }
}
