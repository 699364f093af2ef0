using System.Net;
using System.Text.Json;
using SignSvc.Clients.Tests.Running;
using YamlDotNet.RepresentationModel;

namespace SignSvc.Clients.Tests.Guides;

/// <summary>
/// The guides for pipelines, as they are written: their settings let the job's token in, their script signs a binary and an
/// image, and what it leaves verifies. What comes before it (docker build and push) needs a container engine and is not run.
/// </summary>
public sealed class PipelineGuideTests(RunningService service, ImageRegistry registry)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GitHub_s_job_signs_with_the_token_it_asks_for()
    {
        const string subject = "repo:acme/app:ref:refs/tags/v1";
        using var shell = await OpenAsync();
        var token = service.Issuer.Token("https://token.actions.githubusercontent.com", subject, new(StringComparer.Ordinal)
        {
            ["repository"] = "acme/app",
            ["repository_id"] = "1",
            ["repository_owner"] = "acme",
            ["ref"] = "refs/tags/v1",
            ["run_id"] = "7",
            ["workflow_ref"] = "acme/app/.github/workflows/release.yml@refs/tags/v1",
        });
        using var endpoint = TokenEndpoint.Start("job-secret", token);
        shell.Set("ACTIONS_ID_TOKEN_REQUEST_URL", $"{endpoint.Url}token?api-version=2").Set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-secret")
            .Set("IMAGE", shell.Repository).Set("DIGEST", shell.Digest)
            .Set("GITHUB_SERVER_URL", "https://github.com").Set("GITHUB_REPOSITORY", "acme/app").Set("GITHUB_RUN_ID", "7")
            .Set("GITHUB_REF", "refs/tags/v1").Set("GITHUB_SHA", new string('a', 40));

        var workflow = Guide.Yaml(Guide.Read("github-actions.md").Blocks("yaml")[0]);
        var step = ((YamlSequenceNode)workflow["jobs"]["release"]["steps"])
            .Single(s => ((YamlMappingNode)s).Children.TryGetValue("name", out var name) && $"{name}" is "Sign the binary and the image");
        await shell.MustRunAsync($"{step["run"]}");

        await AssertSignedAsync(shell, $"oidc:github:{subject}", hasStatement: true);
    }

    [Fact]
    public async Task GitLab_s_job_signs_with_its_id_token()
    {
        const string subject = "project_path:acme/app:ref_type:tag:ref:v1";
        using var shell = await OpenAsync();
        shell.Set("SIGNSVC_TOKEN", service.Issuer.Token("https://gitlab.com", subject, new(StringComparer.Ordinal)
        {
            ["project_id"] = "1",
            ["project_path"] = "acme/app",
            ["namespace_id"] = "2",
            ["namespace_path"] = "acme",
            ["ref"] = "v1",
            ["ref_type"] = "tag",
            ["ref_protected"] = "true",
            ["pipeline_id"] = "3",
        }))
            .Set("IMAGE", shell.Repository).Set("DIGEST", shell.Digest)
            .Set("CI_REGISTRY", registry.Address).Set("CI_REGISTRY_USER", "job").Set("CI_REGISTRY_PASSWORD", "any")
            .Set("CI_COMMIT_REF_NAME", "v1").Set("CI_COMMIT_SHA", new string('a', 40)).Set("CI_JOB_URL", "https://gitlab.com/j/1").Set("CI_SERVER_URL", "https://gitlab.com");

        var pipeline = Guide.Yaml(Guide.Read("gitlab.md").Blocks("yaml")[0]);
        var script = (YamlSequenceNode)pipeline["sign"]["script"];
        await shell.MustRunAsync(string.Join('\n', script.Select(line => $"{line}")));

        await AssertSignedAsync(shell, $"oidc:gitlab:{subject}", hasStatement: true);
    }

    [Fact]
    public async Task Tekton_s_task_signs_with_its_service_account_token()
    {
        const string subject = "system:serviceaccount:release:signer";
        using var shell = await OpenAsync();
        await shell.WriteAsync("token", service.Issuer.Token("https://oidc.ci.acme.example", subject, new(StringComparer.Ordinal)
        {
            ["kubernetes.io"] = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                ["namespace"] = "release",
                ["serviceaccount"] = new Dictionary<string, object>(StringComparer.Ordinal) { ["name"] = "signer", ["uid"] = "1" },
            },
        }));
        shell.Set("SIGNSVC_TOKEN", null).Set("TOKEN_FILE", shell.At("token")).Set("IMAGE", shell.Image).Set("BINARY", "dist/app");

        var task = Guide.Yaml(Guide.Read("tekton-jenkins.md").Blocks("yaml")[0]);
        await shell.MustRunAsync($"{task["spec"]["steps"][0]["script"]}");

        await AssertSignedAsync(shell, $"oidc:ci-cluster:{subject}", hasStatement: false);
    }

    [Fact]
    public async Task Jenkins_s_stage_signs_with_its_credential()
    {
        const string subject = "https://jenkins.acme.example/job/release/7";
        using var shell = await OpenAsync();
        await shell.WriteAsync("image", shell.Image);
        shell.Set("SIGNSVC_TOKEN", service.Issuer.Token("https://jenkins.acme.example/oidc", subject, []));

        await shell.MustRunAsync(Guide.ShellOfStage(Guide.Read("tekton-jenkins.md").Blocks("groovy")[0], "Sign"));

        await AssertSignedAsync(shell, $"oidc:jenkins:{subject}", hasStatement: false);
    }

    private async Task<GuideShell> OpenAsync()
    {
        var shell = await GuideShell.OpenAsync(service, registry);
        await shell.WriteRandomAsync("dist/app");
        return shell;
    }

    /// <summary>By cosign, with the exported public key; and the job is who signed.</summary>
    private async Task AssertSignedAsync(GuideShell shell, string principal, bool hasStatement)
    {
        await shell.MustRunAsync("cosign verify-blob --key release.pub --insecure-ignore-tlog --bundle dist/app.bundle dist/app");
        await shell.MustRunAsync($"cosign verify --key release.pub --insecure-ignore-tlog '{shell.Image}'");
        if (hasStatement)
            await shell.MustRunAsync("cosign verify-blob-attestation --key release.pub --insecure-ignore-tlog --type slsaprovenance1 --bundle dist/app.slsa dist/app");
        var audit = await service.GetTextAsync($"/v1/audit?action=keys:Sign&key=release&caller={Uri.EscapeDataString(principal)}", Cancellation);
        Assert.Equal(hasStatement ? 3 : 2, JsonElement.Parse(audit).GetProperty("records").GetArrayLength());
    }

    /// <summary>Where GitHub's runner gives a job its token.</summary>
    private sealed class TokenEndpoint : IDisposable
    {
        private readonly HttpListener _listener = new();

        private TokenEndpoint(string url)
        {
            Url = url;
            _listener.Prefixes.Add(url);
        }

        public string Url { get; }

        public static TokenEndpoint Start(string secret, string token)
        {
            var endpoint = new TokenEndpoint($"http://127.0.0.1:{FreePort.Next()}/");
            endpoint._listener.Start();
            _ = endpoint.AnswerAsync(secret, token);
            return endpoint;
        }

        public void Dispose() => _listener.Close();

        /// <summary>One request is all a job makes.</summary>
        private async Task AnswerAsync(string secret, string token)
        {
            var call = await _listener.GetContextAsync();
            var isGood = string.Equals(call.Request.Headers["Authorization"], $"bearer {secret}", StringComparison.OrdinalIgnoreCase)
                && call.Request.QueryString["audience"] is "signsvc";
            call.Response.StatusCode = isGood ? 200 : 403;
            await call.Response.OutputStream.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(new { value = token }), Cancellation);
            call.Response.Close();
        }
    }
}
