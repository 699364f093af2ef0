using System.Globalization;
using System.Text.Json;

namespace SignSvc.Lifecycle.Tests;

public sealed class KeyTests(RunningService service)
{
    private HttpClient Admin => service.Admin;

    [Fact]
    public async Task A_key_keeps_what_it_was_made_with_up_to_the_limits_of_AWS()
    {
        var tags = Enumerable.Range(0, 50).ToDictionary(i => $"{i:00}{new string('k', 126)}", _ => new string('v', 256), StringComparer.Ordinal);
        var description = new string('d', 8192);
        var name = await Admin.NewArtifactsKeyAsync(
            $$""","description":"{{description}}","owner":"{{new string('o', 256)}}","tags":{{JsonSerializer.Serialize(tags)}},"rotation":{"periodSeconds":7200,"leadSeconds":60,"graceSeconds":0},"deletionProtection":true""");
        var key = await Admin.ReadKeyAsync(name);
        Assert.Equal(description, key["description"]);
        Assert.Equal(256, key["owner"].Length);
        Assert.Equal(50, key.Json.GetProperty("tags").EnumerateObject().Count());
        Assert.Equal("""{"periodSeconds":7200,"leadSeconds":60,"graceSeconds":0,"jitterSeconds":0,"standby":false}""", key["rotation"]);
        Assert.Equal("True", key["deletionProtection"]);
        Assert.Equal(["active"], key.States());
    }

