namespace SignSvc.Callers.Tests;

/// <summary>Policies over what an issuer vouches for, through the whole service.</summary>
public sealed class PolicyTests(CallersService callers)
{
    [Fact]
    public async Task A_pipeline_of_GitHub_signs_only_from_main_of_one_repository_and_only_who_may_know_learns_why_not()
    {
        var admin = callers.Process.Client;
        Assert.Equal(201, (await admin.PostJsonAsync("/v1/keys", """{"name":"pipeline","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).Code);
        var put = await admin.CallAsync(HttpMethod.Put, "/v1/keys/pipeline/policy", """
            {"statements":[{"sid":"main-of-lib","effect":"allow","principals":["oidc:github:*"],"actions":["keys:Sign"],
              "conditions":{"stringEquals":{"caller.repository":"acme/lib","caller.ref":"refs/heads/main","caller.event_name":"push"},
                            "numericEquals":{"caller.repository_id":1296269},
                            "stringEqualsIfExists":{"context.repository":"acme/lib"} } }]}
            """);
        Assert.True(put.Code == 200, put.ToString());

        Assert.Equal(200, (await SignAsync(callers.GitHubToken("acme/lib"))).Code);
        foreach (var token in (TestToken[])
        [
            callers.GitHubToken("acme/lib", "refs/heads/dev"),
            callers.GitHubToken("acme/lib", "refs/heads/main2"),
            callers.GitHubToken("acme/lib", "refs/pull/7/merge"),
            callers.GitHubToken("acme/lib2"),
            callers.GitHubToken("evil/lib"),
            callers.GitHubToken("acme/lib").With(("event_name", "pull_request_target")),
            callers.GitHubToken("acme/lib").With(("repository_id", "1296270")),
            callers.GitHubToken("acme/lib").With(("ref", null)),
        ])
        {
            var refused = await SignAsync(token);
            Assert.True(refused.Code is 403 or 401, refused.ToString());
            if (refused.Code == 403)
                Assert.Equal("You are not allowed to do this, or it does not exist.", refused["detail"]);
        }

        // What the token says outweighs what its bearer says of the artifact.
        Assert.Equal(403, (await SignAsync(callers.GitHubToken("acme/lib"), "\"repository\":\"acme/other\"")).Code);
        Assert.Equal(403, (await SignAsync(callers.GitHubToken("acme/lib", "refs/heads/dev"), "\"ref\":\"refs/heads/main\"")).Code);

        var dev = await SignAsync(callers.GitHubToken("acme/lib", "refs/heads/dev"));
        var record = (await admin.GetJsonAsync($"/v1/audit?auditId={dev["auditId"]}")).Json.GetProperty("records")[0];
        Assert.Contains("caller.ref", record.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains("refs/heads/dev", record.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_pipeline_that_may_read_policies_is_told_which_condition_failed_and_its_sibling_is_not()
    {
        var admin = callers.Process.Client;
        Assert.Equal(201, (await admin.PostJsonAsync("/v1/keys", """{"name":"told","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).Code);
        var put = await admin.CallAsync(HttpMethod.Put, "/v1/keys/told/policy", """
            {"statements":[
              {"sid":"main-of-lib","effect":"allow","principals":["oidc:github:*"],"actions":["keys:Sign"],
               "conditions":{"stringEquals":{"caller.repository":"acme/lib","caller.ref":"refs/heads/main"} } },
              {"sid":"readers","effect":"allow","principals":["oidc:github:*"],"actions":["policies:Read"],
               "conditions":{"stringEquals":{"caller.event_name":"workflow_dispatch"} } }]}
            """);
        Assert.True(put.Code == 200, put.ToString());
        Task<JsonAnswer> SignOnDevAsync(string trigger) => callers.Process
            .As(callers.GitHubToken("acme/lib", "refs/heads/dev").With(("event_name", trigger)).ToString())
            .PostJsonAsync("/v1/keys/told/sign", """{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}""");

        var told = await SignOnDevAsync("workflow_dispatch");
        Assert.Equal(403, told.Code);
        Assert.Contains("#main-of-lib would allow it, but stringEquals caller.ref refs/heads/main does not hold: it is refs/heads/dev", told["detail"], StringComparison.Ordinal);
        var untold = await SignOnDevAsync("push");
        Assert.Equal((403, "You are not allowed to do this, or it does not exist."), (untold.Code, untold["detail"]));
    }

    private Task<JsonAnswer> SignAsync(TestToken token, string context = "") => callers.Process.As(token.ToString()).PostJsonAsync(
        "/v1/keys/pipeline/sign", $$$"""{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=","context":{ {{{context}}} } }""");
}
