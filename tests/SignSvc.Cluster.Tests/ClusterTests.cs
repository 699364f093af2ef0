using System.Security.Cryptography;

namespace SignSvc.Cluster.Tests;

/// <summary>Several nodes on one PostgreSQL, and what a network and an operating system do to them.</summary>
public sealed class ClusterTests(ITestOutputHelper output)
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Of_three_nodes_one_is_killed_and_one_cut_off_under_load_and_no_record_is_lost()
    {
        await using var nodes = await Nodes.StartAsync(3);
        using var publicKey = await PublicKeyAsync(nodes[0]);
        await using var load = new SigningLoad(nodes, callersOfEach: 3);
        for (var i = 0; i < 3; i++)
            await load.SignsAsync(i, 50);

        // Killed, while the others go on; then started again.
        await nodes[1].KillAsync();
        var killed = load.Now;
        await load.SignsAsync(0, 50);
        await nodes[1].RestartAsync();
        var restarted = load.Now;
        await load.SignsAsync(1, 50);

        // Cut off: within its bound it goes on, on its own disk; the others notice nothing.
        nodes.WayOf(2).Cut();
        var cut = load.Now;
        await load.SignsAsync(2, 100);
        await load.SignsAsync(0, 50);
        Assert.Equal(200, (await nodes[2].As(token: null).GetJsonAsync("/.well-known/jwks.json")).Code);
        Assert.Equal(201, (await nodes[2].Client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"api://a"}""")).Code);
        // A change needs the database.
        Assert.Equal(503, (await nodes[2].Client.PostJsonAsync("/v1/keys/release/disable")).Code);
        nodes.WayOf(2).Heal();
        var healed = load.Now;
        await load.SignsAsync(2, 100);
        await load.StopAsync();
        await RecordedAsync(nodes, load);

        var refused = load.Attempts.Where(a => a.Status is not (null or 200)).ToArray();
        Assert.All(refused, a => Assert.True(a is { Status: 503, HasRetryAfter: true }, a.ToString()));
        Assert.DoesNotContain(load.Attempts, a => a.Node == 0 && a.Status != 200);
        Assert.All(load.Signed, a => Assert.True(publicKey.VerifyHash(a.Digest, a.Signature!, DSASignatureFormat.Rfc3279DerSequence)));

        var without = load.Attempts.Where(a => a.Status is null).ToArray();
        Assert.All(without, a => Assert.Equal(1, a.Node));
        output.WriteLine(
            $"{load.Signed.Count()} signatures; {without.Length} calls without an answer (the killed node), {refused.Length} answered 503; "
            + $"restarted node signs {load.Recovery(1, restarted).TotalMilliseconds:F0} ms after its start, "
            + $"cut-off node {load.Recovery(2, cut).TotalMilliseconds:F0} ms after the cut and {load.Recovery(2, healed).TotalMilliseconds:F0} ms after it was healed; "
            + $"killed at {killed.TotalSeconds:F1} s");
    }

    [Fact]
    public async Task A_node_that_stays_cut_off_stops_signing_at_its_bound_and_goes_on_serving_its_key_set()
    {
        await using var nodes = await Nodes.StartAsync(2, ("SignSvc__Store__StaleAfterSeconds", "5"));
        await using var load = new SigningLoad(nodes, callersOfEach: 1);
        await load.SignsAsync(1, 20);

        nodes.WayOf(1).Cut();
        var cut = load.Now;
        while (load.Attempts.LastOrDefault(a => a.Node == 1) is not { Status: 503 } last || last.At < cut + TimeSpan.FromSeconds(6))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancel);
        // What was asked for in time may be answered late, where the machine is busy.
        var lastAsked = load.Signed.Where(a => a.Node == 1).Max(a => a.At);
        Assert.True(lastAsked - cut < TimeSpan.FromSeconds(8), $"It still signed what it was asked for {lastAsked - cut} after the cut.");
        Assert.Equal(200, (await nodes[1].As(token: null).GetJsonAsync("/.well-known/jwks.json")).Code);
        Assert.Equal(503, (await nodes[1].Client.PostJsonAsync("/v1/tokens", """{"profile":"default","audience":"api://a"}""")).Code);

        nodes.WayOf(1).Heal();
        var healed = load.Now;
        await load.SignsAsync(1, 20);
        await load.StopAsync();
        Assert.True(load.Recovery(1, healed) < TimeSpan.FromSeconds(10), $"It took {load.Recovery(1, healed)} to come back.");
        await RecordedAsync(nodes, load);
    }

    [Fact]
    public async Task What_a_killed_node_had_on_its_own_disk_alone_is_on_record_after_its_restart()
    {
        await using var nodes = await Nodes.StartAsync(2);
        await using var load = new SigningLoad(nodes, callersOfEach: 2);
        await load.SignsAsync(1, 20);
        nodes.WayOf(1).Cut();
        await load.SignsAsync(1, 100);
        await nodes[1].KillAsync();
        nodes.WayOf(1).Heal();
        await nodes[1].RestartAsync();
        await load.SignsAsync(1, 20);
        await load.StopAsync();
        await RecordedAsync(nodes, load);
    }

    [Fact]
    public async Task Disabling_and_revoking_stop_every_node_within_five_seconds_though_notifications_are_lost()
    {
        await using var nodes = await Nodes.StartAsync(3);
        for (var i = 1; i < 3; i++)
            nodes.WayOf(i).LoseNotifications();
        var made = await nodes[0].Client.PostUntilServedAsync("/v1/keys", """{"name":"revoked","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256"}""");
        Assert.True(made.Code is 201 or 409, made.ToString());

        foreach (var (key, change) in ((string, string)[])
            [("release", "/v1/keys/release/disable"), ("revoked", "/v1/keys/revoked/versions/1/revoke")])
        {
            foreach (var node in nodes.All)
                await UntilAsync(node, key, signs: true);
            Assert.Equal(200, (await nodes[0].Client.PostUntilServedAsync(change, key is "revoked" ? """{"reason":"compromised"}""" : "")).Code);
            using var changed = RunningTime.Start();
            foreach (var node in nodes.All)
                await UntilAsync(node, key, signs: false);
            output.WriteLine($"{change}: all nodes stopped after {changed.Elapsed.TotalMilliseconds} ms");
            Assert.True(changed.Elapsed < TimeSpan.FromSeconds(5), $"{change} took {changed.Elapsed}.");
        }

        Assert.True(nodes.WayOf(1).Lost > 0 && nodes.WayOf(2).Lost > 0, "No notification was lost: the test shows nothing.");

        // A successor may take over from a revoked version: what must end is version 1.
        static async Task UntilAsync(ServiceProcess node, string key, bool signs)
        {
            while ((await node.Client.PostJsonAsync($"/v1/keys/{key}/sign", """{"message":"AAAA","version":1}""")).Code == 200 != signs)
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
        }
    }

    [Fact]
    public async Task A_restart_of_PostgreSQL_under_load_loses_nothing_and_is_over_within_five_seconds()
    {
        // Without a spool: what cannot be made durable is refused.
        await using var nodes = await Nodes.StartAsync(2, ("SignSvc__Store__Spool", "false"));
        await using var load = new SigningLoad(nodes, callersOfEach: 4);
        for (var i = 0; i < 2; i++)
            await load.SignsAsync(i, 50);

        await nodes.Database.StopAsync(PostgresStop.Immediate, Cancel);
        while (!load.Attempts.Any(a => a.Status == 503))
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancel);
        await nodes.Database.StartAsync(Cancel);
        var started = load.Now;
        for (var i = 0; i < 2; i++)
            await load.SignsAsync(i, 50);
        await load.StopAsync();

        Assert.All(load.Attempts.Where(a => a.Status is not 200), a => Assert.True(a is { Status: 503, HasRetryAfter: true }, a.ToString()));
        for (var i = 0; i < 2; i++)
        {
            output.WriteLine($"node {i} signs {load.Recovery(i, started).TotalMilliseconds:F0} ms after the database is back");
            Assert.True(load.Recovery(i, started) < TimeSpan.FromSeconds(5), $"Node {i} took {load.Recovery(i, started)}.");
        }

        await RecordedAsync(nodes, load);
    }

    private static async Task<ECDsa> PublicKeyAsync(ServiceProcess node)
    {
        var key = ECDsa.Create();
        key.ImportFromPem((await node.Client.GetJsonAsync("/v1/keys/release/public-key?format=pem")).Text);
        return key;
    }

    /// <summary>Every signature that was given is on record, once, under the id that was given with it, and the whole audit is unbroken.</summary>
    private static async Task RecordedAsync(Nodes nodes, SigningLoad load)
    {
        var recorded = new Dictionary<string, string>(StringComparer.Ordinal);
        var given = load.Signed.ToArray();
        Assert.Equal(given.Length, given.Select(a => a.AuditId).Distinct(StringComparer.Ordinal).Count());
        // What waits on a node's disk arrives by itself.
        using var waited = RunningTime.Start();
        while (given.Where(a => !recorded.ContainsKey(a.AuditId!)).ToArray() is { Length: > 0 } missing)
        {
            Assert.True(waited.Elapsed < TimeSpan.FromMinutes(1), $"After a minute {missing.Length} of {given.Length} signatures cannot be found, {missing[0].AuditId} among them.");
            recorded.Clear();
            string? after = null;
            do
            {
                var page = await nodes[0].Client.GetJsonAsync($"/v1/audit?key=release&action=keys:Sign&outcome=allowed&limit=1000{(after is null ? "" : $"&after={after}")}");
                Assert.Equal(200, page.Code);
                foreach (var record in page.Json.GetProperty("records").EnumerateArray())
                    recorded.Add(record.GetProperty("auditId").GetString()!, record.GetProperty("digest").GetString()!);
                after = page.Json.TryGetProperty("next", out var next) ? next.GetString() : null;
            }
            while (after is not null);
        }

        Assert.All(given, a => Assert.Equal(Convert.ToBase64String(a.Digest), recorded[a.AuditId!]));
        Assert.True((await nodes[0].Client.GetJsonAsync("/v1/audit/check")).Json.GetProperty("intact").GetBoolean());
    }
}
