using System.Text.Json;

namespace SignSvc.Tests;

/// <summary>Credentials, and what each role may do.</summary>
public sealed class AccessTests(RunningService service)
{
    private static readonly string Sign = $$"""{"digest":"{{Expectations.Base64Digest("access")}}"}""";

    private readonly HttpClient _admin = service.Admin;

    /// <summary>Each action, by a call that succeeds for those who may.</summary>
    private static readonly (string Action, string Method, string Path, string Body, string Roles)[] Calls =
    [
        ("keys:Create", "POST", "/v1/keys", """{"name":"NEW","purpose":"artifacts","spec":"ECC_NIST_P256"}""", "admin operator"),
        ("keys:List", "GET", "/v1/keys?limit=1", "", "admin operator auditor"),
        ("keys:Read", "GET", "/v1/keys/release", "", "admin operator signer auditor"),
        ("keys:Read", "GET", "/v1/keys/release/public-key", "", "admin operator signer auditor"),
        ("keys:Rewrap", "POST", "/v1/keys/tokens/rewrap", "", "admin operator"),
        ("keys:Sign", "POST", "/v1/keys/release/sign", Sign, "admin signer"),
        ("keys:Verify", "POST", "/v1/keys/release/verify", $$"""{"digest":"{{Expectations.Base64Digest("a")}}","signature":"AAAA"}""", "admin operator signer auditor"),
        ("tokens:Issue", "POST", "/v1/tokens", """{"profile":"default","audience":"a"}""", "admin signer"),
        ("profiles:Read", "GET", "/v1/profiles", "", "admin operator signer auditor"),
        ("profiles:Read", "GET", "/v1/profiles/default", "", "admin operator signer auditor"),
        ("profiles:Put", "PUT", "/v1/profiles/NEW", """{"key":"tokens","audiences":["*"]}""", "admin operator"),
        ("credentials:Create", "POST", "/v1/credentials", """{"name":"NEW","roles":["signer"]}""", "admin"),
        ("credentials:Read", "GET", "/v1/credentials", "", "admin auditor"),
        ("credentials:Revoke", "POST", "/v1/credentials/VICTIM/revoke", "", "admin"),
        ("audit:Read", "GET", "/v1/audit?limit=1", "", "admin auditor"),
        ("audit:Read", "GET", "/v1/audit/check", "", "admin auditor"),
    ];

    [Theory]
    [InlineData("admin")]
    [InlineData("operator")]
    [InlineData("signer")]
    [InlineData("auditor")]
    public async Task A_role_may_do_what_its_row_of_the_table_says_and_nothing_else(string role)
    {
        var client = await service.AsAsync(role);
        foreach (var (action, method, path, body, roles) in Calls)
        {
            var name = RunningService.NewName("role");
            var victim = path.Contains("VICTIM", StringComparison.Ordinal) ? (await service.NewCredentialAsync("signer"))["name"] : "";
            var answer = await client.CallAsync(
                new HttpMethod(method), path.Replace("NEW", name, StringComparison.Ordinal).Replace("VICTIM", victim, StringComparison.Ordinal),
                body.Replace("NEW", name, StringComparison.Ordinal));
            if (roles.Split(' ').Contains(role, StringComparer.Ordinal))
            {
                Assert.True(answer.Code is 200 or 201, $"{role} {action}: {answer}");
                continue;
            }

            answer.MustBeProblem(403, "forbidden");
            var record = await AuditedAsync(answer["auditId"]);
            Assert.Equal("denied", record.GetProperty("outcome").GetString());
            Assert.Equal(action, record.GetProperty("action").GetString());
        }
    }

    [Fact]
    public async Task Two_roles_may_do_what_either_may()
    {
        var client = await service.AsAsync("operator", "signer");
        await client.MustPostAsync(200, "/v1/keys/release/sign", Sign);
        await client.MustGetAsync("/v1/keys?limit=1");
    }

