namespace SignSvc.Lifecycle.Tests;

/// <summary>Changes on condition that nobody else's came first: <c>If-Match</c> with the key's <c>etag</c>.</summary>
public sealed class ConditionTests(RunningService service)
{
    [Fact]
    public async Task A_change_asked_for_on_a_condition_that_no_longer_holds_is_refused_and_the_key_stays_as_it_is()
    {
        var name = await service.Admin.NewArtifactsKeyAsync();
        var etag = await EtagAsync(name);
        await IfAsync(etag, HttpMethod.Patch, $"/v1/keys/{name}", """{"description":"mine"}""").MustAsync(200);

        foreach (var (method, path, body) in ((HttpMethod, string, string)[])
        [
            (HttpMethod.Patch, $"/v1/keys/{name}", """{"description":"theirs"}"""),
            (HttpMethod.Post, $"/v1/keys/{name}/disable", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/enable", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/rotate", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/rewrap", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/cancel-deletion", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/versions/1/revoke", """{"reason":"ceased"}"""),
            (HttpMethod.Delete, $"/v1/keys/{name}", ""),
            (HttpMethod.Put, $"/v1/aliases/{name}/alias", $$"""{"key":"{{name}}"}"""),
        ])
        {
            var refused = await IfAsync(etag, method, path, body).MustAsync(412, "precondition-failed");
            Assert.Contains("was changed after it was read", refused["detail"], StringComparison.Ordinal);
        }

        var key = await service.Admin.ReadKeyAsync(name);
        Assert.Equal(("mine", "enabled"), (key["description"], key["state"]));
        Assert.Empty(key.Json.GetProperty("aliases").EnumerateArray());
    }

    [Fact]
    public async Task Every_answer_names_the_condition_of_the_next_step_and_a_successor_that_takes_over_changes_none()
    {
        var name = await service.Admin.NewArtifactsKeyAsync();
        await service.Admin.DoAsync(name, "rotate").MustAsync(200);
        var etag = await EtagAsync(name);
        await service.Admin.RevokeAsync(name, 2).MustAsync(200);
        Assert.Equal(["retired", "revoked", "active"], (await service.Admin.ReadKeyAsync(name)).States());
        Assert.Equal(etag, await EtagAsync(name));

        foreach (var (method, path, body) in ((HttpMethod, string, string)[])
        [
            (HttpMethod.Put, $"/v1/aliases/{name}/a", $$"""{"key":"{{name}}"}"""),
            (HttpMethod.Patch, $"/v1/keys/{name}", """{"owner":"o"}"""),
            (HttpMethod.Delete, $"/v1/aliases/{name}/a", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/rotate", ""),
            (HttpMethod.Post, $"/v1/keys/{name}/disable", ""),
        ])
        {
            var before = etag;
            var answer = await IfAsync(etag, method, path, body);
            Assert.True(answer.Code is 200 or 204, answer.ToString());
            etag = answer.Headers.ETag!.Tag;
            Assert.NotEqual(before, etag, StringComparer.Ordinal);
        }

        await IfAsync("*", HttpMethod.Post, $"/v1/keys/{name}/enable").MustAsync(200);
        await IfAsync("no etag", HttpMethod.Post, $"/v1/keys/{name}/enable").MustAsync(400, "invalid-request");
    }

    [Fact]
    public async Task Of_many_who_change_what_they_read_one_succeeds()
    {
        var name = await service.Admin.NewArtifactsKeyAsync();
        var etag = await EtagAsync(name);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            IfAsync(etag, HttpMethod.Patch, $"/v1/keys/{name}", $$"""{"description":"{{i}}"}""")));
        Assert.Single(answers, a => a.Code == 200);
        Assert.Equal(19, answers.Count(a => a.Code == 412));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3600)]
    public async Task Of_fifty_who_rotate_what_they_read_one_makes_a_successor(int lead)
    {
        var name = await service.Admin.NewArtifactsKeyAsync($$""","rotation":{"leadSeconds":{{lead}}}""");
        for (var round = 1; round <= 5; round++)
        {
            var etag = await EtagAsync(name);
            var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => IfAsync(etag, HttpMethod.Post, $"/v1/keys/{name}/rotate")));
            Assert.Single(answers, a => a.Code == 200);
            Assert.Equal(49, answers.Count(a => a.Code == 412));
            Assert.Equal(lead == 0 ? round + 1 : 2, (await service.Admin.ReadKeyAsync(name)).States().Length);
            // With a lead the successor waits, and whoever asks again gets it.
            if (lead > 0)
                break;
        }
    }

    private async Task<string> EtagAsync(string key)
    {
        var answer = await service.Admin.ReadKeyAsync(key);
        Assert.Equal($"\"{answer["etag"]}\"", answer.Headers.ETag!.Tag);
        return answer.Headers.ETag!.Tag;
    }

    private Task<JsonAnswer> IfAsync(string condition, HttpMethod method, string path, string body = "")
    {
        var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation("If-Match", condition);
        if (body.Length > 0)
            request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
        return service.Admin.CallAsync(request);
    }
}
