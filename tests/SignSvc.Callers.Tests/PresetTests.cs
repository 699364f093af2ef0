using SignSvc.Access.Issuers;
using SignSvc.Signing.Access;

namespace SignSvc.Callers.Tests;

/// <summary>Tokens as the well-known issuers shape them, through the whole service.</summary>
public sealed class PresetTests(CallersService callers)
{
    private const string Sign = """{"digest":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}""";

    [Fact]
    public async Task A_pipeline_of_GitHub_signs_from_the_branch_and_repository_that_its_role_is_mapped_to()
    {
        await MustAnswerAsync(200, callers.GitHubToken());
        await MustAnswerAsync(200, callers.GitHubToken(@ref: "refs/tags/v1.2.3"));
        await MustAnswerAsync(403, callers.GitHubToken(@ref: "refs/heads/feature"));
        await MustAnswerAsync(403, callers.GitHubToken(repository: "acme/other"));
        await MustAnswerAsync(403, callers.GitHubToken(repository: "evil/app"));
        await MustAnswerAsync(401, callers.GitHubToken().With(("repository_id", null)));
    }

    [Fact]
    public async Task GitHub_is_understood_claim_by_claim()
    {
        var you = await callers.Process.As(callers.GitHubToken().ToString()).GetJsonAsync("/v1/whoami");

        Assert.Equal("oidc:github:repo:acme/app:ref:refs/heads/main", you["principal"]);
        Assert.Equal(("oidc", "github"), (you["kind"], you["source"]));
        Assert.Equal("signer", you.Json.GetProperty("roles")[0].GetString());
        Assert.Equal("mona", you.Json.GetProperty("claims").GetProperty("actor")[0].GetString());
        Assert.True(you.Json.GetProperty("expiresAt").GetDateTimeOffset() > TimeProvider.System.GetUtcNow());
    }

    [Fact]
    public async Task A_service_account_of_a_cluster_is_known_by_its_namespace_and_name()
    {
        var you = await callers.Process.As(callers.ServiceAccountToken().ToString()).GetJsonAsync("/v1/whoami");

        Assert.Equal("oidc:cluster:system:serviceaccount:ci:builder", you["principal"]);
        Assert.Equal("ci", you.Json.GetProperty("claims").GetProperty("kubernetes.io.namespace")[0].GetString());
        Assert.Equal("builder", you.Json.GetProperty("claims").GetProperty("kubernetes.io.serviceaccount.name")[0].GetString());
        Assert.Equal(0, you.Json.GetProperty("roles").GetArrayLength());
    }

    public static TheoryData<IssuerPreset> Platforms => [IssuerPreset.GitHubActions, IssuerPreset.GitLab, IssuerPreset.Kubernetes, IssuerPreset.Google, IssuerPreset.Entra];

    /// <summary>As the platforms' documentation shows them.</summary>
    [Theory]
    [MemberData(nameof(Platforms))]
    public async Task A_platform_s_token_is_believed_and_not_one_that_lacks_a_mark_of_it(IssuerPreset preset)
    {
        var (issuer, audience, token) = Shape(preset);
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, $$"""{"keys":[{{callers.GitHubKey.Jwk()}}]}""", TestContext.Current.CancellationToken);
        var settings = new IssuerSettings { Name = "x", Preset = preset, Issuer = issuer, JwksFile = file };
        if (audience.Length > 0)
            settings.Audiences.Add(audience);
        using var trusted = TrustedIssuersTests.Trust(settings);

        var good = await VerifyAsync(token);
        Assert.True(good.Token is not null, good.Refusal);
        foreach (var mark in IssuerPresets.Of(preset).Required)
        {
            var lacking = await VerifyAsync(mark.Contains("io.", StringComparison.Ordinal) ? token.With(("kubernetes.io", null)) : token.With((mark, null)));
            Assert.True(lacking.Token is null && lacking.Refusal.Contains("lacks the claim", StringComparison.Ordinal), $"{mark}: {lacking.Refusal}");
        }