    [Fact]
    public async Task To_who_may_not_list_keys_an_unknown_key_looks_like_a_forbidden_one()
    {
        var signer = await service.AsAsync("signer");
        var forbidden = await signer.GetJsonAsync("/v1/keys");
        foreach (var unknown in (JsonAnswer[])
        [
            await signer.GetJsonAsync("/v1/keys/nobody"),
            await signer.GetJsonAsync("/v1/keys/nobody/public-key"),
            await signer.PostJsonAsync("/v1/keys/nobody/sign", Sign),
            await signer.PostJsonAsync("/v1/keys/nobody/verify", $$"""{"digest":"{{Expectations.Base64Digest("a")}}","signature":"AAAA"}"""),
        ])
            MustLookAlike(forbidden, unknown);

        // One who may list, but not sign, cannot tell either: the refusal comes first.
        var auditor = await service.AsAsync("auditor");
        MustLookAlike(await auditor.PostJsonAsync("/v1/keys/release/sign", Sign), await auditor.PostJsonAsync("/v1/keys/nobody/sign", Sign));

        var batch = await signer.MustPostAsync(200, "/v1/keys/nobody/sign-batch", $$"""{"items":[{{Sign}}]}""");
        batch.Json.GetProperty("results")[0].GetProperty("problem").MustBeProblem(403, "forbidden");
    }

