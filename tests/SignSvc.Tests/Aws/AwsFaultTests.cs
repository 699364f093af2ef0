using System.Net;
using SignSvc.Emulation.Faults;

namespace SignSvc.Tests.Aws;

/// <summary>AWS KMS away, hanging, throttling and wrong. Each test leaves it healthy.</summary>
public sealed class AwsFaultTests(AwsService aws) : IClassFixture<AwsService>, IDisposable
{
    private static readonly TimeSpan Recovery = TimeSpan.FromSeconds(5);

    private static string Digest => $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""";

    [Fact]
    public async Task While_KMS_is_gone_its_keys_wait_other_backends_and_unwrapped_volume_keys_sign_and_it_recovers_within_five_seconds()
    {
        var name = await KeyAsync();
        var profile = await VolumeProfileAsync();
        await aws.RestartKmsAsync(async () =>
        {
            for (var i = 0; i < 12; i++)
                (await SignAsync(name)).MustBeProblem(503, "backend-unavailable");
            Assert.Equal("ok", (await aws.Admin.MustGetAsync("/healthz/ready"))["status"]);
            await AwsService.WithinAsync(Recovery, async () =>
            {
                await SignAsync(name);
                return await BackendStateAsync() is "down";
            });
            await OthersSignAsync();
            for (var i = 0; i < 10; i++)
                await IssueAsync(profile, 201);
        });
        await AwsService.WithinAsync(Recovery, async () => (await SignAsync(name)).Code == 200);
    }

    [Fact]
    public async Task Calls_that_hang_end_by_their_deadline_and_hold_up_nobody_else()
    {
        var name = await KeyAsync();
        aws.Emulator.Faults.Add(Fault.Hang("Sign"));
        using var watch = RunningTime.Start();
        var hanging = Enumerable.Range(0, 20).Select(_ => SignAsync(name)).ToArray();
        await OthersSignAsync();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(4), "Another backend waited for KMS.");
        foreach (var answer in await Task.WhenAll(hanging))
            Assert.True(answer.Code is 503 or 504, $"{answer}");
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(8), "A call outlived its deadline.");
        aws.Emulator.Faults.Clear();
        await AwsService.WithinAsync(Recovery, async () => (await SignAsync(name)).Code == 200);
    }

    [Fact]
    public async Task A_wrong_signature_never_leaves_and_is_on_record_with_its_request_id()
    {
        var name = await KeyAsync();
        aws.Emulator.Faults.Add(Fault.WrongAnswer("Sign"));
        for (var i = 0; i < 5; i++)
            (await SignAsync(name)).MustBeProblem(502, "backend-failed");
        var batch = await aws.Admin.MustPostAsync(200, $"/v1/keys/{name}/sign-batch", $$"""{"items":[{{Digest}},{{Digest}}]}""");
        foreach (var item in batch.Json.GetProperty("results").EnumerateArray())
        {
            item.GetProperty("problem").MustBeProblem(502, "backend-failed");
            Assert.False(item.TryGetProperty("signature", out _));
        }

        var record = (await aws.Admin.MustGetAsync($"/v1/audit?key={name}&action=keys:Sign&limit=1")).Json.GetProperty("records")[0];
        Assert.Equal("failed", record.GetProperty("outcome").GetString());
        Assert.True(Guid.TryParse(record.GetProperty("backendRequestId").GetString(), out _));
        aws.Emulator.Faults.Clear();
        Assert.Equal(200, (await SignAsync(name)).Code);
    }

    [Fact]
    public async Task Throttling_is_503_with_the_time_to_wait_and_a_short_one_is_not_seen_at_all()
    {
        var name = await KeyAsync();
        // What another test took down is asked for again first.
        await AwsService.WithinAsync(Recovery, async () => await BackendStateAsync() is not "down");
        aws.Emulator.Faults.Add(Fault.Throttle("Sign"));
        var answer = await SignAsync(name);
        answer.MustBeProblem(503, "overloaded");
        Assert.True(answer.Headers.RetryAfter?.Delta >= TimeSpan.FromSeconds(1));
        Assert.Equal("limited", await BackendStateAsync());
        await OthersSignAsync();
        aws.Emulator.Faults.Clear();
        await AwsService.WithinAsync(Recovery, async () => (await SignAsync(name)).Code == 200);

        aws.Emulator.Faults.Add(Fault.Throttle("Sign") with { Times = 2 });
        Assert.Equal(200, (await SignAsync(name)).Code);
        var record = (await aws.Admin.MustGetAsync($"/v1/audit?key={name}&action=keys:Sign&limit=1")).Json.GetProperty("records")[0];
        Assert.Equal(3, record.GetProperty("backendRequestId").GetString()!.Split(' ').Length);
    }

    [Fact]
    public async Task A_caller_says_by_when_it_wants_the_answer()
    {
        // Of another family: the throttling of another test has made this one's turns rare.
        var name = await KeyAsync("RSA_2048");
        aws.Emulator.Faults.Add(Fault.Hang("Sign"));
        using var watch = RunningTime.Start();
        (await SignWithinAsync(name, "1.5")).MustBeProblem(504, "deadline-exceeded");
        // Without it the call would hang for five seconds.
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(4), "The deadline was not kept.");

        var batch = await aws.Admin.MustPostAsync(
            200, $"/v1/keys/{name}/sign-batch",
            $$"""{"items":[{"digest":"{{Expectations.Base64Digest("a")}}","timeoutSeconds":1.5},{"digest":"{{Expectations.Base64Digest("a")}}","timeoutSeconds":-1}]}""");
        batch.Json.GetProperty("results")[0].GetProperty("problem").MustBeProblem(504, "deadline-exceeded");
        batch.Json.GetProperty("results")[1].GetProperty("problem").MustBeProblem(400, "invalid-request");
        aws.Emulator.Faults.Clear();

        foreach (var wrong in new[] { "soon", "0", "-1", "301", "NaN", "1e2", "" })
            (await SignWithinAsync(name, wrong)).MustBeProblem(400, "invalid-request");
        await AwsService.WithinAsync(Recovery, async () => (await SignWithinAsync(name, "2")).Code == 200);
    }

    [Fact]
    public async Task A_batch_keeps_its_order_and_every_item_its_own_end()
    {
        var name = await KeyAsync();
        // No item can meet both of them and more: each has three tries.
        aws.Emulator.Faults.Add(Fault.Throttle("Sign") with { Times = 2 });
        var items = Enumerable.Range(0, 200).Select(i => $$"""{"digest":"{{(i == 77 ? "AAAA" : Expectations.Base64Digest($"{i}"))}}","encoding":"p1363"}""");
        var batch = await PostWithinAsync($"/v1/keys/{name}/sign-batch", $$"""{"items":[{{string.Join(',', items)}}]}""", "60");
        Assert.True(batch.Code == 200, $"{batch}");
        using var key = await aws.Admin.ReadEcdsaAsync(name);
        var results = batch.Json.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(200, results.Length);
        results[77].GetProperty("problem").MustBeProblem(400, "invalid-digest");
        for (var i = 0; i < results.Length; i++)
        {
            if (i != 77)
                Assert.True(key.VerifyHash(Expectations.Digest($"{i}"), results[i].GetProperty("signature").GetBytesFromBase64()), $"{i}: {results[i]}");
        }
    }

    [Fact]
    public async Task Beyond_an_accounts_quota_callers_are_refused_at_once_and_told_when_to_come_back()
    {
        var name = RunningService.NewName("slow");
        await aws.Admin.MustPostAsync(
            201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","backend":"aws-kms:second","spec":"ECC_NIST_P256"}""");
        var throttled = aws.Emulator.Calls["Sign"].Throttled;
        JsonAnswer[] answers;
        TimeSpan took, stoodStill;
        var round = 0;
        do
        {
            var from = TimeProvider.System.GetTimestamp();
            using var ran = RunningTime.Start();
            answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => SignWithinAsync(name, "3")));
            took = TimeProvider.System.GetElapsedTime(from);
            stoodStill = took - ran.Elapsed;
        }
        // Turns that pass while the machine stands still are nobody's.
        while (stoodStill > TimeSpan.FromSeconds(1) && ++round < 3);

        // Five a second, and half a second's worth that may leave at once.
        var turns = 1 + (int)Math.Ceiling(5 * (0.5 + took.TotalSeconds));
        // One that got the last turn before its deadline may have had no time left for the answer.
        var refused = answers.Where(a => a.Status is not (HttpStatusCode.OK or HttpStatusCode.GatewayTimeout)).ToArray();
        Assert.InRange(refused.Length, 100 - turns, 96);
        Assert.All(refused, answer =>
        {
            answer.MustBeProblem(503, "overloaded");
            Assert.NotNull(answer.Headers.RetryAfter);
        });
        Assert.InRange(answers.Count(a => a.Status == HttpStatusCode.OK), 1, turns);
        Assert.Equal(throttled, aws.Emulator.Calls["Sign"].Throttled);
    }

    public void Dispose() => aws.Emulator.Faults.Clear();

    private async Task<string> KeyAsync(string spec = "ECC_NIST_P256")
    {
        var name = RunningService.NewName("aws");
        await aws.MakeKeyAsync(name, spec);
        await AwsService.WithinAsync(Recovery, async () => (await SignAsync(name)).Code == 200);
        return name;
    }

    private Task<JsonAnswer> SignAsync(string key) => aws.Admin.PostJsonAsync($"/v1/keys/{key}/sign", Digest);

    private Task<JsonAnswer> SignWithinAsync(string key, string seconds) => PostWithinAsync($"/v1/keys/{key}/sign", Digest, seconds);

    private Task<JsonAnswer> PostWithinAsync(string path, string json, string seconds)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(json, System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.TryAddWithoutValidation("Request-Timeout", seconds);
        return aws.Admin.CallAsync(request);
    }

    private async Task OthersSignAsync()
    {
        Assert.Equal(200, (await SignAsync("release")).Code);
        await IssueAsync("default", 201);
    }

    private Task<JsonAnswer> IssueAsync(string profile, int status) =>
        aws.Admin.MustPostAsync(status, "/v1/tokens", $$"""{"profile":"{{profile}}","subject":"s","audience":"a"}""");

    private async Task<string> VolumeProfileAsync()
    {
        var name = RunningService.NewName("volume");
        await aws.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","backend":"aws-kms","spec":"ECC_NIST_P256"}""");
        await aws.Admin.CallAsync(
            HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["*"],"defaultLifetimeSeconds":60,"maxLifetimeSeconds":60}""");
        await IssueAsync(name, 201);
        return name;
    }

    private async Task<string?> BackendStateAsync() =>
        (await aws.Admin.MustGetAsync("/healthz/ready")).Json.GetProperty("backends").EnumerateArray()
            .Single(b => b.GetProperty("name").ValueEquals("aws-kms")).GetProperty("state").GetString();
}