        foreach (var wrong in (TestToken[])[token.With(("aud", "other")), token.With(("iss", "https://other.example")), token.WithHeader(("typ", "logout+jwt"))])
            Assert.Null((await VerifyAsync(wrong)).Token);
        File.Delete(file);

        async Task<TokenVerdict> VerifyAsync(TestToken shown) => await trusted.VerifyAsync(shown.ToString(), TestContext.Current.CancellationToken);
    }

    private (string Issuer, string Audience, TestToken Token) Shape(IssuerPreset preset)
    {
        const string tenant = "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0";
        var token = new TestToken(callers.GitHubKey);
        return preset switch
        {
            IssuerPreset.GitHubActions => ("", "", callers.GitHubToken()),
            IssuerPreset.GitLab => ("", "", token.With(
                ("iss", "https://gitlab.com"), ("sub", "project_path:acme/app:ref_type:branch:ref:main"), ("project_id", "20"), ("project_path", "acme/app"),
                ("namespace_id", "1"), ("namespace_path", "acme"), ("ref", "main"), ("ref_type", "branch"), ("ref_protected", "true"), ("pipeline_id", "574"),
                ("pipeline_source", "push"), ("job_id", "302"), ("user_login", "mona"), ("environment", "prod"))),
            IssuerPreset.Kubernetes => (CallersService.Cluster, "", callers.ServiceAccountToken().SignedBy(callers.GitHubKey).WithHeader(("kid", callers.GitHubKey.Kid))),
            IssuerPreset.Google => ("", "", token.With(
                ("iss", "https://accounts.google.com"), ("sub", "104029292853099978293"), ("azp", "104029292853099978293"),
                ("email", "build@acme.iam.gserviceaccount.com"), ("email_verified", true))),
            _ => (tenant, "api://signsvc", token.With(
                ("iss", tenant), ("aud", "api://signsvc"), ("sub", "f7e7"), ("oid", "f7e7"), ("tid", "72f988bf-86f1-41af-91ab-2d7cd011db47"), ("azp", "a1b2"), ("ver", "2.0"))),
        };
    }

    [Theory]
    [InlineData("repository", "acme/*", true)]
    [InlineData("sub", "repo:acme/app:*", true)]
    [InlineData("repository_owner_id", "1234", true)]
    [InlineData("repository", "*", false)]
    [InlineData("repository", "acme*", false)]
    [InlineData("repository", "*/app", false)]
    [InlineData("sub", "repo:*", false)]
    [InlineData("ref", "refs/heads/main", false)]
    [InlineData("actor", "mona", false)]
    public void A_role_for_everybody_on_a_public_issuer_stops_the_start(string claim, string pattern, bool isAccepted)
    {
        var settings = new IssuerSettings { Name = "github", Preset = IssuerPreset.GitHubActions, Roles = { new RoleMapping { Role = Role.Signer, When = { new ClaimCondition { Claim = claim, Values = { pattern } } } } } };

        Assert.Equal(isAccepted, !IssuerSettingsCheck.Faults([settings]).Any());
    }

    [Theory]
    [InlineData(IssuerPreset.GitLab, "", true)]
    [InlineData(IssuerPreset.Google, "", true)]
    [InlineData(IssuerPreset.Kubernetes, "", false)]
    [InlineData(IssuerPreset.Kubernetes, "https://oidc.example/cluster", true)]
    [InlineData(IssuerPreset.Entra, "https://login.microsoftonline.com/72f9/v2.0", false)]
    [InlineData(IssuerPreset.None, "https://issuer.example", false)]
    public void A_preset_says_what_else_has_to_be_named(IssuerPreset preset, string issuer, bool isComplete) =>
        Assert.Equal(isComplete, !IssuerSettingsCheck.Faults([new IssuerSettings { Name = "x", Preset = preset, Issuer = issuer }]).Any());

    private async Task MustAnswerAsync(int status, TestToken token)
    {
        var answer = await callers.Process.As(token.ToString()).PostJsonAsync("/v1/keys/release/sign", Sign);
        Assert.True(answer.Code == status, $"{token.Payload}: {answer}");
    }
}
