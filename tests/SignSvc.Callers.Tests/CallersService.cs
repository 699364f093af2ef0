using System.Globalization;

[assembly: AssemblyFixture(typeof(SignSvc.Callers.Tests.CallersService))]

namespace SignSvc.Callers.Tests;

/// <summary>One service that trusts a local issuer by discovery, and GitHub Actions and a cluster by a file, because nothing of theirs is to be had here.</summary>
public sealed class CallersService : IAsyncLifetime
{
    public const string GitHub = "https://token.actions.githubusercontent.com";
    public const string Cluster = "https://kubernetes.default.svc.cluster.local";

    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-callers-").FullName;
    private ServiceProcess? _process;

    public LocalIssuer Issuer { get; private set; } = null!;

    public TestKey GitHubKey { get; } = new("gh-1", "RS256");

    public TestKey ClusterKey { get; } = new("cluster-1", "RS256");

    public ServiceProcess Process => _process!;

    public async ValueTask InitializeAsync()
    {
        Issuer = await LocalIssuer.StartAsync();
        Issuer.Keys.Add(new TestKey("rsa", "RS256"));
        var (github, cluster) = (Path.Combine(_folder, "github.json"), Path.Combine(_folder, "cluster.json"));
        await File.WriteAllTextAsync(github, $$"""{"keys":[{{GitHubKey.Jwk()}}]}""");
        await File.WriteAllTextAsync(cluster, $$"""{"keys":[{{ClusterKey.Jwk()}}]}""");
        _process = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = Variables(
                ("Issuers:0:Name", "local"), ("Issuers:0:Issuer", Issuer.Url), ("Issuers:0:Audiences:0", "signsvc"),
                ("Issuers:1:Name", "github"), ("Issuers:1:Preset", "GitHubActions"), ("Issuers:1:JwksFile", github),
                ("Issuers:1:Roles:0:Role", "Signer"),
                ("Issuers:1:Roles:0:When:0:Claim", "repository"), ("Issuers:1:Roles:0:When:0:Values:0", "acme/app"),
                ("Issuers:1:Roles:0:When:1:Claim", "ref"), ("Issuers:1:Roles:0:When:1:Values:0", "refs/heads/main"),
                ("Issuers:1:Roles:0:When:1:Values:1", "refs/tags/v*"),
                ("Issuers:2:Name", "cluster"), ("Issuers:2:Preset", "Kubernetes"), ("Issuers:2:Issuer", Cluster), ("Issuers:2:JwksFile", cluster)),
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        if (Issuer is not null)
            await Issuer.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Settings under <c>SignSvc:Access</c> as variables of the environment.</summary>
    public static Dictionary<string, string> Variables(params IEnumerable<(string Name, string Value)> settings) =>
        settings.ToDictionary(s => $"SignSvc__Access__{s.Name.Replace(":", "__", StringComparison.Ordinal)}", s => s.Value, StringComparer.Ordinal);

    /// <summary>The claims that a job of GitHub Actions gets.</summary>
    public TestToken GitHubToken(string repository = "acme/app", string @ref = "refs/heads/main") => new TestToken(GitHubKey).With(
        ("iss", GitHub), ("jti", "6ae1-42"), ("sub", $"repo:{repository}:ref:{@ref}"), ("repository", repository),
        ("repository_id", "1296269"), ("repository_owner", repository.Split('/')[0]), ("repository_owner_id", "1"), ("ref", @ref), ("ref_type", "branch"),
        ("sha", new string('a', 40)), ("run_id", "4711"), ("run_attempt", "1"), ("event_name", "push"), ("actor", "mona"), ("environment", "prod"),
        ("workflow_ref", $"{repository}/.github/workflows/release.yml@{@ref}"), ("job_workflow_ref", $"{repository}/.github/workflows/release.yml@{@ref}"),
        ("runner_environment", "github-hosted"), ("repository_visibility", "private"));

    /// <summary>As kube-apiserver projects it: no <c>typ</c>, <c>aud</c> an array.</summary>
    public TestToken ServiceAccountToken() => new TestToken(ClusterKey).WithHeader(("typ", null)).With(
        ("iss", Cluster), ("aud", new[] { "signsvc" }), ("sub", "system:serviceaccount:ci:builder"), ("jti", "0a1b"),
        ("kubernetes.io", new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["namespace"] = "ci",
            ["serviceaccount"] = new { name = "builder", uid = "b2c7" },
            ["pod"] = new { name = "builder-0", uid = "77aa" },
        }));

    public static async Task<Uri> GrpcAddressAsync(ServiceProcess service)
    {
        const string beginning = "gRPC on ";
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (true)
        {
            if (service.Output.Split('\n').LastOrDefault(l => l.StartsWith(beginning, StringComparison.Ordinal)) is { } line)
                return new Uri(line[beginning.Length..].Trim());
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, patience.Token);
        }
    }

    /// <summary>Resident memory in KiB.</summary>
    public static long Resident(ServiceProcess service)
    {
        var line = File.ReadLines($"/proc/{service.ProcessId}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);
    }
}
