using Amazon.KeyManagementService.Model;
using SignSvc.Emulation.Faults;
using KmsState = Amazon.KeyManagementService.KeyState;

namespace SignSvc.Tests.Aws;

/// <summary>Keys whose state in AWS KMS is another than here: by somebody's hand there, or because KMS follows later.</summary>
public sealed class AwsStateTests(AwsService aws) : IClassFixture<AwsService>, IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static string Digest => $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""";

    public void Dispose() => aws.Emulator.Faults.Clear();

    [Theory]
    [InlineData(KmsStop.Disabled)]
    [InlineData(KmsStop.ScheduledForDeletion)]
    public async Task A_key_that_was_stopped_in_its_own_Region_signs_in_no_other(KmsStop stop)
    {
        var name = RunningService.NewName("mrk");
        var id = (await aws.MakeKeyAsync(name))["id"];
        var key = await aws.KeyOfAsync(id, 1);
        using var kms = aws.Kms;
        using var replica = aws.KmsIn(AwsService.Replica);
        // What the service has to do in AWS for a new key is done when its alias stands.
        await AwsService.WithinAsync(Soon, async () =>
            (await kms.ListAliasesAsync(new ListAliasesRequest { KeyId = key.KeyId }, Cancel)).Aliases is { Count: > 0 });
        if (stop == KmsStop.Disabled)
            await kms.DisableKeyAsync(key.Arn, Cancel);
        else
            await kms.ScheduleKeyDeletionAsync(new ScheduleKeyDeletionRequest { KeyId = key.Arn }, Cancel);
        // In AWS the replica goes on.
        Assert.Equal(KmsState.Enabled, (await replica.DescribeKeyAsync(key.KeyId, Cancel)).KeyMetadata.KeyState);

        for (var i = 0; i < 5; i++)
            (await SignAsync(name)).MustBeProblem(409, "key-not-usable");

        aws.Emulator.Faults.Add(Fault.Reset("Sign") with { Region = AwsService.Region });
        for (var i = 0; i < 5; i++)
            (await SignAsync(name)).MustBeProblem(503, "backend-unavailable");
        aws.Emulator.Faults.Clear();

        if (stop == KmsStop.ScheduledForDeletion)
            await kms.CancelKeyDeletionAsync(new CancelKeyDeletionRequest { KeyId = key.Arn }, Cancel);
        await kms.EnableKeyAsync(key.Arn, Cancel);
        await AwsService.WithinAsync(Soon, async () => (await SignAsync(name)).Code == 200);
        aws.Emulator.Faults.Add(Fault.Reset("Sign") with { Region = AwsService.Region });
        Assert.Equal(200, (await SignAsync(name)).Code);
    }

    [Fact]
    public async Task A_key_that_somebody_stopped_in_AWS_shows_so_before_it_is_needed()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        await AwsService.WithinAsync(Soon, async () => BackendStateOf(await ReadAsync(name)) is "enabled");
        Assert.DoesNotContain("\"warnings\"", (await ReadAsync(name)).Text, StringComparison.Ordinal);
        Assert.Contains("1", await GaugeAsync(name), StringComparison.Ordinal);

        using var kms = aws.Kms;
        var arn = (await aws.KeyOfAsync(id, 1)).Arn;
        await kms.DisableKeyAsync(arn, Cancel);
        await AwsService.WithinAsync(Soon, async () => BackendStateOf(await ReadAsync(name)) is "disabled");
        var key = await ReadAsync(name);
        Assert.Equal("enabled", key["state"]);
        Assert.Contains("Version 1 is disabled in aws-kms, though the key is enabled here", key["warnings"], StringComparison.Ordinal);
        Assert.Contains("though the key is enabled here", (await aws.Admin.MustGetAsync($"/v1/keys?prefix={name}")).Text, StringComparison.Ordinal);
        Assert.Contains("0", await GaugeAsync(name), StringComparison.Ordinal);

        await kms.EnableKeyAsync(arn, Cancel);
        await AwsService.WithinAsync(Soon, async () => BackendStateOf(await ReadAsync(name)) is "enabled");
        Assert.DoesNotContain("\"warnings\"", (await ReadAsync(name)).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_somebody_enabled_in_AWS_although_it_is_disabled_here_shows_so()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.Disabled);
        using var kms = aws.Kms;
        await kms.EnableKeyAsync((await aws.KeyOfAsync(id, 1)).Arn, Cancel);
        await AwsService.WithinAsync(Soon, async () => (await ReadAsync(name)).Text.Contains("whoever has access there can sign with it", StringComparison.Ordinal));
        (await SignAsync(name)).MustBeProblem(409, "key-not-usable");
    }

    [Fact]
    public async Task A_key_that_is_enabled_signs_at_once_and_waits_for_KMS_within_the_deadline()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        for (var i = 0; i < 3; i++)
        {
            await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
            await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.Disabled);
            await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/enable");
            await MustSignAsync(name);
        }

        Assert.Equal(200, (await aws.Admin.CallAsync(HttpMethod.Delete, $"/v1/keys/{name}", "")).Code);
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.PendingReplicaDeletion);
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/cancel-deletion");
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/enable");
        await MustSignAsync(name);
    }

    [Fact]
    public async Task Where_KMS_does_not_follow_within_the_deadline_the_caller_is_told_when_to_come_back()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.Disabled);
        aws.Emulator.Faults.Add(Fault.Throttle("EnableKey"));
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/enable");
        var refused = await SignAsync(name, within: "3");
        refused.MustBeProblem(503, "backend-unavailable");
        Assert.Contains("was enabled a moment ago", refused["detail"], StringComparison.Ordinal);
        Assert.True(refused.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));

        // Where a try, of two calls, takes one of the three seconds, none is begun that the deadline would cut off.
        aws.Emulator.Latency = new Latency(TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(0.5));
        refused = await SignAsync(name, within: "3");
        aws.Emulator.Latency = Latency.None;
        refused.MustBeProblem(503, "backend-unavailable");
        Assert.Contains("was enabled a moment ago", refused["detail"], StringComparison.Ordinal);

        aws.Emulator.Faults.Clear();
        await AwsService.WithinAsync(Soon, async () => (await SignAsync(name)).Code == 200);
    }

    [Fact]
    public async Task Where_KMS_knew_nothing_of_it_yet_and_then_hangs_the_caller_is_told_when_to_come_back()
    {
        var name = RunningService.NewName("aws");
        var id = (await aws.MakeKeyAsync(name))["id"];
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/disable");
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.Disabled);
        aws.Emulator.Faults.Add(Fault.Throttle("EnableKey"));
        aws.Emulator.Faults.Add(Fault.Hang("Sign") with { Skip = 1 });
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/enable");
        var refused = await SignAsync(name, within: "3");
        refused.MustBeProblem(503, "backend-unavailable");
        Assert.Contains("was enabled a moment ago", refused["detail"], StringComparison.Ordinal);
        Assert.True(refused.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task A_key_in_KMS_has_the_tags_that_it_has_here_and_no_more_than_there_is_room_for()
    {
        var name = RunningService.NewName("tagged");
        var id = (await aws.MakeKeyAsync(name, more: $$""","tags":{{Tags(45)}}"""))["id"];
        (await aws.Admin.CallAsync(HttpMethod.Patch, $"/v1/keys/{name}", $$"""{"tags":{{Tags(46)}}}""")).MustBeProblem(400, "invalid-request");
        (await aws.Admin.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}-2","purpose":"artifacts","backend":"aws-kms","spec":"ECC_NIST_P256","tags":{{Tags(46)}}}"""))
            .MustBeProblem(400, "invalid-request");
        using var kms = aws.Kms;
        await AwsService.WithinAsync(Soon, async () =>
        {
            var there = (await kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = (await aws.KeyOfAsync(id, 1)).KeyId, Limit = 50 }, Cancel)).Tags;
            return Enumerable.Range(0, 45).All(i => there.Exists(t => string.Equals(t.TagKey, $"größe {i}", StringComparison.Ordinal) && t.TagValue is "a/b:c = @"));
        });

        static string Tags(int count) => "{" + string.Join(',', Enumerable.Range(0, count).Select(i => $"\"größe {i}\":\"a/b:c = @\"")) + "}";
    }

    [Fact]
    public async Task A_key_that_may_not_be_looked_at_hides_the_state_of_no_other()
    {
        var names = (string[])[RunningService.NewName("aws"), RunningService.NewName("aws")];
        var arns = new List<string>();
        foreach (var name in names)
            arns.Add((await aws.KeyOfAsync((await aws.MakeKeyAsync(name))["id"], 1)).Arn);
        using var kms = aws.Kms;
        // Either may be the one that is looked at first.
        foreach (var (denied, seen) in ((int, int)[])[(0, 1), (1, 0)])
        {
            foreach (var name in names)
                await AwsService.WithinAsync(Soon, async () => BackendStateOf(await ReadAsync(name)) is "enabled");
            aws.Emulator.Faults.Add(Fault.Error("DescribeKey") with { Code = "AccessDeniedException", Status = 400, KeyId = arns[denied] });
            await kms.DisableKeyAsync(arns[seen], Cancel);
            await AwsService.WithinAsync(Soon, async () => BackendStateOf(await ReadAsync(names[seen])) is "disabled");
            aws.Emulator.Faults.Clear();
            await kms.EnableKeyAsync(arns[seen], Cancel);
        }
    }

    [Fact]
    public async Task A_key_that_is_stopped_here_does_not_wait_for_one_that_cannot_be_brought_in_line()
    {
        var (slow, stopped) = (RunningService.NewName("aws"), RunningService.NewName("aws"));
        var slowKey = await aws.KeyOfAsync((await aws.MakeKeyAsync(slow))["id"], 1);
        var id = (await aws.MakeKeyAsync(stopped))["id"];
        using var kms = aws.Kms;
        await AwsService.WithinAsync(Soon, async () =>
            (await kms.ListAliasesAsync(new ListAliasesRequest { KeyId = (await aws.KeyOfAsync(id, 1)).KeyId }, Cancel)).Aliases is { Count: > 0 });

        // Its replica is missing and cannot be made: that is waited for.
        aws.Emulator.Faults.Add(Fault.Error("DescribeKey") with { Code = "NotFoundException", Status = 400, Region = AwsService.Replica, KeyId = slowKey.KeyId });
        aws.Emulator.Faults.Add(Fault.Error("ReplicateKey") with { Code = "KMSInvalidStateException", Status = 400, KeyId = slowKey.KeyId });
        var before = aws.Emulator.Calls["ReplicateKey"].Received;
        await aws.Admin.CallAsync(HttpMethod.Patch, $"/v1/keys/{slow}", """{"tags":{"changed":"yes"}}""");
        await AwsService.WithinAsync(Soon, () => Task.FromResult(aws.Emulator.Calls["ReplicateKey"].Received > before));

        await aws.Admin.MustPostAsync(200, $"/v1/keys/{stopped}/versions/1/revoke", """{"reason":"compromised"}""");
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState != KmsState.Enabled);
    }

    /// <summary>Its turn had it before it, as it was: while that waited for another key, it was stopped and brought in line.</summary>
    [Fact]
    public async Task A_key_that_was_stopped_is_not_enabled_again_by_a_turn_that_was_under_way()
    {
        var (stopped, slow) = (RunningService.NewName("aws"), RunningService.NewName("aws"));
        var id = (await aws.MakeKeyAsync(stopped))["id"];
        var key = await aws.KeyOfAsync(id, 1);
        // Of keys that are due at the same time, the one made last comes first.
        var slowKey = await aws.KeyOfAsync((await aws.MakeKeyAsync(slow))["id"], 1);
        using var kms = aws.Kms;
        foreach (var made in (string[])[key.KeyId, slowKey.KeyId])
        {
            await AwsService.WithinAsync(Soon, async () =>
                (await kms.ListAliasesAsync(new ListAliasesRequest { KeyId = made }, Cancel)).Aliases is { Count: > 0 });
        }

        var slowness = Fault.Hang("TagResource") with { KeyId = slowKey.KeyId, Region = AwsService.Region, HangFor = TimeSpan.FromSeconds(1), Times = 1 };
        aws.Emulator.Faults.Add(slowness);
        // Past the call by which the service repeats the first.
        aws.Emulator.Faults.Add(slowness with { Skip = 1 });
        var struck = aws.Emulator.Faults.Struck;
        await TagAsync(slow, "1");
        await AwsService.WithinAsync(Soon, () => Task.FromResult(aws.Emulator.Faults.Struck > struck));
        // Both are due when this turn is over, and then are taken together.
        await TagAsync(slow, "2");
        await TagAsync(stopped, "2");
        await AwsService.WithinAsync(Soon, () => Task.FromResult(aws.Emulator.Faults.Struck > struck + 1));
        var enabled = aws.Emulator.Calls["EnableKey"].Received;
        await aws.Admin.MustPostAsync(200, $"/v1/keys/{stopped}/disable");
        await AwsService.WithinAsync(Soon, async () => (await aws.KeyOfAsync(id, 1)).KeyState == KmsState.Disabled);
        // A change after this one comes when the turn is past both.
        await AwsService.WithinAsync(Soon, () => HasTagAsync("2"));
        await TagAsync(slow, "3");
        await AwsService.WithinAsync(Soon, () => HasTagAsync("3"));
        Assert.Equal(enabled, aws.Emulator.Calls["EnableKey"].Received);

        Task TagAsync(string name, string round) => aws.Admin.CallAsync(HttpMethod.Patch, $"/v1/keys/{name}", $$$"""{"tags":{"round":"{{{round}}}"} }""");

        async Task<bool> HasTagAsync(string round) =>
            (await kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = slowKey.KeyId, Limit = 50 }, Cancel)).Tags
                .Exists(t => t.TagKey is "round" && string.Equals(t.TagValue, round, StringComparison.Ordinal));
    }

    private static string? BackendStateOf(JsonAnswer key) =>
        key.Json.GetProperty("versions")[0].TryGetProperty("backendState", out var state) ? state.GetString() : null;

    private Task<JsonAnswer> ReadAsync(string name) => aws.Admin.MustGetAsync($"/v1/keys/{name}");

    /// <summary>The value at the end of the key's line.</summary>
    private async Task<string> GaugeAsync(string name)
    {
        var metrics = await aws.Admin.GetStringAsync("/metrics", Cancel);
        var line = metrics.Split('\n').Single(l => l.StartsWith("signsvc_key_backend_enabled{", StringComparison.Ordinal) && l.Contains($"\"{name}\"", StringComparison.Ordinal));
        return line[(line.LastIndexOf('}') + 1)..];
    }

    private async Task MustSignAsync(string key)
    {
        var answer = await SignAsync(key, within: "30");
        Assert.True(answer.Code == 200, $"{answer}");
    }

    private Task<JsonAnswer> SignAsync(string key, string within = "5")
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/keys/{key}/sign")
        {
            Content = new StringContent(Digest, System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Request-Timeout", within);
        return aws.Admin.CallAsync(request);
    }
}

/// <summary>What somebody does to a key in AWS.</summary>
public enum KmsStop
{
    Disabled,
    ScheduledForDeletion,
}
