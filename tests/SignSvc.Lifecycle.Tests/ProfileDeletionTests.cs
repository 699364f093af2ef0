namespace SignSvc.Lifecycle.Tests;

/// <summary>Token profiles end when nobody needs them; their keys then can.</summary>
public sealed class ProfileDeletionTests(RunningService service)
{
    [Fact]
    public async Task A_profile_whose_tokens_are_alive_is_not_deleted_and_one_that_gave_none_is()
    {
        var name = await service.Admin.NewTokensKeyAsync();
        await service.Admin.IssueAsync(name).MustAsync(201);
        var refused = await DeleteAsync(name).MustAsync(409, "still-in-use");
        Assert.Contains("are alive until", refused["detail"], StringComparison.Ordinal);
        var key = (await service.Admin.GetJsonAsync($"/v1/keys/{name}/versions").MustAsync(200)).Version(1);
        // The exp of its token, with the skew and the convergence: never a date that is past.
        Assert.Contains($"{KeyTests.Time(key, "tokensExpireAt").AddSeconds(360):u}", refused["detail"], StringComparison.Ordinal);

        // Another one stands for the same key and issuer: its tokens stay as good as they were.
        await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}-too", $$"""{"key":"{{name}}","audiences":["a"]}""").MustAsync(200);
        await DeleteAsync(name).MustAsync(204);
        await service.Admin.GetJsonAsync($"/v1/profiles/{name}").MustAsync(404);
        await service.Admin.IssueAsync(name).MustAsync(404);
        await DeleteAsync(name).MustAsync(404);
        var audit = await service.Admin.GetJsonAsync("/v1/audit?action=profiles:Delete").MustAsync(200);
        var outcomes = audit.Json.GetProperty("records").EnumerateArray()
            .Where(r => r.GetRawText().Contains($"profile/{name}\"", StringComparison.Ordinal))
            .Select(r => r.GetProperty("outcome").GetString());
        Assert.Equal(["failed", "allowed", "failed"], outcomes, StringComparer.Ordinal);

        // A profile of the same name is another one.
        await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"]}""").MustAsync(200);
        await service.Admin.IssueAsync(name).MustAsync(201);
    }

    [Fact]
    public async Task A_key_without_live_tokens_can_be_deleted_after_its_profile()
    {
        var name = await service.Admin.NewTokensKeyAsync();
        await service.Admin.DeleteKeyAsync(name).MustAsync(409, "still-in-use");
        await DeleteAsync(name).MustAsync(204);
        await service.Admin.DeleteKeyAsync(name).MustAsync(200);
    }

    [Fact]
    public async Task A_key_that_signed_payloads_comes_into_no_key_set_when_its_profile_is_gone()
    {
        var name = RunningService.NewName("payloads");
        var key = await service.Admin.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"ECC_NIST_P256"}""").MustAsync(201);
        await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"],"payloads":true}""").MustAsync(200);
        Assert.DoesNotContain(key.Kid(1), await service.Admin.KeySetAsync(), StringComparison.Ordinal);

        await DeleteAsync(name).MustAsync(204);

        Assert.DoesNotContain(key.Kid(1), await service.Admin.KeySetAsync(), StringComparison.Ordinal);
        var refused = await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"]}""").MustAsync(400, "invalid-request");
        Assert.Contains("signed payloads", refused["detail"], StringComparison.Ordinal);
        await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"],"payloads":true}""").MustAsync(200);
    }

    [Fact]
    public async Task The_first_profile_stays_deleted_over_a_restart()
    {
        await using var own = await ServiceProcess.StartAsync();
        await own.Client.CallAsync(HttpMethod.Delete, "/v1/profiles/default", "").MustAsync(204);
        await own.RestartAsync();
        Assert.Empty((await own.Client.GetJsonAsync("/v1/profiles").MustAsync(200)).Json.GetProperty("profiles").EnumerateArray());
    }

    private Task<JsonAnswer> DeleteAsync(string profile) => service.Admin.CallAsync(HttpMethod.Delete, $"/v1/profiles/{profile}", "");
}
