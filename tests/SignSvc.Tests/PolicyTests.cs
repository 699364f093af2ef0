using System.Text.Json;
using SignSvc.Tests.Compatibility;

namespace SignSvc.Tests;

/// <summary>Service policies and keys' policies over HTTP: what they allow, what they take away, who may write them.</summary>
public sealed class PolicyTests(RunningService service)
{
    private static readonly string Digest = Expectations.Base64Digest("policy");

    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task A_keys_policy_allows_what_no_role_does_and_only_under_its_conditions()
    {
        var (key, other) = (await NewKeyAsync(), await NewKeyAsync());
        var (name, caller) = await NewCallerAsync("auditor");
        await caller.PostJsonAsync($"/v1/keys/{key}/sign", Sign("refs/heads/main")).MustBeForbiddenAsync();

        await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$$"""
            {"statements":[{"sid":"main","effect":"allow","principals":["credential:{{{name}}}"],"actions":["keys:Sign"],
              "conditions":{"stringEquals":{"context.ref":"refs/heads/main"} } }]}
            """);

        await caller.MustPostAsync(200, $"/v1/keys/{key}/sign", Sign("refs/heads/main"));
        var batch = await caller.MustPostAsync(
            200, $"/v1/keys/{key}/sign-batch", $$"""{"items":[{{Sign("refs/heads/main")}},{{Sign("refs/heads/dev")}},{{Sign(null)}}]}""");
        Assert.Equal([true, false, false], batch.Json.GetProperty("results").EnumerateArray().Select(r => r.TryGetProperty("signature", out _)));
        await caller.PostJsonAsync($"/v1/keys/{key}/sign", Sign("refs/heads/dev")).MustBeForbiddenAsync();
        await caller.PostJsonAsync($"/v1/keys/{key}/sign", Sign(null)).MustBeForbiddenAsync();
        await caller.PostJsonAsync($"/v1/keys/{other}/sign", Sign("refs/heads/main")).MustBeForbiddenAsync();

