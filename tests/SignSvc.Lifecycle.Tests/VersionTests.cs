namespace SignSvc.Lifecycle.Tests;

public sealed class VersionTests(RunningService service)
{
    private HttpClient Admin => service.Admin;

    [Fact]
    public async Task Without_a_lead_a_rotated_key_signs_with_its_successor_at_once_and_verifies_what_was_before()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var old = await Admin.SignAsync(name).MustAsync(200);
        for (var n = 2; n <= 4; n++)
        {
            var rotated = await Admin.DoAsync(name, "rotate").MustAsync(200);
            Assert.Equal([.. Enumerable.Repeat("retired", n - 1), "active"], rotated.States());
            Assert.Equal($"{n}", (await Admin.SignAsync(name).MustAsync(200))["version"]);
        }

        Assert.Equal("1", (await Admin.VerifyAsync(name, old["signature"]))["version"]);
        await Admin.PostJsonAsync($"/v1/keys/{name}/sign", $$"""{"digest":"{{KeyCalls.Digest}}","version":1}""").MustAsync(409, "key-not-usable");
        await Admin.PostJsonAsync($"/v1/keys/{name}/sign", $$"""{"digest":"{{KeyCalls.Digest}}","version":9}""").MustAsync(404, "not-found");
    }

    [Fact]
    public async Task A_successor_is_published_before_it_signs_and_there_is_one()
    {
        var name = await Admin.NewTokensKeyAsync(""","rotation":{"leadSeconds":3600}""");
        var rotated = await Admin.DoAsync(name, "rotate").MustAsync(200);
        Assert.Equal(["active", "announced"], rotated.States());
        Assert.Equal(TimeSpan.FromHours(1), KeyTests.Time(rotated.Version(2), "signsFrom") - KeyTests.Time(rotated.Version(2), "servedAt"));
        Assert.Contains(rotated.Kid(2), await Admin.KeySetAsync(), StringComparison.Ordinal);
        Assert.Equal(rotated.Kid(1), (await Admin.IssueAsync(name).MustAsync(201))["kid"]);
        Assert.Equal(["active", "announced"], (await Admin.DoAsync(name, "rotate").MustAsync(200)).States());

        var timeline = await Admin.GetJsonAsync($"/v1/keys/{name}/timeline").MustAsync(200);
        Assert.Equal(name, timeline["key"]);
        Assert.Equal("1", timeline.Version(1).GetProperty("uses").ToString());
        Assert.Equal(KeyTests.Time(rotated.Version(2), "signsFrom"), KeyTests.Time(timeline.Version(2), "signsFrom"));
        // From the exp of the last token that it may sign on, with the skew and the convergence.
        Assert.Equal(TimeSpan.FromSeconds(3600 + 360), KeyTests.Time(timeline.Version(1), "removableAt") - KeyTests.Time(timeline.Version(1), "signsUntil"));
        Assert.Equal(KeyTests.Time(timeline.Version(1), "removableAt"), KeyTests.Time(timeline.Version(1), "safeToDeleteAt"));
        // The successor was asked for: it does not wait for the period's end.
        Assert.Equal(KeyTests.Time(timeline.Version(2), "signsFrom"), KeyTests.Time(timeline.Version(1), "retiresAt"));
        Assert.DoesNotContain("alarm", timeline["due"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_standby_is_published_before_it_is_asked_for_and_signs_when_it_is()
    {
        var name = await Admin.NewTokensKeyAsync(""","rotation":{"periodSeconds":2592000,"leadSeconds":1,"standby":true}""");
        var key = await StandbyOfAsync(name, 2);
        Assert.Contains(key.Kid(2), await Admin.KeySetAsync(), StringComparison.Ordinal);
        Assert.Equal(KeyTests.Time(key.Version(1), "retiresAt"), KeyTests.Time(key.Version(2), "signsFrom"));
        Assert.Equal(TimeSpan.FromDays(30), KeyTests.Time(key.Version(2), "retiresAt") - KeyTests.Time(key.Version(2), "signsFrom"));

        Assert.Equal(["revoked", "active"], (await Admin.RevokeAsync(name, 1, "compromised").MustAsync(200)).States()[..2]);
        Assert.Equal(key.Kid(2), (await Admin.IssueAsync(name).MustAsync(201))["kid"]);
        key = await StandbyOfAsync(name, 3);
        Assert.Equal(["revoked", "retired", "active"], (await Admin.DoAsync(name, "rotate").MustAsync(200)).States()[..3]);
        Assert.Equal(key.Kid(3), (await Admin.IssueAsync(name).MustAsync(201))["kid"]);
    }

    /// <summary>The key, when the schedule has announced the version and its lead, a second, is over.</summary>
    private async Task<JsonAnswer> StandbyOfAsync(string name, int number)
    {
        for (var since = TimeProvider.System.GetTimestamp(); ; await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, TestContext.Current.CancellationToken))
        {
            var key = await Admin.ReadKeyAsync(name);
            if (key.States().Length == number && key.Version(number).TryGetProperty("servedAt", out var served)
                && served.GetDateTimeOffset().AddSeconds(1) <= TimeProvider.System.GetUtcNow())
            {
                return key;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(since) < TimeSpan.FromMinutes(1), key.Text);
        }
    }

    [Theory]
    [InlineData("compromised")]
    [InlineData("superseded")]
    [InlineData("ceased")]
    public async Task Each_version_can_be_revoked_in_each_state(string reason)
    {
        var name = await Admin.NewTokensKeyAsync(""","rotation":{"leadSeconds":0}""");
        await Admin.DoAsync(name, "rotate").MustAsync(200);
        await Admin.PatchAsync(name, """{"rotation":{"leadSeconds":3600}}""").MustAsync(200);
        var key = await Admin.DoAsync(name, "rotate").MustAsync(200);
        Assert.Equal(["retired", "active", "announced"], key.States());

        // Retired: it leaves the key set, nothing else changes.
        Assert.Equal(["revoked", "active", "announced"], (await Admin.RevokeAsync(name, 1, reason).MustAsync(200)).States());
        Assert.DoesNotContain(key.Kid(1), await Admin.KeySetAsync(), StringComparison.Ordinal);

        // Active: the announced successor signs at once.
        Assert.Equal(["revoked", "revoked", "active"], (await Admin.RevokeAsync(name, 2, reason).MustAsync(200)).States());
        Assert.Equal(key.Kid(3), (await Admin.IssueAsync(name).MustAsync(201))["kid"]);

        // Active without a successor: one is made.
        key = await Admin.RevokeAsync(name, 3, reason).MustAsync(200);
        Assert.Equal(["revoked", "revoked", "revoked", "active"], key.States());
        Assert.Equal(key.Kid(4), (await Admin.IssueAsync(name).MustAsync(201))["kid"]);

        // Announced: it never signs.
        key = await Admin.DoAsync(name, "rotate").MustAsync(200);
        Assert.Equal("announced", key.States()[4]);
        Assert.Equal("revoked", (await Admin.RevokeAsync(name, 5, reason).MustAsync(200)).States()[4]);

        // Revoked: it stays so. What was given up in peace may turn out to be compromised, and nothing becomes less grave.
        key = await Admin.RevokeAsync(name, 1, "compromised").MustAsync(200);
        Assert.Equal("compromised", key.Version(1).GetProperty("revocationReason").GetString());
        await Admin.RevokeAsync(name, 1, "superseded").MustAsync(409, "conflict");
        await Admin.RevokeAsync(name, 6, reason).MustAsync(404, "not-found");
        await Admin.RevokeAsync(name, 0, reason).MustAsync(404, "not-found");
        await Admin.RevokeAsync(name, 1, "bored").MustAsync(400, "invalid-request");
        var keySet = await Admin.KeySetAsync();
        Assert.All((int[])[1, 2, 3, 5], n => Assert.DoesNotContain(key.Kid(n), keySet, StringComparison.Ordinal));
        Assert.Contains(key.Kid(4), keySet, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_revoked_version_verifies_nothing()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var signature = (await Admin.SignAsync(name).MustAsync(200))["signature"];
        await Admin.RevokeAsync(name, 1, "compromised").MustAsync(200);
        Assert.Equal("False", (await Admin.VerifyAsync(name, signature))["valid"]);
        Assert.Equal("2", (await Admin.SignAsync(name).MustAsync(200))["version"]);
    }

    [Fact]
    public async Task Floors_stop_old_versions_and_never_the_one_that_signs()
    {
        var name = await Admin.NewArtifactsKeyAsync(""","rotation":{"leadSeconds":0}""");
        var signature = (await Admin.SignAsync(name).MustAsync(200))["signature"];
        await Admin.DoAsync(name, "rotate").MustAsync(200);
        Assert.Equal("True", (await Admin.VerifyAsync(name, signature))["valid"]);
        await Admin.PatchAsync(name, """{"minVerificationVersion":2,"minSigningVersion":2}""").MustAsync(200);
        Assert.Equal("False", (await Admin.VerifyAsync(name, signature))["valid"]);
        await Admin.SignAsync(name).MustAsync(200);

        await Admin.PatchAsync(name, """{"rotation":{"leadSeconds":3600}}""").MustAsync(200);
        await Admin.DoAsync(name, "rotate").MustAsync(200);
        await Admin.PatchAsync(name, """{"minSigningVersion":3}""").MustAsync(400, "invalid-request");
        await Admin.PatchAsync(name, """{"minVerificationVersion":3}""").MustAsync(400, "invalid-request");
        await Admin.SignAsync(name).MustAsync(200);
    }

    [Fact]
    public async Task Uses_are_counted_exactly_while_many_sign()
    {
        var name = await Admin.NewArtifactsKeyAsync();
        var before = TimeProvider.System.GetUtcNow();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (var i = 0; i < 25; i++)
                await Admin.SignAsync(name).MustAsync(200);
        }));
        var after = TimeProvider.System.GetUtcNow();
        var version = (await Admin.GetJsonAsync($"/v1/keys/{name}/versions").MustAsync(200)).Version(1);
        Assert.Equal(200, version.GetProperty("uses").GetInt64());
        Assert.InRange(KeyTests.Time(version, "lastUsedAt"), before, after);
    }
}
