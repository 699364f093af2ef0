using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace SignSvc.Cli.Tests;

/// <summary>docs/guides/cross-team-signing.md, block by block as it is written: a security team's key, a developer team's pipeline.</summary>
public sealed partial class CrossTeamGuideTests : IAsyncLifetime
{
    private const string Kid = "github";

    private readonly RSA _github = RSA.Create(2048);
    private readonly CommandLine _admin = new();
    private readonly CommandLine _lead = new();
    private readonly CommandLine _pipeline = new();
    private string[] _blocks = [];
    private ServiceProcess _service = null!;

    public async ValueTask InitializeAsync()
    {
        var guide = await File.ReadAllTextAsync(Path.Combine(BuiltPrograms.Root, "docs", "guides", "cross-team-signing.md"));
        _blocks = [.. Fence().Matches(guide).Select(m => m.Groups["block"].Value)];
        // GitHub's keys are not to be had here: the settings are the guide's, and a file of keys beside them.
        var settings = BlockWith("Preset=GitHubActions").Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(l => l.Split('=', 2)).ToDictionary(l => l[0], l => l[1], StringComparer.Ordinal);
        var key = _github.ExportParameters(includePrivateParameters: false);
        settings["SignSvc__Access__Issuers__0__JwksFile"] = _admin.Folder.Write(
            "github.json",
            $$"""{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"{{Kid}}","n":"{{Base64Url.EncodeToString(key.Modulus)}}","e":"{{Base64Url.EncodeToString(key.Exponent)}}"}]}""");
        _service = await ServiceProcess.StartAsync(new ServiceOptions { Environment = settings });
        foreach (var who in (CommandLine[])[_admin, _lead, _pipeline])
            who.Set("SIGNSVC_URL", _service.Url.ToString());
        _admin.Set("SIGNSVC_TOKEN", _service.AdminToken);
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        foreach (var who in (CommandLine[])[_admin, _lead, _pipeline])
            who.Dispose();
        _github.Dispose();
    }

    [Fact]
    public async Task The_guide_lends_the_key_and_nothing_else()
    {
        _lead.Set("SIGNSVC_TOKEN", (await _admin.RunAsync("credentials", "create", "security-lead", "--role", "auditor")).Ended(0).Text.Trim());
        _admin.Folder.Write("security-team.yaml", BlockWith("owns-its-keys"));
        (await _admin.RunScriptAsync(BlockWith("policy put security-team"))).Ended(0);
        (await _lead.RunScriptAsync(BlockWith("grants create"))).Ended(0);

        _pipeline.Folder.Write("app.tar.gz", "a release");
        foreach (var (repository, reference, isGood) in ((string, string, bool)[])
            [("acme/app", "refs/heads/main", true), ("acme/app", "refs/tags/v1", true), ("acme/app", "refs/heads/dev", false), ("mallory/app", "refs/heads/main", false)])
        {
            _pipeline.Set("SIGNSVC_TOKEN", Token(repository, reference));
            var signed = await _pipeline.RunAsync("sign", "app.tar.gz", "--key", "release");
            Assert.True(signed.ExitCode == (isGood ? 0 : 3), $"{repository} {reference}: {signed.Text}{signed.Errors}");
        }

        Assert.Contains("caller.ref", (await _lead.RunScriptAsync(BlockWith("policy explain"))).Ended(1).Text, StringComparison.Ordinal);
        _lead.Folder.Write("expectations.yaml", BlockWith("branches are not"));
        Assert.Contains("3 passed, 0 failed", (await _lead.RunScriptAsync(BlockWith("policy test"))).Ended(0).Text, StringComparison.Ordinal);

        Assert.Contains("498 of 500", (await _lead.RunAsync("grants", "list", "--key", "release")).Ended(0).Text, StringComparison.Ordinal);
        var audit = (await _admin.RunAsync("audit", "search", "--action", "keys:Sign", "--outcome", "allowed", "-o", "json")).Ended(0).Json;
        Assert.All(audit.GetProperty("records").EnumerateArray(), r => Assert.Contains("allowed by grant/", r.GetProperty("detail").GetString(), StringComparison.Ordinal));
    }

    private string BlockWith(string words) => Assert.Single(_blocks, b => b.Contains(words, StringComparison.Ordinal));

    /// <summary>As GitHub gives it to a job, for the audience that the guide asks for.</summary>
    private string Token(string repository, string reference)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var claims = new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["iss"] = "https://token.actions.githubusercontent.com",
            ["sub"] = $"repo:{repository}:ref:{reference}",
            ["aud"] = "signsvc",
            ["iat"] = now,
            ["exp"] = now + 300,
            ["repository"] = repository,
            ["repository_id"] = "1",
            ["repository_owner"] = repository.Split('/')[0],
            ["ref"] = reference,
            ["run_id"] = "7",
            ["workflow_ref"] = $"{repository}/.github/workflows/release.yml@{reference}",
        };
        var signed = $"{Encode($$"""{"alg":"RS256","typ":"JWT","kid":"{{Kid}}"}""")}.{Encode(JsonSerializer.Serialize(claims))}";
        return $"{signed}.{Base64Url.EncodeToString(_github.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1))}";
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));

    [GeneratedRegex(@"^```\w*\n(?<block>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Fence();
}
