using System.Security.Cryptography;

namespace SignSvc.Import.Tests;

public sealed class ImportTests(ServiceFixture fixture) : IClassFixture<ServiceFixture>
{
    private readonly ServiceProcess _service = fixture.Service;

    private HttpClient Client => _service.Client;

    [Fact]
    public async Task Of_twenty_that_use_one_token_at_once_exactly_one_imports()
    {
        using var owner = Material.P256();
        var key = await Client.MakeEmptyKeyAsync();
        var parameters = await Client.ParametersAsync(key);
        var body = parameters.Wrap(owner.ExportPkcs8PrivateKey());

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Client.ImportAsync(key, body)));
        var won = Assert.Single(answers, a => a.Code == 200);
        Assert.All(answers.Where(a => a != won), a => Assert.Equal("400 invalid-request", a.Problem()));
        Assert.Single(answers.Where(a => a != won).Select(a => a["detail"]).Distinct(StringComparer.Ordinal));

        var version = Assert.Single((await Client.GetJsonAsync($"/v1/keys/{key}")).Versions());
        Assert.Equal("imported", version.GetProperty("origin").GetString());
        Assert.True(await Client.SignsAsAsync(key, owner));
    }

    [Fact]
    public async Task An_import_that_needs_approval_waits_for_it_and_is_bound_to_its_material()
    {
        using var owner = Material.P256();
        using var other = Material.P256();
        var key = await Client.MakeEmptyKeyAsync();
        var approver = await Client.PostJsonAsync("/v1/credentials", """{"name":"import-approver","roles":["admin"]}""");
        var rule = $$"""{"resources":["key/{{key}}"],"actions":["keys:Import"],"required":1,"approvers":["credential:import-approver"]}""";
        Assert.Equal(200, (await Client.CallAsync(HttpMethod.Put, "/v1/approval-rules/import", rule)).Code);
        var parameters = await Client.ParametersAsync(key);
        var body = parameters.Wrap(owner.ExportPkcs8PrivateKey());

        var pending = await Client.ImportAsync(key, body);
        Assert.True(pending.Code == 202, pending.ToString());
        Assert.Equal(200, (await _service.As(approver["token"]).PostJsonAsync($"/v1/approvals/{pending["id"]}/approve", "{}")).Code);
        Assert.Equal(202, (await Client.ImportAsync(key, parameters.Wrap(other.ExportPkcs8PrivateKey()))).Code);
        Assert.Equal(200, (await Client.ImportAsync(key, body)).Code);
        Assert.True(await Client.SignsAsAsync(key, owner));
    }

    [Fact]
    public async Task A_token_outlives_a_kill_and_is_good_for_its_own_key_alone()
    {
        using var owner = Material.P256();
        var (key, otherKey) = (await Client.MakeEmptyKeyAsync(), await Client.MakeEmptyKeyAsync());
        var parameters = await Client.ParametersAsync(key);
        await _service.RestartAsync();

        var body = parameters.Wrap(owner.ExportPkcs8PrivateKey(), "RSA_OAEP_SHA_256");
        Assert.Equal("400 invalid-request", (await Client.ImportAsync(otherKey, body)).Problem());
        Assert.Equal(200, (await Client.ImportAsync(key, body)).Code);
        Assert.True(await Client.SignsAsAsync(key, owner));

        await _service.RestartAsync();
        Assert.True(await Client.SignsAsAsync(key, owner));
        Assert.Equal("400 invalid-request", (await Client.ImportAsync(key, body)).Problem());
    }

    [Fact]
    public async Task What_is_refused_leaves_the_token_valid_and_the_key_empty()
    {
        using var owner = Material.P256();
        var key = await Client.MakeEmptyKeyAsync();
        var parameters = await Client.ParametersAsync(key);
        var token = parameters["token"];
        var good = parameters.Wrap(owner.ExportPkcs8PrivateKey());
        using var p384 = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using var published = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            D = Convert.FromHexString("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"),
        });

        (string Body, string Problem)[] refused =
        [
            ("", "400 invalid-request"),
            ("{}", "400 invalid-request"),
            ("not json", "400 invalid-request"),
            (good.Replace("\"token\"", "\"tokens\"", StringComparison.Ordinal), "400 invalid-request"),
            (good.Replace(token, token[..^2] + (token[^2..] is "AA" ? "BB" : "AA"), StringComparison.Ordinal), "400 invalid-request"),
            (good.Replace("RSA_AES_KEY_WRAP_SHA_256", "RSA_OAEP_SHA_256", StringComparison.Ordinal), "400 invalid-request"),
            (good.Replace("RSA_AES_KEY_WRAP_SHA_256", "RSAES_OAEP_SHA_1", StringComparison.Ordinal), "400 unknown-algorithm"),
            (Material.Body(token, "RSA_OAEP_SHA_256", new byte[512]), "400 invalid-request"),
            (Material.Body(token, "RSA_AES_KEY_WRAP_SHA_256", RandomNumberGenerator.GetBytes(648)), "400 invalid-request"),
            (Material.Body(token, "RSA_OAEP_SHA_256", new byte[100_000]), "400 invalid-request"),
            (parameters.Wrap(p384.ExportPkcs8PrivateKey()), "400 invalid-request"),
            (parameters.Wrap(RandomNumberGenerator.GetBytes(138)), "400 invalid-request"),
            (parameters.Wrap(published.ExportPkcs8PrivateKey()), "400 invalid-request"),
            (parameters.Wrap(owner.ExportPkcs8PrivateKey(), more: ""","activate":false"""), "400 invalid-request"),
        ];
        foreach (var (body, problem) in refused)
        {
            var answer = await Client.ImportAsync(key, body);
            Assert.Equal($"{problem} for {body}", $"{answer.Problem()} for {body}");
        }

        Assert.Empty((await Client.GetJsonAsync($"/v1/keys/{key}")).Versions());
        Assert.Equal(200, (await Client.ImportAsync(key, good)).Code);
        Assert.True(await Client.SignsAsAsync(key, owner));
    }

    [Fact]
    public async Task Material_is_used_once_under_whatever_key()
    {
        using var owner = Material.P256();
        var (first, second) = (await Client.MakeEmptyKeyAsync(), await Client.MakeEmptyKeyAsync());
        Assert.Equal(200, (await Client.ImportAsync(first, (await Client.ParametersAsync(first)).Wrap(owner.ExportPkcs8PrivateKey()))).Code);

        var again = (await Client.ParametersAsync(second)).Wrap(owner.ExportPkcs8PrivateKey());
        var refusal = await Client.ImportAsync(second, again);
        Assert.Equal("400 invalid-request", refusal.Problem());
        Assert.Contains("used once", refusal["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_later_version_follows_the_rules_of_a_rotation()
    {
        using var first = Material.P256();
        using var second = Material.P256();
        using var third = Material.P256();
        var key = await Client.MakeEmptyKeyAsync(purpose: "tokens");
        Assert.Equal("active", (await ImportAsync(key, first)).Versions()[0].GetProperty("state").GetString());
        Assert.Equal("409 key-not-usable", (await Client.PostJsonAsync($"/v1/keys/{key}/rotate")).Problem());

        // A tokens key announces for a day before the next version signs.
        var announced = await ImportAsync(key, second);
        Assert.Equal("active announced", announced.VersionsBy("state"));
        var jwks = await Client.GetJsonAsync("/.well-known/jwks.json");
        Assert.Contains(announced.Versions()[1].GetProperty("kid").GetString()!, jwks.Text, StringComparison.Ordinal);
        Assert.Equal("409 conflict", (await Client.ImportAsync(key, (await Client.ParametersAsync(key)).Wrap(third.ExportPkcs8PrivateKey()))).Problem());

        // An artifacts key has no lead; a generated version and an imported one stand side by side.
        Assert.Equal(201, (await Client.PostJsonAsync("/v1/keys", """{"name":"mixed","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).Code);
        var mixed = await ImportAsync("mixed", third);
        Assert.Equal("generated imported", mixed.VersionsBy("origin"));
        Assert.Equal("retired active", mixed.VersionsBy("state"));
        Assert.True(await Client.SignsAsAsync("mixed", third));
    }

    [Fact]
    public async Task A_key_without_versions_answers_every_question_about_it()
    {
        var key = await Client.MakeEmptyKeyAsync(purpose: "tokens");
        Assert.Equal("software", (await Client.GetJsonAsync($"/v1/keys/{key}"))["protection"]);
        Assert.Equal("imported", (await Client.GetJsonAsync($"/v1/keys/{key}"))["origin"]);
        Assert.Equal("404 not-found", (await Client.GetJsonAsync($"/v1/keys/{key}/public-key")).Problem());
        Assert.Equal("404 not-found", (await Client.GetJsonAsync($"/v1/keys/{key}/public-key?format=jwk&version=1")).Problem());
        foreach (var path in new[] { $"/v1/keys/{key}/versions", $"/v1/keys/{key}/timeline", "/v1/keys", "/.well-known/jwks.json" })
            Assert.Equal(200, (await Client.GetJsonAsync(path)).Code);
        Assert.Equal("409 key-not-usable", (await Client.PostJsonAsync($"/v1/keys/{key}/rotate")).Problem());
        Assert.Equal("404 not-found", (await Client.PostJsonAsync($"/v1/keys/{key}/versions/1/revoke", """{"reason":"ceased"}""")).Problem());
        Assert.Equal(200, (await Client.PostJsonAsync($"/v1/keys/{key}/disable")).Code);
        Assert.Equal("409 key-not-usable", (await Client.PostJsonAsync($"/v1/keys/{key}/import-parameters")).Problem());
        Assert.Equal(200, (await Client.CallAsync(HttpMethod.Delete, $"/v1/keys/{key}", "")).Code);
        Assert.Equal("400 invalid-request", (await Client.PostJsonAsync("/v1/keys", """{"name":"adopted","purpose":"artifacts","spec":"RSA_2048","origin":"adopted"}""")).Problem());
    }

    [Fact]
    public async Task A_revoked_import_is_not_replaced_by_a_key_made_here()
    {
        using var owner = Material.P256();
        var key = await Client.MakeEmptyKeyAsync();
        await ImportAsync(key, owner);
        var revoked = await Client.PostJsonAsync($"/v1/keys/{key}/versions/1/revoke", """{"reason":"compromised"}""");
        Assert.Equal("revoked", revoked.VersionsBy("state"));
        Assert.Equal("409 key-not-usable", (await Client.PostJsonAsync($"/v1/keys/{key}/sign", """{"message":"AAAA"}""")).Problem());
    }

    [Fact]
    public async Task Signers_and_auditors_may_not_import_and_everything_is_on_record_without_the_material()
    {
        using var owner = Material.P256();
        var key = await Client.MakeEmptyKeyAsync();
        var parameters = await Client.ParametersAsync(key);
        var body = parameters.Wrap(owner.ExportPkcs8PrivateKey());
        foreach (var role in new[] { "signer", "auditor" })
        {
            var caller = _service.As(await Client.CredentialAsync(role));
            Assert.Equal("403 forbidden", (await caller.PostJsonAsync($"/v1/keys/{key}/import-parameters")).Problem());
            Assert.Equal("403 forbidden", (await caller.ImportAsync(key, body)).Problem());
        }

        Assert.Equal("401 unauthenticated", (await _service.As(token: null).ImportAsync(key, body)).Problem());
        Assert.Equal("404 not-found", (await Client.ImportAsync("nothing", body)).Problem());
        Assert.Equal("404 not-found", (await Client.PostJsonAsync("/v1/keys/nothing/import-parameters")).Problem());
        var operators = _service.As(await Client.CredentialAsync("operator"));
        Assert.Equal(200, (await operators.ImportAsync(key, body)).Code);

        var audit = await Client.GetJsonAsync($"/v1/audit?key={key}&action=keys:Import");
        Assert.Equal("allowed allowed denied denied denied denied", audit.Outcomes());
        Assert.Contains("\"kid\"", audit.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(parameters["token"], audit.Text, StringComparison.Ordinal);
    }

    /// <summary>The scalar in every way in which it might have been written.</summary>
    [Fact]
    public async Task No_file_no_backup_and_no_output_holds_the_plain_key()
    {
        using var owner = Material.P256();
        var key = await Client.MakeEmptyKeyAsync();
        await ImportAsync(key, owner);
        Assert.True(await Client.SignsAsAsync(key, owner));
        var backup = await Client.PostJsonAsync("/v1/backup");
        Assert.Equal(200, backup.Code);

        var scalar = owner.ExportParameters(includePrivateParameters: true).D!;
        byte[][] forms =
        [
            scalar,
            System.Text.Encoding.ASCII.GetBytes(Convert.ToHexString(scalar)),
            System.Text.Encoding.ASCII.GetBytes(Convert.ToHexStringLower(scalar)),
            // From the middle, so that it is found at each of the three places a base64 group can begin.
            .. Enumerable.Range(0, 3).Select(i => System.Text.Encoding.ASCII.GetBytes(Convert.ToBase64String(scalar.AsSpan(i, 24)))),
        ];
        var places = Directory.GetFiles(_service.Data, "*", SearchOption.AllDirectories)
            .Where(f => Path.GetFileName(f) is not "lock")
            .Select(f => (f, ReadShared(f)))
            .Append(("backup", backup.Body))
            .Append(("output", System.Text.Encoding.UTF8.GetBytes(_service.Output + _service.Error)))
            .ToArray();
        Assert.True(places.Length >= 5);
        foreach (var (name, content) in places)
            Assert.All(forms, form => Assert.True(content.AsSpan().IndexOf(form) < 0, name));
    }

    private async Task<JsonAnswer> ImportAsync(string key, AsymmetricAlgorithm owner)
    {
        var answer = await Client.ImportAsync(key, (await Client.ParametersAsync(key)).Wrap(owner.ExportPkcs8PrivateKey()));
        Assert.True(answer.Code == 200, answer.ToString());
        return answer;
    }

    private static byte[] ReadShared(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }
}