        await _admin.MustDeleteAsync(204, $"/v1/keys/{key}/policy");
        await caller.PostJsonAsync($"/v1/keys/{key}/sign", Sign("refs/heads/main")).MustBeForbiddenAsync();
    }

    [Fact]
    public async Task A_denial_wins_over_every_role_and_by_every_name_of_the_key()
    {
        var key = await NewKeyAsync();
        var id = (await _admin.MustGetAsync($"/v1/keys/{key}"))["id"];
        var alias = RunningService.NewName("alias");
        await _admin.MustPutAsync(200, $"/v1/aliases/{alias}", $$"""{"key":"{{key}}"}""");
        var (name, caller) = await NewCallerAsync("signer");
        await caller.MustPostAsync(200, $"/v1/keys/{alias}/sign", Sign(null));

        foreach (var resource in (string[])[$"key/{key}", $"key/{id}"])
        {
            var policy = RunningService.NewName("policy");
            await _admin.MustPutAsync(200, $"/v1/policies/{policy}", $$"""
                {"statements":[{"effect":"deny","principals":["credential:{{name}}"],"actions":["keys:Sign"],"resources":["{{resource}}"]}]}
                """);
            foreach (var reference in (string[])[key, id, alias])
                await caller.PostJsonAsync($"/v1/keys/{reference}/sign", Sign(null)).MustBeForbiddenAsync();
            await _admin.MustDeleteAsync(204, $"/v1/policies/{policy}");
            await caller.MustPostAsync(200, $"/v1/keys/{alias}/sign", Sign(null));
        }
    }

    [Fact]
    public async Task A_denial_on_an_alias_binds_over_HTTP_and_in_AWS_s_API()
    {
        var (one, other) = (await NewKeyAsync(), await NewKeyAsync());
        var otherId = (await _admin.MustGetAsync($"/v1/keys/{other}"))["id"];
        var alias = RunningService.NewName("alias");
        await _admin.MustPutAsync(200, $"/v1/aliases/{alias}", $$"""{"key":"{{one}}"}""");
        var aws = await AwsClient.OfAsync(service, "operator");
        var http = service.Process.As(aws.Token);
        var policy = RunningService.NewName("policy");
        await _admin.MustPutAsync(200, $"/v1/policies/{policy}", $$"""
            {"statements":[{"effect":"deny","principals":["credential:{{aws.Credential}}"],"actions":["aliases:*"],"resources":["alias/{{alias}}"]}]}
            """);
        var (named, moved) = ($$"""{"AliasName":"alias/{{alias}}"}""", $$"""{"AliasName":"alias/{{alias}}","TargetKeyId":"{{otherId}}"}""");

        await http.CallAsync(HttpMethod.Delete, $"/v1/aliases/{alias}", "").MustBeForbiddenAsync();
        await http.CallAsync(HttpMethod.Put, $"/v1/aliases/{alias}", $$"""{"key":"{{other}}"}""").MustBeForbiddenAsync();
        await aws.MustRefuseAsync("AccessDeniedException", "DeleteAlias", named);
        await aws.MustRefuseAsync("AccessDeniedException", "UpdateAlias", moved);
        Assert.Equal(one, (await _admin.MustGetAsync($"/v1/aliases/{alias}"))["key"]);

        await _admin.MustDeleteAsync(204, $"/v1/policies/{policy}");
        Assert.Equal(200, (await aws.CallAsync("UpdateAlias", moved)).Code);
        Assert.Equal(200, (await aws.CallAsync("DeleteAlias", named)).Code);
    }

    [Fact]
    public async Task Who_may_not_put_an_alias_makes_no_key_under_it_either()
    {
        var (name, caller) = await NewCallerAsync("operator");
        var policy = RunningService.NewName("policy");
        await _admin.MustPutAsync(200, $"/v1/policies/{policy}", $$"""
            {"statements":[{"effect":"deny","principals":["credential:{{name}}"],"actions":["aliases:Put"],"resources":["alias/guarded/*"]}]}
            """);

        var (refused, made) = (RunningService.NewName("aliased"), RunningService.NewName("aliased"));
        await caller.PostJsonAsync("/v1/keys", Named(refused, "free", "guarded")).MustBeForbiddenAsync();
        await caller.MustPostAsync(201, "/v1/keys", Named(made, "free"));
        Assert.Equal(404, (await _admin.GetJsonAsync($"/v1/keys/{refused}")).Code);

        static string Named(string key, params string[] places) =>
            $$"""{"name":"{{key}}","purpose":"artifacts","spec":"ECC_NIST_P256","aliases":[{{string.Join(',', places.Select(p => $"\"{p}/{key}\""))}}]}""";
    }

    [Fact]
    public async Task Tokens_are_issued_as_the_policy_has_it()
    {
        var (name, caller) = await NewCallerAsync("auditor");
        var policy = RunningService.NewName("policy");
        await _admin.MustPutAsync(200, $"/v1/policies/{policy}", $$$"""
            {"statements":[{"effect":"allow","principals":["credential:{{{name}}}"],"actions":["tokens:Issue"],"resources":["profile/default"],
              "conditions":{"stringLike":{"token.audience":"api://deploy*"},"numericLessThanEquals":{"token.lifetimeSeconds":300},
                            "stringEqualsIfExists":{"token.claims.env":"dev"},"stringEquals":{"token.subject":"{{{name}}}"} } }]}
            """);
        await caller.MustPostAsync(201, "/v1/tokens", """{"profile":"default","audience":"api://deploy","claims":{"env":"dev"}}""");
        foreach (var refused in (string[])
        [
            """{"profile":"default","audience":"api://other"}""",
            """{"profile":"default","audience":["api://deploy","api://other"]}""",
            """{"profile":"default"}""",
            """{"profile":"default","audience":"api://deploy","lifetimeSeconds":301}""",
            """{"profile":"default","audience":"api://deploy","claims":{"env":"prod"}}""",
            """{"profile":"default","audience":"api://deploy","claims":{"env":["dev","prod"]}}""",
            """{"profile":"default","audience":"api://deploy","subject":"somebody"}""",
        ])
            await caller.PostJsonAsync("/v1/tokens", refused).MustBeForbiddenAsync();
    }

    [Fact]
    public async Task Why_it_was_refused_is_told_to_who_may_read_policies_and_kept_in_the_audit()
    {
        var key = await NewKeyAsync();
        var (knower, auditor) = await NewCallerAsync("auditor");
        var (stranger, operating) = await NewCallerAsync("operator");
        await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$$"""
            {"statements":[{"sid":"main-only","effect":"allow","principals":["credential:{{{knower}}}","credential:{{{stranger}}}"],"actions":["keys:Sign"],
              "conditions":{"stringEquals":{"context.ref":"refs/heads/main"} } }]}
            """);

        var told = await auditor.PostJsonAsync($"/v1/keys/{key}/sign", Sign("refs/heads/dev")).MustBeForbiddenAsync();
        Assert.Contains("main-only", told["detail"], StringComparison.Ordinal);
        Assert.Contains("context.ref", told["detail"], StringComparison.Ordinal);

        var untold = await operating.PostJsonAsync($"/v1/keys/{key}/sign", Sign("refs/heads/dev")).MustBeForbiddenAsync();
        Assert.Equal("You are not allowed to do this, or it does not exist.", untold["detail"]);
        var record = (await _admin.MustGetAsync($"/v1/audit?auditId={untold["auditId"]}")).Json.GetProperty("records")[0];
        Assert.Contains("context.ref", record.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Explain_says_what_would_happen_why_and_what_is_missing()
    {
        var key = await NewKeyAsync();
        const string Principal = "oidc:github:repo:acme/app:ref:refs/heads/main";
        await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$$"""
            {"statements":[{"sid":"main-only","effect":"allow","principals":["oidc:github:*"],"actions":["keys:Sign"],
              "conditions":{"stringEquals":{"caller.repository":"acme/app","caller.ref":"refs/heads/main"},"exists":{"context.commit":true} } }]}
            """);

        var missing = await ExplainAsync(_admin, $$$"""{"action":"keys:Sign","resource":"key/{{{key}}}","principal":"{{{Principal}}}","claims":{"repository":["acme/app"]} }""");
        Assert.False(missing.GetProperty("allowed").GetBoolean());
        Assert.Equal(["caller.ref", "context.commit"], missing.GetProperty("missing").EnumerateArray().Select(m => m.GetString()), StringComparer.Ordinal);
        Assert.EndsWith("#main-only", missing.GetProperty("statements")[0].GetProperty("name").GetString(), StringComparison.Ordinal);

        var allowed = await ExplainAsync(_admin, $$$"""
            {"action":"keys:Sign","resource":"key/{{{key}}}","principal":"{{{Principal}}}",
             "claims":{"repository":["acme/app"],"ref":["refs/heads/main"]},"context":{"commit":"abc"} }
            """);
        Assert.True(allowed.GetProperty("allowed").GetBoolean());
        Assert.EndsWith("#main-only", allowed.GetProperty("by").GetString(), StringComparison.Ordinal);

        // A signer may ask about itself, without the reasons; about others it may not ask.
        var (_, signer) = await NewCallerAsync("signer");
        var own = await ExplainAsync(signer, $$"""{"action":"keys:Sign","resource":"key/{{key}}"}""");
        Assert.Equal(["allowed", "verdict"], own.EnumerateObject().Select(m => m.Name), StringComparer.Ordinal);
        Assert.True(own.GetProperty("allowed").GetBoolean());
        await signer.PostJsonAsync("/v1/policy/explain", $$"""{"action":"keys:Sign","resource":"key/{{key}}","principal":"{{Principal}}"}""").MustBeForbiddenAsync();
    }

    [Fact]
    public async Task Nobody_gives_by_policy_or_credential_what_they_do_not_hold()
    {
        var key = await NewKeyAsync();
        var (name, delegated) = await NewCallerAsync("operator");
        var policy = RunningService.NewName("policy");
        await _admin.MustPutAsync(200, $"/v1/policies/{policy}", $$"""
            {"statements":[{"effect":"allow","principals":["credential:{{name}}"],"actions":["policies:*","credentials:Create"],"resources":["*"]}]}
            """);

        // It holds the actions on keys, but not their use; and policies, but no credentials to revoke.
        await delegated.MustPutAsync(200, $"/v1/keys/{key}/policy", Allow("*", "keys:Rotate"));
        await delegated.PutJsonAsync($"/v1/keys/{key}/policy", Allow("*", "keys:Sign")).MustBeForbiddenAsync();
        await delegated.PutJsonAsync($"/v1/keys/{key}/policy", Allow("*", "keys:*")).MustBeForbiddenAsync();
        var own = RunningService.NewName("policy");
        await delegated.PutJsonAsync($"/v1/policies/{own}", Allow($"credential:{name}", "credentials:Revoke", "*")).MustBeForbiddenAsync();
        await delegated.MustPutAsync(200, $"/v1/policies/{own}", Allow("credential:nobody", "keys:Rotate", "key/x-*"));
        await delegated.PostJsonAsync("/v1/credentials", $$"""{"name":"{{RunningService.NewName("up")}}","roles":["admin"]}""").MustBeForbiddenAsync();
        await delegated.PostJsonAsync("/v1/credentials", $$"""{"name":"{{RunningService.NewName("up")}}","roles":["signer"]}""").MustBeForbiddenAsync();
        await delegated.MustPostAsync(201, "/v1/credentials", $$"""{"name":"{{RunningService.NewName("same")}}","roles":["operator"]}""");

        // What an administrator put there before may stay.
        await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy", Allow("credential:ci", "keys:Sign"));
        await delegated.MustPutAsync(200, $"/v1/keys/{key}/policy", Allow("credential:ci", "keys:Sign"));
        await delegated.PutJsonAsync($"/v1/keys/{key}/policy", Allow("credential:other", "keys:Sign")).MustBeForbiddenAsync();
    }

    [Fact]
    public async Task A_policy_that_locks_its_administrators_out_is_refused_unless_forced()
    {
        var key = await NewKeyAsync();
        const string Lock = """{"statements":[{"effect":"deny","principals":["*"],"actions":["policies:*"]}]}""";
        (await _admin.PutJsonAsync($"/v1/keys/{key}/policy", Lock)).MustBeProblem(409, "locks-out");
        await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy?force=true", Lock);
        await _admin.PutJsonAsync($"/v1/keys/{key}/policy", """{"statements":[]}""").MustBeForbiddenAsync();

        var policy = RunningService.NewName("lock");
        (await _admin.PutJsonAsync($"/v1/policies/{policy}", $$"""
            {"statements":[{"effect":"deny","principals":["credential:*"],"actions":["policies:Put"],"resources":["policy/{{policy}}"]}]}
            """)).MustBeProblem(409, "locks-out");
    }

    [Fact]
    public async Task A_listing_shows_the_keys_that_the_caller_may_read()
    {
        var (shown, hidden) = (await NewKeyAsync(), await NewKeyAsync());
        var (name, caller) = await NewCallerAsync("auditor");
        await _admin.MustPutAsync(200, $"/v1/keys/{hidden}/policy", $$"""{"statements":[{"effect":"deny","principals":["credential:{{name}}"],"actions":["keys:Read"]}]}""");
        var list = await caller.MustGetAsync($"/v1/keys?limit=1000&prefix={shown[..^1]}");
        var names = list.Json.GetProperty("keys").EnumerateArray().Select(k => k.GetProperty("name").GetString()).ToArray();
        Assert.Contains(shown, names, StringComparer.Ordinal);
        Assert.DoesNotContain(hidden, names, StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_policy_in_AWSs_form_is_translated_or_refused_by_its_statement()
    {
        var key = await NewKeyAsync();
        var (name, caller) = await NewCallerAsync("auditor");
        var put = await _admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$$"""
            {"Version":"2012-10-17","Id":"key-default-1","Statement":[
              {"Sid":"Enable IAM policies","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"kms:*","Resource":"*"},
              {"Sid":"Sign from main","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:user/{{{name}}}"]},"Action":["kms:Sign","kms:GetPublicKey"],"Resource":"*",
               "Condition":{"StringEquals":{"kms:EncryptionContext:ref":"refs/heads/main"},"IpAddress":{"aws:SourceIp":"127.0.0.0/8"} } }]}
            """);
        var statement = Assert.Single(put.Json.GetProperty("document").GetProperty("statements").EnumerateArray());
        Assert.Equal("Sign from main", statement.GetProperty("sid").GetString());
        await caller.MustPostAsync(200, $"/v1/keys/{key}/sign", Sign("refs/heads/main"));
        await caller.PostJsonAsync($"/v1/keys/{key}/sign", Sign("refs/heads/dev")).MustBeForbiddenAsync();

        foreach (var (part, why) in ((string, string)[])
        [
            ("\"NotAction\":\"kms:Sign\"", "NotAction"),
            ("\"Action\":\"kms:Encrypt\"", "kms:Encrypt"),
            ("\"Action\":\"kms:Sign\",\"Condition\":{\"StringEquals\":{\"kms:ViaService\":\"x\"}}", "kms:ViaService"),
            ("\"Action\":\"kms:Sign\",\"Condition\":{\"ArnLike\":{\"aws:SourceArn\":\"x\"}}", "ArnLike"),
            ("\"Action\":\"kms:Sign\",\"Condition\":{\"StringLike\":{\"aws:ResourceTag/team\":\"${aws:username}\"}}", "variables"),
        ])
        {
            var refused = await _admin.PutJsonAsync($"/v1/keys/{key}/policy", $$"""{"Version":"2012-10-17","Statement":{"Sid":"Odd","Effect":"Allow","Principal":"*",{{part}}} }""");
            refused.MustBeProblem(400, "invalid-request");
            Assert.Contains("Odd", refused["detail"], StringComparison.Ordinal);
            Assert.Contains(why, refused["detail"], StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Lint_warns_of_everybody_everything_and_what_settles_nothing()
    {
        var lint = await _admin.MustPostAsync(200, "/v1/policy/lint?scope=key", """
            {"statements":[
              {"sid":"wide","effect":"allow","principals":["*"],"actions":["keys:*"]},
              {"sid":"never","effect":"allow","principals":["credential:ci"],"actions":["keys:Sign"]},
              {"sid":"fine","effect":"allow","principals":["credential:ci"],"actions":["tokens:Issue"]}]}
            """);
        var findings = lint.Json.GetProperty("findings").EnumerateArray()
            .Select(f => $"{f.GetProperty("statement").GetString()} {f.GetProperty("kind").GetString()}");
        Assert.Equal(["wide everyPrincipal", "wide everyAction", "never unreachable"], findings, StringComparer.Ordinal);
    }

    private async Task<string> NewKeyAsync()
    {
        var key = RunningService.NewName("policed");
        await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{key}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        return key;
    }

    private async Task<(string Name, HttpClient Client)> NewCallerAsync(string role)
    {
        var made = await service.NewCredentialAsync(role);
        return (made["name"], service.Process.As(made["token"]));
    }

    private static async Task<JsonElement> ExplainAsync(HttpClient client, string body) =>
        (await client.MustPostAsync(200, "/v1/policy/explain", body)).Json;

    private static string Sign(string? gitRef) =>
        gitRef is null ? $$"""{"digest":"{{Digest}}"}""" : $$$"""{"digest":"{{{Digest}}}","context":{"ref":"{{{gitRef}}}"} }""";

    private static string Allow(string principal, string action, string? resource = null) => $$"""
        {"statements":[{"effect":"allow","principals":["{{principal}}"],"actions":["{{action}}"]{{(resource is null ? "" : $",\"resources\":[\"{resource}\"]")}}}]}
        """;
}

internal static class PolicyExpectations
{
    public static Task<JsonAnswer> PutJsonAsync(this HttpClient client, string path, string json) => client.CallAsync(HttpMethod.Put, path, json);

    public static async Task<JsonAnswer> MustPutAsync(this HttpClient client, int status, string path, string json)
    {
        var answer = await client.PutJsonAsync(path, json);
        Assert.True(answer.Code == status, $"PUT {path}: {answer}");
        return answer;
    }

    public static async Task MustDeleteAsync(this HttpClient client, int status, string path)
    {
        var answer = await client.CallAsync(HttpMethod.Delete, path, "");
        Assert.True(answer.Code == status, $"DELETE {path}: {answer}");
    }

    public static async Task<JsonAnswer> MustBeForbiddenAsync(this Task<JsonAnswer> answer)
    {
        var refused = await answer;
        refused.MustBeProblem(403, "forbidden");
        return refused;
    }

    public static async Task MustBeProblemAsync(this Task<JsonAnswer> answer, int status, string code) => (await answer).MustBeProblem(status, code);
}
