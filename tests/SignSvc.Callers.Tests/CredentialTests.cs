using System.Text.Json;

namespace SignSvc.Callers.Tests;

/// <summary>Service credentials over time: two secrets while users change over, and networks that they are good in.</summary>
public sealed class CredentialTests(CallersService callers)
{
    private static int _names;

    private HttpClient Admin => callers.Process.Client;

    [Fact]
    public async Task Both_secrets_are_good_while_they_overlap_and_a_second_rotation_ends_the_first()
    {
        var made = await CreateAsync();
        var rotated = await MustAsync(200, $"/v1/credentials/{made["name"]}/rotate", """{"overlapSeconds":600}""");
        Assert.NotEqual(made["token"], rotated["token"], StringComparer.Ordinal);
        Assert.Equal(made["id"], rotated["id"]);
        Assert.True(rotated.Headers.CacheControl?.NoStore);
        Assert.InRange(rotated.Json.GetProperty("previousUntil").GetDateTimeOffset() - TimeProvider.System.GetUtcNow(), TimeSpan.FromSeconds(500), TimeSpan.FromSeconds(601));
        await MustKnowAsync(made["token"], true);
        await MustKnowAsync(rotated["token"], true);

        var again = await MustAsync(200, $"/v1/credentials/{made["id"]}/rotate");
        await MustKnowAsync(made["token"], false);
        await MustKnowAsync(rotated["token"], true);
        await MustKnowAsync(again["token"], true);

        var last = await MustAsync(200, $"/v1/credentials/{made["id"]}/rotate", """{"overlapSeconds":0}""");
        await MustKnowAsync(again["token"], false);
        await MustKnowAsync(last["token"], true);
        Assert.False(last.Json.TryGetProperty("previousUntil", out _));
    }

    [Fact]
    public async Task The_old_secret_ends_with_the_overlap()
    {
        var made = await CreateAsync();
        var rotated = await MustAsync(200, $"/v1/credentials/{made["name"]}/rotate", """{"overlapSeconds":2}""");
        var end = rotated.Json.GetProperty("previousUntil").GetDateTimeOffset();
        DateTimeOffset before;
        bool isKnown;
        do
        {
            before = TimeProvider.System.GetUtcNow();
            isKnown = await IsKnownAsync(made["token"]);
            Assert.True(isKnown || TimeProvider.System.GetUtcNow() >= end, "refused before the end of the overlap");
        }
        while (before < end);

        Assert.False(isKnown);
        await MustKnowAsync(rotated["token"], true);
    }

    [Fact]
    public async Task Revoking_ends_both_secrets_and_nothing_revoked_is_rotated()
    {
        var made = await CreateAsync();
        var rotated = await MustAsync(200, $"/v1/credentials/{made["name"]}/rotate");
        await MustAsync(200, $"/v1/credentials/{made["name"]}/revoke");
        await MustKnowAsync(made["token"], false);
        await MustKnowAsync(rotated["token"], false);
        Assert.Equal(409, (await Admin.PostJsonAsync($"/v1/credentials/{made["name"]}/rotate")).Code);
    }

    [Theory]
    [InlineData("""{"overlapSeconds":-1}""")]
    [InlineData("""{"overlapSeconds":2592001}""")]
    [InlineData("""{"overlapSeconds":"1h"}""")]
    [InlineData("""{"expiresAt":"2020-01-01T00:00:00Z"}""")]
    [InlineData("""{"roles":["admin"]}""")]
    public async Task A_rotation_that_makes_no_sense_is_refused_and_changes_nothing(string body)
    {
        var made = await CreateAsync();
        Assert.Equal(400, (await Admin.PostJsonAsync($"/v1/credentials/{made["name"]}/rotate", body)).Code);
        await MustKnowAsync(made["token"], true);
    }

