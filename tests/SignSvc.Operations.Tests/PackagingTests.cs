using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace SignSvc.Operations.Tests;

/// <summary>The image, the composition and the unit. The image's last stage is built and run by buildah; its first stage takes a registry.</summary>
public sealed partial class PackagingTests
{
    [Fact]
    public async Task The_image_runs_as_nobody_without_a_shell_and_says_whether_it_is_well()
    {
        var proof = await Outside.RunAsync(
            "apt-get install -y buildah curl jq util-linux", "bash", [Outside.File("deploy", "image", "prove.sh"), Path.GetDirectoryName(Outside.Service)!]);
        Assert.True(proof.ExitCode == 0, proof.ToString());
        Assert.Contains("proved", proof.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Dockerfile")]
    [InlineData("deploy/image/kms-emulator.Dockerfile")]
    public void An_image_is_pinned_not_root_and_takes_no_form_that_needs_a_shell(string file)
    {
        var lines = File.ReadAllLines(Outside.File(file.Split('/'))).Where(l => !l.StartsWith('#')).ToArray();
        Assert.All(lines.Where(l => Instruction().IsMatch(l)), l => Assert.Contains("[", l, StringComparison.Ordinal));
        Assert.All(lines.Where(l => l.StartsWith("ARG SDK=", StringComparison.Ordinal) || l.StartsWith("ARG RUNTIME=", StringComparison.Ordinal)), l => Assert.Matches(Pinned(), l));
        Assert.Contains("STOPSIGNAL SIGTERM", lines, StringComparer.Ordinal);
        Assert.Contains("USER 1654:1654", lines, StringComparer.Ordinal);
    }

    [Fact]
    public void The_image_is_labelled()
    {
        var lines = File.ReadAllLines(Outside.File("Dockerfile"));
        foreach (var label in new[] { "title", "description", "version", "revision", "base.name" })
            Assert.Contains(lines, l => l.Contains($"org.opencontainers.image.{label}=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_composition_is_whole_hardened_and_pinned_and_the_service_takes_its_settings()
    {
        var yaml = new YamlStream();
        yaml.Load(new StringReader(await File.ReadAllTextAsync(Outside.File("deploy", "compose.yaml"), TestContext.Current.CancellationToken)));
        var root = (YamlMappingNode)yaml.Documents[0].RootNode;
        var services = (YamlMappingNode)root.Children["services"];
        Assert.All(services.Children, s => Assert.Matches(Pinned(), ((YamlMappingNode)s.Value).Children["image"].ToString()));
        var service = (YamlMappingNode)services.Children["signsvc"];
        Assert.Equal("true", service.Children["read_only"].ToString());
        foreach (var (kind, names) in new[] { ("secrets", "secrets"), ("networks", "networks") })
        {
            var used = ((YamlSequenceNode)service.Children[kind]).Children.Select(c => c.ToString());
            Assert.All(used, u => Assert.Contains(((YamlMappingNode)root.Children[names]).Children.Keys, k => string.Equals(k.ToString(), u, StringComparison.Ordinal)));
        }

        var secrets = Directory.CreateTempSubdirectory("signsvc-compose-").FullName;
        try
        {
            foreach (var name in new[] { "root-key", "postgres-password" })
                await File.WriteAllTextAsync(Path.Combine(secrets, name), "x", TestContext.Current.CancellationToken);
            var environment = ((YamlMappingNode)service.Children["environment"]).Children.ToDictionary(
                e => e.Key.ToString(), e => e.Value.ToString().Replace("/run/secrets", secrets, StringComparison.Ordinal), StringComparer.Ordinal);
            var check = await Outside.RunAsync("see README.md", "dotnet", [Outside.Service, "--check"], environment);
            Assert.True(check.ExitCode == 0, check.ToString());
        }
        finally
        {
            Directory.Delete(secrets, recursive: true);
        }
    }

    /// <summary>From the first start on, as they stand at the composition's head; what docker and root do is stood in for.</summary>
    [Fact]
    public async Task The_steps_of_the_composition_give_Prometheus_a_token_that_it_may_read()
    {
        var steps = (await File.ReadAllLinesAsync(Outside.File("deploy", "compose.yaml"), TestContext.Current.CancellationToken))
            .SkipWhile(l => !l.Contains("docker compose up", StringComparison.Ordinal)).TakeWhile(l => l.Length > 1).Select(l => l[1..]).ToArray();
        Assert.InRange(steps.Length, 4, 12);
        var folder = Directory.CreateTempSubdirectory("signsvc-compose-").FullName;
        try
        {
            Directory.CreateDirectory(Path.Combine(folder, "secrets"));
            await using var service = await ServiceProcess.StartAsync();
            string[] script =
            [
                "set -euo pipefail",
                "docker() { [[ $* != *' cp '* ]] || cp \"$DATA/bootstrap.credential\" .; }",
                "chown() { printf '%s\\n' \"$*\" >> owners; }",
                "signsvc() { dotnet \"$CLI\" \"$@\"; }",
                .. steps,
            ];
            var run = await Outside.RunAsync("apt-get install -y bash", "bash", ["-c", string.Join('\n', script)], new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["HOME"] = folder,
                ["XDG_CONFIG_HOME"] = folder,
                ["SIGNSVC_URL"] = service.Url.GetLeftPart(UriPartial.Authority),
                ["DATA"] = service.Data,
                ["CLI"] = Outside.Cli,
            }, folder);
            Assert.True(run.ExitCode == 0, run.ToString());
            using var prometheus = service.As((await File.ReadAllTextAsync(Path.Combine(folder, "secrets", "metrics-token"), TestContext.Current.CancellationToken)).Trim());
            Assert.Equal("credential:prometheus", (await prometheus.GetJsonAsync("/v1/whoami")).Json.GetProperty("principal").GetString());
            // The token's file is its owner's alone, and prom/prometheus runs as nobody.
            Assert.Equal("65534 secrets/metrics-token-new", (await File.ReadAllTextAsync(Path.Combine(folder, "owners"), TestContext.Current.CancellationToken)).Trim());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task The_service_takes_the_settings_of_the_profile_with_the_stand_in_for_AWS_KMS()
    {
        var settings = (await File.ReadAllLinesAsync(Outside.File("deploy", "kms-emulator.env"), TestContext.Current.CancellationToken))
            .Where(l => !l.StartsWith('#')).Select(l => l.Split('=', 2)).ToDictionary(l => l[0], l => l[1], StringComparer.Ordinal);
        Assert.Contains("SignSvc__Backends__AwsKms__default__ServiceUrl", settings.Keys, StringComparer.Ordinal);
        Assert.True(File.Exists(Outside.File("deploy", "embedded.env")), "compose.yaml names it where no other is named.");
        var check = await Outside.RunAsync("see README.md", "dotnet", [Outside.Service, "--check"], settings);
        Assert.True(check.ExitCode == 0, check.ToString());
    }

    [Fact]
    public async Task The_composition_fits_the_specification_s_schema_and_a_misspelt_word_does_not()
    {
        var check = await Schemas.CheckAsync("check-compose.mjs", await File.ReadAllTextAsync(Outside.File("deploy", "compose.yaml"), TestContext.Current.CancellationToken));
        Assert.True(check.ExitCode == 0, check.ToString());
        var misspelt = await Schemas.CheckAsync("check-compose.mjs", (await File.ReadAllTextAsync(Outside.File("deploy", "compose.yaml"), TestContext.Current.CancellationToken)).Replace("read_only:", "read_onli:", StringComparison.Ordinal));
        Assert.Equal(1, misspelt.ExitCode);
        Assert.Contains("read_onli", misspelt.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_unit_is_known_to_systemd_word_for_word()
    {
        // Where the unit names what is there only once it is installed, systemd says so; of anything else it must not complain.
        var verified = await Outside.RunAsync("apt-get install -y systemd", "systemd-analyze", ["verify", "--man=no", Outside.File("deploy", "systemd", "signsvc.service")]);
        var complaints = verified.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Where(l => l.Contains("signsvc.service", StringComparison.Ordinal) && !l.Contains("is not executable", StringComparison.Ordinal));
        Assert.Empty(complaints);
    }

    [Fact]
    public async Task The_unit_is_hardened_and_waits_for_the_drain()
    {
        var unit = Outside.File("deploy", "systemd", "signsvc.service");
        var text = await File.ReadAllTextAsync(unit, TestContext.Current.CancellationToken);
        Assert.Contains("TimeoutStopSec=20", text, StringComparison.Ordinal);
        // In tenths, 0 to 100; systemd calls more than 20 exposed.
        var security = await Outside.RunAsync("apt-get install -y systemd", "systemd-analyze", ["security", "--offline=true", "--threshold=20", unit]);
        Assert.True(security.ExitCode == 0, security.ToString());
    }

    [GeneratedRegex("^(RUN|CMD|ENTRYPOINT|VOLUME)|HEALTHCHECK", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Instruction();

    [GeneratedRegex(@":v?\d+(\.\d+)+(-[a-z0-9-]+)?$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, 1000)]
    private static partial Regex Pinned();
}
