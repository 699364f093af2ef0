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
