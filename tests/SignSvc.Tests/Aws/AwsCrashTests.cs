using SignSvc.Emulation.Faults;

namespace SignSvc.Tests.Aws;

/// <summary>The service dies, or starts, while something of KMS is half done. Each test has a service of its own.</summary>
public sealed class AwsCrashTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(20);

    private readonly AwsService _aws = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => _aws.InitializeAsync();

    [Theory]
    [InlineData("CreateKey")]
    [InlineData("GetPublicKey")]
    public async Task A_key_that_was_made_and_not_recorded_when_the_service_died_is_ended_at_its_next_start(string hangsIn)
    {
        var kept = await _aws.MakeKeyAsync("kept");
        for (var crash = 1; crash <= 3; crash++)
        {
            var before = _aws.Emulator.Calls["CreateKey"].Received;
            // The call is done, its answer never comes.
            _aws.Emulator.Faults.Add(Fault.Hang(hangsIn) with { AfterExecution = true });
            var received = _aws.Emulator.Calls[hangsIn].Received;
            var creating = _aws.Admin.PostJsonAsync(
                "/v1/keys", $$"""{"name":"lost-{{crash}}","purpose":"artifacts","backend":"aws-kms","spec":"ECC_NIST_P256"}""");
            await AwsService.WithinAsync(Soon, async () =>
                _aws.Emulator.Calls[hangsIn].Received > received && (await _aws.EnabledKeysAsync()).Count == 2);
            await _aws.Process.KillAsync();
            await Assert.ThrowsAnyAsync<HttpRequestException>(() => creating);
            _aws.Emulator.Faults.Clear();
            Assert.Equal(before + 1, _aws.Emulator.Calls["CreateKey"].Received);

            await _aws.Process.RestartAsync();
            await AwsService.WithinAsync(Soon, async () => (await _aws.EnabledKeysAsync()).Count == 1);
        }

        var left = Assert.Single(await _aws.EnabledKeysAsync());
        Assert.Equal((await _aws.KeyOfAsync(kept["id"], 1)).Arn, left.Arn);
        Assert.Equal(200, (await _aws.Admin.PostJsonAsync("/v1/keys/kept/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""")).Code);
        var records = (await _aws.Admin.MustGetAsync("/v1/audit?action=keys:Intend&limit=100")).Json.GetProperty("records");
        Assert.Contains(records.EnumerateArray(), r =>
            r.GetProperty("detail").GetString()!.Contains("closed", StringComparison.Ordinal) && r.TryGetProperty("backendRequestId", out _));
    }

    [Fact]
    public async Task A_name_that_was_taken_meanwhile_leaves_no_key_in_KMS()
    {
        var creating = Enumerable.Range(0, 6).Select(_ => _aws.Admin.PostJsonAsync(
            "/v1/keys", """{"name":"one","purpose":"artifacts","backend":"aws-kms","spec":"ECC_NIST_P256"}""")).ToArray();
        var answers = await Task.WhenAll(creating);
        Assert.Single(answers, a => a.Code == 201);
        Assert.All(answers.Where(a => a.Code != 201), a => a.MustBeProblem(409, "name-taken"));
        await AwsService.WithinAsync(Soon, async () => (await _aws.EnabledKeysAsync()).Count == 1);
    }

    [Fact]
    public async Task A_start_without_KMS_serves_all_that_does_not_need_it_and_the_rest_when_it_is_back()
    {
        await _aws.MakeKeyAsync("assured");
        await _aws.Admin.MustPostAsync(201, "/v1/keys", """{"name":"volume","purpose":"tokens","backend":"aws-kms","spec":"ECC_NIST_P256"}""");
        await _aws.Admin.CallAsync(
            HttpMethod.Put, "/v1/profiles/volume", """{"key":"volume","audiences":["*"],"defaultLifetimeSeconds":60,"maxLifetimeSeconds":60}""");
        await _aws.Process.StopAsync();
        await _aws.RestartKmsAsync(async () =>
        {
            await _aws.Process.RestartAsync();
            await _aws.Admin.MustGetAsync("/healthz/ready");
            var keys = (await _aws.Admin.MustGetAsync("/.well-known/jwks.json")).Json.GetProperty("keys");
            Assert.Equal(2, keys.GetArrayLength());
            (await SignAsync("assured")).MustBeProblem(503, "backend-unavailable");
            (await IssueAsync("volume")).MustBeProblem(503, "backend-unavailable");
            Assert.Equal(200, (await SignAsync("release")).Code);
            Assert.Equal(201, (await IssueAsync("default")).Code);
        });
        var patience = TimeSpan.FromSeconds(5);
        await AwsService.WithinAsync(patience, async () => (await SignAsync("assured")).Code == 200 && (await IssueAsync("volume")).Code == 201);
    }

    [Fact]
    public async Task What_was_changed_while_KMS_was_away_is_brought_in_line_when_it_is_back()
    {
        var id = (await _aws.MakeKeyAsync("late"))["id"];
        await _aws.RestartKmsAsync(() => _aws.Admin.MustPostAsync(200, "/v1/keys/late/disable"));
        await AwsService.WithinAsync(Soon, async () =>
            (await _aws.KeyOfAsync(id, 1)).KeyState == Amazon.KeyManagementService.KeyState.Disabled);
        using var kms = _aws.Kms;
        var wrapping = (await kms.DescribeKeyAsync("alias/signsvc-wrapping", Cancel)).KeyMetadata.KeyId;
        await AwsService.WithinAsync(Soon, async () =>
            (await kms.GetKeyRotationStatusAsync(new Amazon.KeyManagementService.Model.GetKeyRotationStatusRequest { KeyId = wrapping }, Cancel)).KeyRotationEnabled == true);
    }

    public ValueTask DisposeAsync() => _aws.DisposeAsync();

    private Task<JsonAnswer> SignAsync(string key) =>
        _aws.Admin.PostJsonAsync($"/v1/keys/{key}/sign", $$"""{"digest":"{{Expectations.Base64Digest("a")}}"}""");

    private Task<JsonAnswer> IssueAsync(string profile) =>
        _aws.Admin.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{profile}}","subject":"s","audience":"a"}""");
}