    [Fact]
    public async Task Only_who_may_rotates_and_it_is_on_record()
    {
        var made = await CreateAsync();
        var signer = callers.Process.As(made["token"]);
        var refused = await signer.PostJsonAsync($"/v1/credentials/{made["name"]}/rotate");
        Assert.Equal(403, refused.Code);
        await MustAsync(200, $"/v1/credentials/{made["name"]}/rotate");
        var records = (await Admin.GetJsonAsync("/v1/audit?action=credentials:Rotate&limit=1000")).Json.GetProperty("records").EnumerateArray()
            .Where(r => r.GetProperty("resource").ValueEquals($"credential/{made["name"]}")).ToArray();
        Assert.Equal(["allowed", "denied"], records.Select(r => r.GetProperty("outcome").GetString()), StringComparer.Ordinal);
        Assert.All(records, r => Assert.DoesNotContain("ssv1_", r.GetRawText(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nobody_gets_more_than_they_hold_by_rotating_another_s_credential()
    {
        var (rotator, peer) = (await CreateAsync(), await CreateAsync());
        var statement = $$"""{"effect":"allow","principals":["{{rotator["principal"]}}"],"actions":["credentials:Rotate"],"resources":["*"]}""";
        var put = await Admin.CallAsync(HttpMethod.Put, "/v1/policies/rotators", $$"""{"statements":[{{statement}}]}""");
        Assert.True(put.Code is 200 or 201, put.ToString());
        var client = callers.Process.As(rotator["token"]);

        Assert.Equal(403, (await client.PostJsonAsync("/v1/credentials/bootstrap/rotate")).Code);
        Assert.Equal(200, (await client.PostJsonAsync($"/v1/credentials/{peer["name"]}/rotate")).Code);
        Assert.Equal(200, (await client.PostJsonAsync($"/v1/credentials/{rotator["name"]}/rotate")).Code);
        await Admin.DeleteAsync("/v1/policies/rotators", TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData("127.0.0.0/8", true)]
    [InlineData("127.0.0.1/32", true)]
    [InlineData("0.0.0.0/0", true)]
    [InlineData("10.0.0.0/8", false)]
    [InlineData("::/0", false)]
    [InlineData("2001:db8::/32", false)]
    public async Task A_credential_is_good_in_its_networks_alone(string network, bool isGood) =>
        await MustKnowAsync((await CreateAsync($$""","addresses":["{{network}}"]"""))["token"], isGood);

    [Theory]
    [InlineData("10.0.0.1/8")]
    [InlineData("10.0.0.0/33")]
    [InlineData("localhost")]
    [InlineData("")]
    public async Task What_is_no_network_is_refused(string network) =>
        Assert.Equal(400, (await Admin.PostJsonAsync("/v1/credentials", $$"""{"name":"{{NewName()}}","roles":["signer"],"addresses":["{{network}}"]}""")).Code);

    [Fact]
    public async Task A_token_with_a_wrong_character_or_a_stray_bit_is_a_stranger_s_and_no_fault_of_the_service()
    {
        var good = (await CreateAsync())["token"];
        const string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // The last character holds two bits that no encoder sets.
        var stray = good[..^1] + alphabet[alphabet.IndexOf(good[^1], StringComparison.Ordinal) + 1];
        foreach (var wrong in (string[])[stray, good[..^1] + "!", good[..^1] + "=", good[..^2] + "==", good[..30] + "+" + good[31..], good[..30] + "." + good[31..]])
            await MustKnowAsync(wrong, isKnown: false);
    }

    [Fact]
    public async Task A_header_of_a_proxy_does_not_move_a_caller()
    {
        var made = await CreateAsync(""","addresses":["10.0.0.0/8"]""");
        var request = new HttpRequestMessage(HttpMethod.Get, "/v1/whoami");
        foreach (var header in (string[])["X-Forwarded-For", "X-Real-IP", "Forwarded"])
            request.Headers.Add(header, "10.1.2.3");
        Assert.Equal(401, (await callers.Process.As(made["token"]).CallAsync(request)).Code);
    }

    [Fact]
    public async Task A_credential_shows_when_it_was_last_used_and_where_it_may_be()
    {
        var made = await CreateAsync(""","addresses":["127.0.0.0/8"]""");
        var before = await Admin.GetJsonAsync($"/v1/credentials/{made["name"]}");
        Assert.False(before.Json.TryGetProperty("lastUsedAt", out _));
        Assert.Equal("127.0.0.0/8", before.Json.GetProperty("addresses")[0].GetString());
        Assert.False(before.Json.TryGetProperty("token", out _));

        await MustKnowAsync(made["token"], true);

        var after = await Admin.GetJsonAsync($"/v1/credentials/{made["id"]}");
        Assert.InRange(TimeProvider.System.GetUtcNow() - after.Json.GetProperty("lastUsedAt").GetDateTimeOffset(), TimeSpan.Zero, TimeSpan.FromSeconds(30));
        Assert.Equal(404, (await Admin.GetJsonAsync("/v1/credentials/nobody")).Code);
    }

    [Fact]
    public async Task A_credential_is_told_how_it_was_understood()
    {
        var made = await CreateAsync();
        var you = await callers.Process.As(made["token"]).GetJsonAsync("/v1/whoami");
        Assert.Equal((made["principal"], "credential", made["name"]), (you["principal"], you["kind"], you["source"]));
        Assert.Equal(["signer"], you.Json.GetProperty("roles").EnumerateArray().Select(r => r.GetString()), StringComparer.Ordinal);
        Assert.Equal("127.0.0.1", you["address"]);
        Assert.Equal(JsonValueKind.Object, you.Json.GetProperty("claims").ValueKind);
        Assert.True(you.Headers.CacheControl?.NoStore);
        Assert.Equal(401, (await callers.Process.As(token: null).GetJsonAsync("/v1/whoami")).Code);
    }

    private static string NewName() => $"credential-{Interlocked.Increment(ref _names)}";

    private Task<JsonAnswer> CreateAsync(string more = "") =>
        MustAsync(201, "/v1/credentials", $$"""{"name":"{{NewName()}}","roles":["signer"]{{more}}}""");

    private async Task<JsonAnswer> MustAsync(int status, string path, string json = "")
    {
        var answer = await Admin.PostJsonAsync(path, json);
        Assert.True(answer.Code == status, $"{path}: {answer}");
        return answer;
    }

    private async Task MustKnowAsync(string token, bool isKnown) => Assert.Equal(isKnown, await IsKnownAsync(token));

    private async Task<bool> IsKnownAsync(string token)
    {
        var answer = await callers.Process.As(token).GetJsonAsync("/v1/whoami");
        Assert.True(answer.Code is 200 or 401, answer.ToString());
        return answer.Code == 200;
    }
}
