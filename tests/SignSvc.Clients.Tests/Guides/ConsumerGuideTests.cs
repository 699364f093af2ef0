using System.Security.Cryptography;
using SignSvc.Clients.Tests.Running;
using YamlDotNet.RepresentationModel;

namespace SignSvc.Clients.Tests.Guides;

/// <summary>The guide for whoever receives what was signed: each block of commands, as it is written, accepts the artifact and refuses another.</summary>
public sealed class ConsumerGuideTests(RunningService service, ImageRegistry registry)
{
    private static readonly Guide Verify = Guide.Read("verify.md");

    [Fact]
    public async Task Every_command_accepts_what_was_signed_and_refuses_what_was_altered()
    {
        using var shell = await SignEverythingAsync();
        var blocks = Verify.Blocks("sh");
        Assert.Equal(5, blocks.Count);

        foreach (var block in blocks)
        {
            shell.UseCosign(block.StartsWith("# cosign 2", StringComparison.Ordinal) ? "cosign-2.5" : "cosign-3.1");
            await shell.MustRunAsync(block);
        }

        shell.Set("SIGNSVC_TOKEN", null);
        await shell.WriteRandomAsync("app");
        foreach (var block in blocks.Where(b => !b.StartsWith("signsvc keys", StringComparison.Ordinal)))
        {
            shell.UseCosign(block.StartsWith("# cosign 2", StringComparison.Ordinal) ? "cosign-2.5" : "cosign-3.1");
            var refused = await shell.RunAsync(block);
            Assert.False(refused.Succeeded, $"{refused}");
        }
    }

    /// <summary>docs/guides/cosign.md, "Without the plugin".</summary>
    [Fact]
    public async Task Signsvc_makes_and_verifies_bundles_as_its_guide_says()
    {
        using var shell = await GuideShell.OpenAsync(service, registry);
        foreach (var file in (string[])["app", "dist/one", "dist/two"])
            await shell.WriteRandomAsync(file);
        await shell.WriteAsync("provenance.json", """{"buildDefinition":{"buildType":"https://example.com/b","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/b"}}}""");
        await shell.WriteAsync("sbom.json", """{"spdxVersion":"SPDX-2.3"}""");
        await shell.WriteAsync("p.json", """{"tests":"passed"}""");

        var block = Guide.Read("cosign.md").Blocks("sh").Single(b => b.StartsWith("signsvc sign-blob", StringComparison.Ordinal));
        await shell.Set("IMAGE", shell.Image).MustRunAsync(block);
    }

    /// <summary>Both policies were held against the schemas of their projects; here the key is put in where the guide leaves it out.</summary>
    [Theory]
    [InlineData("ClusterPolicy", "spec", "rules", "verifyImages", "attestors", "entries", "keys", "publicKeys")]
    [InlineData("ClusterImagePolicy", "spec", "authorities", "key", "data")]
    public async Task A_cluster_s_policy_is_YAML_that_holds_the_exported_key(string kind, params string[] path)
    {
        var pem = (await service.GetTextAsync("/v1/keys/release/public-key", TestContext.Current.CancellationToken)).Trim().Split('\n');
        var block = Verify.Blocks("yaml").Single(b => b.Contains($"kind: {kind}\n", StringComparison.Ordinal));
        var left = block.Split('\n').Single(l => l.Trim() is "…");
        var indent = left[..left.IndexOf('…', StringComparison.Ordinal)];
        var filled = block.Replace(left, string.Join('\n', pem[1..^1].Select(l => indent + l)), StringComparison.Ordinal);

        var node = path.Aggregate(Guide.Yaml(filled), (at, name) => at is YamlSequenceNode list ? list.Single()[name] : at[name]);

        using var key = ECDsa.Create();
        key.ImportFromPem($"{node}");
        Assert.Equal(string.Join('\n', pem), key.ExportSubjectPublicKeyInfoPem());
    }

    private async Task<GuideShell> SignEverythingAsync()
    {
        var shell = await GuideShell.OpenAsync(service, registry);
        await shell.WriteRandomAsync("app");
        await shell.WriteAsync("provenance.json", """{"buildDefinition":{"buildType":"https://example.com/b","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/b"}}}""");
        await shell.WriteAsync("p.json", """{"tests":"passed"}""");
        shell.Set("IMAGE", shell.Image).Set("DIGEST", shell.Digest);
        await shell.MustRunAsync("""
            cosign signing-config create --out sc.json
            cosign trusted-root create --out tr.json
            cosign sign --yes --key signsvc://release --signing-config sc.json --trusted-root tr.json "$IMAGE"
            cosign attest --yes --key signsvc://release --signing-config sc.json --trusted-root tr.json --type custom --predicate p.json "$IMAGE"
            signsvc sign-blob app --bundle app.bundle --output-signature app.sig
            signsvc attest app --predicate provenance.json --type slsaprovenance1 --bundle app.slsa
            signsvc attest --subject "$IMAGE" --predicate provenance.json --type slsaprovenance1 --bundle image.att
            """);
        shell.UseCosign("cosign-2.5");
        await shell.MustRunAsync("""cosign sign --yes --key signsvc://release --tlog-upload=false "$IMAGE" """);
        return shell;
    }
}