    [Theory]
    [InlineData("""{"description":"LONG8193"}""")]
    [InlineData("""{"owner":"LONG257"}""")]
    [InlineData("""{"tags":{"LONG129":"v"}}""")]
    [InlineData("""{"tags":{"k":"LONG257"}}""")]
    [InlineData("""{"tags":{"":"v"}}""")]
    [InlineData("""{"tags":{"k":null}}""")]
    [InlineData("""{"rotation":{"periodSeconds":3599}}""")]
    [InlineData("""{"rotation":{"periodSeconds":221184001}}""")]
    [InlineData("""{"rotation":{"periodSeconds":7200,"leadSeconds":3601}}""")]
    [InlineData("""{"rotation":{"leadSeconds":-1}}""")]
    [InlineData("""{"rotation":{"graceSeconds":7776001}}""")]
    [InlineData("""{"minSigningVersion":0}""")]
    [InlineData("""{"minSigningVersion":2}""")]
    [InlineData("""{"minVerificationVersion":2}""")]
    [InlineData("""{"state":"disabled"}""")]
    [InlineData("""{"name":"other"}""")]
    public async Task A_change_beyond_the_limits_is_refused_and_changes_nothing(string body)
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var before = await Admin.ReadKeyAsync(name);
        foreach (var length in (int[])[8193, 257, 129])
            body = body.Replace($"LONG{length}", new string('x', length), StringComparison.Ordinal);
        await Admin.PatchAsync(name, body).MustAsync(400, "invalid-request");
        Assert.Equal(before.Text, (await Admin.ReadKeyAsync(name)).Text);
    }

    [Fact]
    public async Task Fifty_one_tags_are_refused()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var tags = JsonSerializer.Serialize(Enumerable.Range(0, 51).ToDictionary(i => $"k{i}", _ => "v", StringComparer.Ordinal));
        await Admin.PatchAsync(name, $$"""{"tags":{{tags}}}""").MustAsync(400, "invalid-request");
    }

    [Fact]
    public async Task A_volume_key_cannot_be_patched_past_its_90_days()
    {
        var name = await Admin.NewTokensKeyAsync();
        await Admin.PatchAsync(name, """{"rotation":{"periodSeconds":7776001}}""").MustAsync(400, "invalid-request");
        var patched = await Admin.PatchAsync(name, """{"rotation":{"leadSeconds":60}}""").MustAsync(200);
        Assert.Equal(2_592_000, patched.Json.GetProperty("rotation").GetProperty("periodSeconds").GetInt32());
        Assert.True(patched.Version(1).TryGetProperty("signsUntil", out _), "A volume key lost its hard stop.");
    }

    [Fact]
    public async Task A_period_that_a_key_is_given_later_holds_for_the_version_that_signs()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        Assert.False((await Admin.ReadKeyAsync(name)).Version(1).TryGetProperty("retiresAt", out _));
        var patched = await Admin.PatchAsync(name, """{"rotation":{"periodSeconds":86400,"leadSeconds":60,"graceSeconds":60}}""").MustAsync(200);
        var version = patched.Version(1);
        Assert.Equal(TimeSpan.FromDays(1), Time(version, "retiresAt") - Time(version, "signsFrom"));
        Assert.Equal(TimeSpan.FromMinutes(1), Time(version, "signsUntil") - Time(version, "retiresAt"));
        var again = await Admin.PatchAsync(name, """{"rotation":{"periodSeconds":86400,"leadSeconds":60,"graceSeconds":60}}""").MustAsync(200);
        Assert.Equal(version.GetRawText(), again.Version(1).GetRawText());
        var without = await Admin.PatchAsync(name, """{"rotation":{"periodSeconds":0}}""").MustAsync(200);
        Assert.False(without.Version(1).TryGetProperty("signsUntil", out _));
    }

    [Fact]
    public async Task What_a_change_of_rotation_does_not_name_stays()
    {
        var name = await Admin.NewTokensKeyAsync(""","rotation":{"periodSeconds":864000,"leadSeconds":7200,"graceSeconds":3600,"jitterSeconds":1800,"standby":true}""");
        await ChangeAsync("""{"leadSeconds":3600}""", """{"periodSeconds":864000,"leadSeconds":3600,"graceSeconds":3600,"jitterSeconds":1800,"standby":true}""");
        await ChangeAsync("{}", """{"periodSeconds":864000,"leadSeconds":3600,"graceSeconds":3600,"jitterSeconds":1800,"standby":true}""");
        await ChangeAsync("""{"standby":false}""", """{"periodSeconds":864000,"leadSeconds":3600,"graceSeconds":3600,"jitterSeconds":1800,"standby":false}""");
        await ChangeAsync("""{"standby":true,"jitterSeconds":0}""", """{"periodSeconds":864000,"leadSeconds":3600,"graceSeconds":3600,"jitterSeconds":0,"standby":true}""");
        // What depends on the period is chosen anew with another one, or named.
        await ChangeAsync("""{"periodSeconds":43200,"graceSeconds":60}""", """{"periodSeconds":43200,"leadSeconds":10800,"graceSeconds":60,"jitterSeconds":0,"standby":true}""");

        async Task ChangeAsync(string rotation, string expected) =>
            Assert.Equal(expected, (await Admin.PatchAsync(name, $$"""{"rotation":{{rotation}}}""").MustAsync(200))["rotation"]);
    }

    [Fact]
    public async Task A_disabled_key_signs_nothing_verifies_and_stays_published()
    {
        var artifacts = await Admin.NewArtifactsKeyAsync();
        var tokens = await Admin.NewTokensKeyAsync();
        var kid = (await Admin.ReadKeyAsync(tokens)).Kid(1);
        var signature = (await Admin.SignAsync(artifacts).MustAsync(200))["signature"];
        foreach (var name in (string[])[artifacts, tokens])
        {
            Assert.Equal("disabled", (await Admin.DoAsync(name, "disable").MustAsync(200))["state"]);
            Assert.Equal("disabled", (await Admin.DoAsync(name, "disable").MustAsync(200))["state"]);
            await Admin.DoAsync(name, "rotate").MustAsync(409, "key-not-usable");
        }

        await Admin.SignAsync(artifacts).MustAsync(409, "key-not-usable");
        await Admin.IssueAsync(tokens).MustAsync(409, "key-not-usable");
        Assert.Equal("True", (await Admin.VerifyAsync(artifacts, signature))["valid"]);
        Assert.Contains(kid, await Admin.KeySetAsync(), StringComparison.Ordinal);
        await Admin.GetJsonAsync($"/v1/keys/{artifacts}/public-key").MustAsync(200);
        await Admin.PatchAsync(artifacts, """{"description":"still mine"}""").MustAsync(200);

        Assert.Equal("enabled", (await Admin.DoAsync(artifacts, "enable").MustAsync(200))["state"]);
        await Admin.SignAsync(artifacts).MustAsync(200);
        await Admin.DoAsync(tokens, "enable").MustAsync(200);
        await Admin.IssueAsync(tokens).MustAsync(201);
    }

    [Fact]
    public async Task A_key_can_be_made_disabled_and_with_aliases_in_one_step()
    {
        var alias = $"prod/{RunningService.NewName("alias")}";
        var name = await Admin.NewArtifactsKeyAsync($$""","enabled":false,"aliases":["{{alias}}"]""");
        var made = await Admin.ReadKeyAsync(Uri.EscapeDataString(alias));
        Assert.Equal((name, "disabled"), (made["name"], made["state"]));
        await Admin.SignAsync(name).MustAsync(409, "key-not-usable");
        await Admin.DoAsync(name, "enable").MustAsync(200);
        await Admin.SignAsync(Uri.EscapeDataString(alias)).MustAsync(200);

        // Making a key takes no alias from another, and is undone as a whole.
        var other = RunningService.NewName("other");
        foreach (var taken in (string[])[alias, name])
            await MakeAsync(taken).MustAsync(409, "name-taken");
        await MakeAsync("No alias").MustAsync(400, "invalid-request");
        await MakeAsync(other).MustAsync(400, "invalid-request");
        await Admin.GetJsonAsync($"/v1/keys/{other}").MustAsync(404);

        Task<JsonAnswer> MakeAsync(string further) => Admin.PostJsonAsync(
            "/v1/keys", $$"""{"name":"{{other}}","purpose":"artifacts","spec":"ECC_NIST_P256","aliases":["{{further}}"]}""");
    }

    [Theory]
    [InlineData("team", "build", true)]
    [InlineData("Größe 三", "a_b.c:d/e=f+g-h@i", true)]
    [InlineData("empty", "", true)]
    [InlineData("aws:owner", "x", false)]
    [InlineData("AWS:owner", "x", false)]
    [InlineData("signsvc:key-id", "x", false)]
    [InlineData("", "x", false)]
    [InlineData("team", "a,b", false)]
    [InlineData("team", @"a\tb", false)]
    [InlineData("te*m", "x", false)]
    [InlineData("team", "🔑", false)]
    public async Task Tags_follow_the_rules_of_AWS_whatever_the_backend(string tag, string value, bool isGood)
    {
        var tags = $$"""{"{{tag}}":"{{value}}"}""";
        var name = RunningService.NewName("tagged");
        var made = await Admin.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256","tags":{{tags}}}""");
        Assert.Equal(isGood ? 201 : 400, made.Code);
        var changed = await Admin.PatchAsync(isGood ? name : await Admin.NewArtifactsKeyAsync(), $$"""{"tags":{{tags}}}""");
        Assert.Equal(isGood ? 200 : 400, changed.Code);
        if (isGood)
            Assert.Equal(value, changed.Json.GetProperty("tags").GetProperty(tag).GetString());
    }

    [Theory]
    [InlineData(128, 256, 50, 201)]
    [InlineData(129, 1, 1, 400)]
    [InlineData(1, 257, 1, 400)]
    [InlineData(128, 1, 51, 400)]
    public async Task Tags_have_the_bounds_of_AWS(int nameLength, int valueLength, int count, int status)
    {
        var tags = string.Join(',', Enumerable.Range(0, count).Select(i => $"\"{$"{i}".PadLeft(nameLength, 'n')}\":\"{new string('v', valueLength)}\""));
        var body = $$"""{"name":"{{RunningService.NewName("tagged")}}","purpose":"artifacts","spec":"ECC_NIST_P256","tags":{""" + tags + "}}";
        await Admin.PostJsonAsync("/v1/keys", body).MustAsync(status);
    }

    [Fact]
    public async Task Deletion_waits_from_7_to_30_days_and_a_cancelled_one_leaves_the_key_disabled()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        await Admin.DeleteKeyAsync(name, 6).MustAsync(400, "invalid-request");
        await Admin.DeleteKeyAsync(name, 31).MustAsync(400, "invalid-request");
        var refused = await Admin.DoAsync(name, "cancel-deletion").MustAsync(409, "key-not-usable");
        Assert.Equal(("The key does not allow this now.", $"{name} is not pending deletion."), (refused["title"], refused["detail"]));
        foreach (var days in (int?[])[7, 30, null])
        {
            var signature = (await Admin.SignAsync(name).MustAsync(200))["signature"];
            var asked = TimeProvider.System.GetUtcNow();
            var pending = await Admin.DeleteKeyAsync(name, days).MustAsync(200);
            Assert.Equal("pendingDeletion", pending["state"]);
            Assert.Equal(days ?? 30, (Time(pending.Json, "deletesAt") - asked).TotalDays, tolerance: 0.01);

            await Admin.SignAsync(name).MustAsync(409, "key-not-usable");
            Assert.Equal("True", (await Admin.VerifyAsync(name, signature))["valid"]);
            foreach (var action in (string[])["enable", "disable", "rotate"])
                await Admin.DoAsync(name, action).MustAsync(409, "key-not-usable");
            await Admin.PatchAsync(name, """{"description":"x"}""").MustAsync(409, "key-not-usable");
            await Admin.PutAliasAsync(RunningService.NewName("alias"), name).MustAsync(409, "key-not-usable");
            await Admin.DeleteKeyAsync(name).MustAsync(409, "key-not-usable");

            Assert.Equal("disabled", (await Admin.DoAsync(name, "cancel-deletion").MustAsync(200))["state"]);
            await Admin.SignAsync(name).MustAsync(409, "key-not-usable");
            await Admin.DoAsync(name, "enable").MustAsync(200);
        }
    }

    [Fact]
    public async Task Deletion_is_refused_with_the_evidence()
    {
        var guarded = await Admin.NewArtifactsKeyAsync(""","deletionProtection":true""");
        Assert.Contains("protected", (await Admin.DeleteKeyAsync(guarded).MustAsync(409, "still-in-use"))["detail"], StringComparison.Ordinal);
        await Admin.PatchAsync(guarded, """{"deletionProtection":false}""").MustAsync(200);
        await Admin.DeleteKeyAsync(guarded).MustAsync(200);

        var tokens = await Admin.NewTokensKeyAsync();
        Assert.Contains($"profile {tokens}", (await Admin.DeleteKeyAsync(tokens).MustAsync(409, "still-in-use"))["detail"], StringComparison.Ordinal);
        var token = await Admin.IssueAsync(tokens).MustAsync(201);
        await Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{tokens}?force=true", """{"key":"tokens","audiences":["a"]}""").MustAsync(200);
        Assert.Contains(token["kid"], (await Admin.DeleteKeyAsync(tokens).MustAsync(409, "still-in-use"))["detail"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST", "enable")]
    [InlineData("POST", "disable")]
    [InlineData("POST", "rotate")]
    [InlineData("POST", "cancel-deletion")]
    [InlineData("GET", "versions")]
    [InlineData("GET", "timeline")]
    [InlineData("DELETE", "")]
    public async Task What_does_not_exist_cannot_be_changed(string method, string action) =>
        await Admin.CallAsync(new HttpMethod(method), $"/v1/keys/no-such-key/{action}".TrimEnd('/'), "").MustAsync(404, "not-found");

    internal static DateTimeOffset Time(JsonElement of, string member) =>
        DateTimeOffset.Parse(of.GetProperty(member).GetString()!, CultureInfo.InvariantCulture);
}
