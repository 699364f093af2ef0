using YamlDotNet.RepresentationModel;

namespace SignSvc.Operations.Tests;

/// <summary>What kustomize makes of the overlays, against the schemas of what it makes, and against the service itself. No cluster has run it.</summary>
public sealed class ClusterTests
{
    private const string InstallKubectl = "tests/install-tools.sh unpacks one of a newer Debian; its kustomize has to be 5";

    private static readonly string Kubectl = File.Exists(Outside.File(".tools", "bin", "kubectl")) ? Outside.File(".tools", "bin", "kubectl") : "kubectl";

    [Theory]
    [InlineData("embedded", 1)]
    [InlineData("postgres", 3)]
    [InlineData("aws", 3)]
    public async Task An_overlay_runs_restricted_pods_with_probes_and_secrets_in_files(string overlay, int replicas)
    {
        var resources = await RenderAsync(overlay);
        var workload = resources["StatefulSet/signsvc"];
        Assert.Equal($"{replicas}", Text(workload, "spec", "replicas"));
        var pod = At(workload, "spec", "template", "spec");
        Assert.Equal("true", Text(pod, "securityContext", "runAsNonRoot"));
        Assert.Equal("RuntimeDefault", Text(pod, "securityContext", "seccompProfile", "type"));
        Assert.Equal("false", Text(pod, "automountServiceAccountToken"));
        // Drain and grace are 15 s by default.
        Assert.InRange(int.Parse(Text(pod, "terminationGracePeriodSeconds"), System.Globalization.CultureInfo.InvariantCulture), 16, 120);
        Assert.Equal(2, ((YamlSequenceNode)At(pod, "topologySpreadConstraints")).Children.Count);

        var container = Assert.Single(((YamlSequenceNode)At(pod, "containers")).Children);
        Assert.Equal("false", Text(container, "securityContext", "allowPrivilegeEscalation"));
        Assert.Equal("true", Text(container, "securityContext", "readOnlyRootFilesystem"));
        Assert.Equal("ALL", ((YamlSequenceNode)At(container, "securityContext", "capabilities", "drop")).Children.Single().ToString());
        Assert.Equal("/healthz/live", Text(container, "livenessProbe", "httpGet", "path"));
        Assert.Equal("/healthz/ready", Text(container, "readinessProbe", "httpGet", "path"));
        Assert.NotEmpty(Text(container, "resources", "limits", "memory"));
        foreach (var variable in ((YamlSequenceNode)At(container, "env")).Children)
        {
            Assert.DoesNotContain("secretKeyRef", variable.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain("Password=", variable.ToString(), StringComparison.Ordinal);
        }

        var mounts = ((YamlSequenceNode)At(container, "volumeMounts")).Children.Select(m => Text(m, "name")).Order(StringComparer.Ordinal);
        Assert.Equal(["data", "secrets"], mounts, StringComparer.Ordinal);
        Assert.Equal("restricted", Text(resources["Namespace/signsvc"], "metadata", "labels", "pod-security.kubernetes.io/enforce"));
        Assert.Contains("NetworkPolicy/signsvc", resources.Keys, StringComparer.Ordinal);
        Assert.Contains("ServiceMonitor/signsvc", resources.Keys, StringComparer.Ordinal);
    }

    [Theory]
    [InlineData("embedded")]
    [InlineData("postgres")]
    [InlineData("aws")]
    public async Task What_a_node_keeps_while_it_is_cut_off_outlives_its_pod(string overlay)
    {
        var workload = (await RenderAsync(overlay))["StatefulSet/signsvc"];
        Assert.DoesNotContain(((YamlSequenceNode)At(workload, "spec", "template", "spec", "volumes")).Children, v => Text(v, "name") is "data");
        Assert.Contains(((YamlSequenceNode)At(workload, "spec", "volumeClaimTemplates")).Children, c => Text(c, "metadata", "name") is "data");
    }

    [Theory]
    [InlineData("embedded")]
    [InlineData("postgres")]
    [InlineData("aws")]
    public async Task The_page_names_every_member_of_the_Secret_that_an_overlay_reads(string overlay)
    {
        var page = await File.ReadAllTextAsync(Outside.File("deploy", "kubernetes", "README.md"), TestContext.Current.CancellationToken);
        var members = (await TextOfAsync(overlay)).Split("/run/secrets/signsvc/").Skip(1).Select(t => new string([.. t.TakeWhile(c => char.IsAsciiLetterLower(c) || c is '-')])).ToArray();
        Assert.NotEmpty(members);
        Assert.All(members, m => Assert.Contains($"`{m}`", page, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("postgres")]
    [InlineData("aws")]
    public async Task Several_nodes_are_kept_available_and_scaled(string overlay)
    {
        var resources = await RenderAsync(overlay);
        Assert.Equal("1", Text(resources["PodDisruptionBudget/signsvc"], "spec", "maxUnavailable"));
        Assert.Equal("signsvc", Text(resources["HorizontalPodAutoscaler/signsvc"], "spec", "scaleTargetRef", "name"));
        Assert.Contains("NetworkPolicy/signsvc-store", resources.Keys, StringComparer.Ordinal);
        if (overlay is "aws")
            Assert.StartsWith("arn:aws:iam::", Text(resources["ServiceAccount/signsvc"], "metadata", "annotations", "eks.amazonaws.com/role-arn"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_selector_finds_the_pods_it_is_for()
    {
        var resources = await RenderAsync("postgres");
        var labels = Labels(At(resources["StatefulSet/signsvc"], "spec", "template", "metadata", "labels"));
        foreach (var selector in new[]
        {
            At(resources["StatefulSet/signsvc"], "spec", "selector", "matchLabels"),
            At(resources["Service/signsvc"], "spec", "selector"),
            At(resources["PodDisruptionBudget/signsvc"], "spec", "selector", "matchLabels"),
            At(resources["NetworkPolicy/signsvc"], "spec", "podSelector", "matchLabels"),
            At(resources["NetworkPolicy/signsvc-store"], "spec", "podSelector", "matchLabels"),
        })
        {
            Assert.All(Labels(selector), l => Assert.Contains(l, labels));
        }

        Assert.All(
            Labels(At(resources["ServiceMonitor/signsvc"], "spec", "selector", "matchLabels")),
            l => Assert.Contains(l, Labels(At(resources["Service/signsvc"], "metadata", "labels"))));
    }

    [Theory]
    [InlineData("embedded")]
    [InlineData("postgres")]
    [InlineData("aws")]
    public async Task The_service_takes_the_settings_of_an_overlay(string overlay)
    {
        var resources = await RenderAsync(overlay);
        var container = ((YamlSequenceNode)At(resources["StatefulSet/signsvc"], "spec", "template", "spec", "containers")).Children.Single();
        var folder = Directory.CreateTempSubdirectory("signsvc-settings-").FullName;
        try
        {
            foreach (var name in new[] { "root-key", "postgres-password" })
                await File.WriteAllTextAsync(Path.Combine(folder, name), "x", TestContext.Current.CancellationToken);
            var environment = ((YamlSequenceNode)At(container, "env")).Children
                .Where(v => ((YamlMappingNode)v).Children.ContainsKey("value"))
                .ToDictionary(
                    v => Text(v, "name"),
                    v => Text(v, "value").Replace("/run/secrets/signsvc", folder, StringComparison.Ordinal).Replace("/data/", $"{folder}/", StringComparison.Ordinal),
                    StringComparer.Ordinal);
            var check = await Outside.RunAsync("see README.md", "dotnet", [Outside.Service, "--check"], environment);
            Assert.True(check.ExitCode == 0, check.ToString());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("embedded")]
    [InlineData("postgres")]
    [InlineData("aws")]
    public async Task Every_resource_of_an_overlay_fits_its_schema(string overlay)
    {
        var rendered = await TextOfAsync(overlay);
        var resources = await RenderAsync(overlay);
        var check = await Schemas.CheckAsync("check-manifests.mjs", rendered);
        Assert.True(check.ExitCode == 0, check.ToString());
        Assert.All(resources.Keys, r => Assert.Contains(r, check.Output, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("topologySpreadConstraints:", "topologySpreadConstraint:", "topologySpreadConstraint")]
    [InlineData("maxSkew: 1", "maxSkew: one", "maxSkew must be integer")]
    [InlineData("policyTypes:", "policyTyped:", "policyTyped")]
    [InlineData("kind: StatefulSet", "kind: StatefulSets", "StatefulSets")]
    [InlineData("authorization:", "authorisation:", "authorisation")]
    public async Task A_resource_that_does_not_fit_is_named(string right, string wrong, string words)
    {
        var rendered = await TextOfAsync("postgres");
        Assert.Contains(right, rendered, StringComparison.Ordinal);
        var check = await Schemas.CheckAsync("check-manifests.mjs", rendered.Replace(right, wrong, StringComparison.Ordinal));
        Assert.Equal(1, check.ExitCode);
        Assert.Contains(words, check.Output, StringComparison.Ordinal);
    }

    private static async Task<string> TextOfAsync(string overlay)
    {
        var rendered = await Outside.RunAsync(InstallKubectl, Kubectl, ["kustomize", Outside.File("deploy", "kubernetes", "overlays", overlay)]);
        Assert.True(rendered.ExitCode == 0, rendered.ToString());
        return rendered.Output;
    }

    private static async Task<Dictionary<string, YamlNode>> RenderAsync(string overlay)
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(await TextOfAsync(overlay)));
        return yaml.Documents.Select(d => d.RootNode).ToDictionary(r => $"{Text(r, "kind")}/{Text(r, "metadata", "name")}", StringComparer.Ordinal);
    }

    private static YamlNode At(YamlNode node, params string[] path) => path.Aggregate(node, (n, name) => ((YamlMappingNode)n).Children[name]);

    private static string Text(YamlNode node, params string[] path) => ((YamlScalarNode)At(node, path)).Value!;

    private static IEnumerable<(string, string)> Labels(YamlNode node) => ((YamlMappingNode)node).Children.Select(c => (c.Key.ToString(), c.Value.ToString()));
}