    [Fact]
    public async Task A_revoked_credential_is_refused_from_then_on_and_named_once()
    {
        var made = await service.NewCredentialAsync("signer");
        Assert.StartsWith("ssv1_", made["token"], StringComparison.Ordinal);
        Assert.True(made.Headers.CacheControl?.NoStore);
        using var client = service.Process.As(made["token"]);
        await client.MustPostAsync(200, "/v1/keys/release/sign", Sign);

        var revoked = await _admin.MustPostAsync(200, $"/v1/credentials/{made["name"]}/revoke");
        Assert.True(revoked.Json.TryGetProperty("revokedAt", out _));
        (await client.PostJsonAsync("/v1/keys/release/sign", Sign)).MustBeProblem(401, "unauthenticated");
        // Doing it twice is no fault, and by id is as good as by name.
        await _admin.MustPostAsync(200, $"/v1/credentials/{made["id"]}/revoke");

        var list = await _admin.MustGetAsync("/v1/credentials");
        Assert.DoesNotContain("ssv1_", list.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(made["token"].Split('_', 3)[2], list.Text, StringComparison.Ordinal);
        (await _admin.PostJsonAsync("/v1/credentials", $$"""{"name":"{{made["name"]}}","roles":["signer"]}""")).MustBeProblem(409, "name-taken");
    }

    [Fact]
    public async Task A_credential_is_refused_from_its_expiry_on()
    {
        var (made, expiry) = await Expiring.MakeAsync(at => _admin.PostJsonAsync(
            "/v1/credentials", $$"""{"name":"{{RunningService.NewName("short")}}","roles":["signer"],"expiresAt":"{{at:O}}"}"""));
        using var client = service.Process.As(made["token"]);
        JsonAnswer answer;
        DateTimeOffset before;
        do
        {
            before = TimeProvider.System.GetUtcNow();
            answer = await client.GetJsonAsync("/v1/keys/release");
            Assert.True(answer.Code == 200 || TimeProvider.System.GetUtcNow() >= expiry, $"refused before its expiry: {answer}");
        }
        while (before < expiry);

        answer.MustBeProblem(401, "unauthenticated");
    }

    [Theory]
    [InlineData("""{"name":"NEW","roles":[]}""")]
    [InlineData("""{"name":"NEW"}""")]
    [InlineData("""{"name":"NEW","roles":null}""")]
    [InlineData("""{"name":"NEW","roles":["root"]}""")]
    [InlineData("""{"name":"NEW","roles":[0]}""")]
    [InlineData("""{"name":"NEW","roles":["signer"],"expiresAt":"tomorrow"}""")]
    [InlineData("""{"name":"NEW","roles":["signer"],"expiresAt":"2020-01-01T00:00:00Z"}""")]
    [InlineData("""{"name":"NEW","roles":["signer"],"expiresAt":"9999-12-31T23:59:59Z"}""")]
    public async Task A_credential_that_makes_no_sense_is_refused(string body) =>
        (await _admin.PostJsonAsync("/v1/credentials", body.Replace("NEW", RunningService.NewName("bad"), StringComparison.Ordinal))).MustBeProblem(400, "invalid-request");

    [Fact]
    public async Task No_tampered_token_is_accepted()
    {
        var good = (await service.NewCredentialAsync("signer"))["token"];
        var other = (await service.NewCredentialAsync("admin"))["token"];
        var forgeries = new List<string?>
        {
            null, "", " ", good[..^1], good + "A", good.ToUpperInvariant(), "ssv2" + good[4..], other[..22] + good[22..], good[..22] + other[22..],
            good.Replace('_', '-'), good[..22] + new string('A', 43), "null", "ssv1_", new string('x', 5000),
        };
        var random = new Random(7);
        for (var i = 0; i < 300; i++)
        {
            var characters = good.ToCharArray();
            // The last character holds four bits of the secret and two of padding.
            var at = random.Next(characters.Length);
            characters[at] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[random.Next(64)];
            forgeries.Add(new string(characters));
        }

        using var client = service.Process.As(token: null);
        foreach (var forgery in forgeries.Where(f => !string.Equals(f, good, StringComparison.Ordinal)))
        {
            var request = new HttpRequestMessage(HttpMethod.Get, "/v1/keys/release");
            if (forgery is not null)
                request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {forgery}");
            var answer = await client.CallAsync(request);
            Assert.True(answer.Code == 401, $"accepted: {forgery}");
            answer.MustBeProblem(401, "unauthenticated");
            Assert.Equal("Bearer", answer.Headers.WwwAuthenticate.ToString());
        }
    }

    [Fact]
    public async Task A_flood_of_strangers_leaves_few_records()
    {
        using var client = service.Process.As(token: null);
        var before = TimeProvider.System.GetUtcNow();
        double seconds;
        do
        {
            // Longer than a second: the records that the first one allows may have gone to strangers of another test.
            var answers = await Task.WhenAll(Enumerable.Range(0, 400).Select(_ => client.PostJsonAsync("/v1/keys/release/sign", Sign)));
            Assert.All(answers, a => a.MustBeProblem(401, "unauthenticated"));
            seconds = (TimeProvider.System.GetUtcNow() - before).TotalSeconds;
        }
        while (seconds < 1.5);
        var page = await _admin.MustGetAsync($"/v1/audit?caller=unknown&limit=1000&from={Uri.EscapeDataString(before.ToString("O"))}");
        // Strangers of other tests go on meanwhile.
        seconds = (TimeProvider.System.GetUtcNow() - before).TotalSeconds;
        Assert.InRange(page.Json.GetProperty("records").GetArrayLength(), 1, 10 * (int)(seconds + 2));
    }

    private async Task<JsonElement> AuditedAsync(string auditId) =>
        Assert.Single((await _admin.MustGetAsync($"/v1/audit?auditId={auditId}")).Json.GetProperty("records").EnumerateArray());

    private static void MustLookAlike(JsonAnswer one, JsonAnswer other)
    {
        one.MustBeProblem(403, "forbidden");
        other.MustBeProblem(403, "forbidden");
        Assert.Equal(one["title"], other["title"]);
        Assert.Equal(one["detail"], other["detail"]);
        Assert.Equal(one.Json.EnumerateObject().Select(m => m.Name), other.Json.EnumerateObject().Select(m => m.Name), StringComparer.Ordinal);
    }
}
