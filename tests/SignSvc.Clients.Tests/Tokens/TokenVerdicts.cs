using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Tokens;

/// <summary>
/// One genuine token for each algorithm and every forgery of it, judged by all verifiers through the served metadata
/// and key set. Each outside program runs once, for all tokens together.
/// </summary>
public sealed class TokenVerdicts(RunningService service) : IAsyncLifetime
{
    private const string Audience = "https://api.example/orders";

    /// <summary>Algorithm and a spec that signs with it.</summary>
    public static IReadOnlyDictionary<string, string> Algorithms { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["ES256"] = "ECC_NIST_P256",
        ["ES384"] = "ECC_NIST_P384",
        ["ES512"] = "ECC_NIST_P521",
        ["RS256"] = "RSA_2048",
        ["PS256"] = "RSA_3072",
    };

    private static readonly JsonSerializerOptions Web = new(JsonSerializerDefaults.Web);

    private readonly Dictionary<(string Verifier, string Id), Verdict> _verdicts = [];

    /// <summary>The claim <c>sub</c> of the genuine token.</summary>
    public static string SubjectOf(string algorithm) => $"build-{algorithm}";

    internal Verdict Genuine(string verifier, string algorithm) => Find(verifier, algorithm);

    internal Verdict Forged(string verifier, string algorithm, string forgery) => Find(verifier, $"{algorithm}: {forgery}");

    public async ValueTask InitializeAsync()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var issued = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var (algorithm, spec) in Algorithms)
            issued[algorithm] = await IssueAsync(algorithm, spec, cancellation);

        // Read once all keys are there; from here on verifiers know what an outsider knows.
        var keySet = await service.GetTextAsync("/.well-known/jwks.json", cancellation);
        var metadata = JsonElement.Parse(await service.GetTextAsync("/.well-known/openid-configuration", cancellation));
        var trust = new Trust(
            metadata.GetProperty("issuer").GetString()!, Audience,
            metadata.GetProperty("id_token_signing_alg_values_supported").EnumerateArray().Select(a => a.GetString()!).ToArray());
        var candidates = new List<Candidate>();
        foreach (var (algorithm, answer) in issued)
        {
            var genuine = new GenuineToken(
                algorithm, answer.GetProperty("token").GetString()!, JwkOf(keySet, answer.GetProperty("kid").GetString()!),
                await service.GetTextAsync($"/v1/keys/{NameOf(algorithm)}/public-key", cancellation));
            candidates.Add(new Candidate(algorithm, genuine.Token));
            candidates.AddRange(Forgery.All.Select(f => new Candidate($"{algorithm}: {f.Key}", f.Value(genuine))));
        }

        var judgements = await Task.WhenAll(
            RunAsync(Checkout.Node, Checkout.Script("node", "verify-tokens.mjs"), trust, candidates, cancellation),
            RunAsync(Checkout.Python, Checkout.Script("Tokens", "verify_tokens.py"), trust, candidates, cancellation),
            DotNetVerifiers.JudgeAsync(trust, keySet, candidates));
        foreach (var verdict in judgements.SelectMany(j => j))
            _verdicts.Add((verdict.Verifier, verdict.Id), verdict);
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private Verdict Find(string verifier, string id) => _verdicts.TryGetValue((verifier, id), out var verdict)
        ? verdict
        : throw new KeyNotFoundException($"{verifier} said nothing of {id}");

    private async Task<JsonElement> IssueAsync(string algorithm, string spec, CancellationToken cancellationToken)
    {
        var name = NameOf(algorithm);
        await service.PostAsync("/v1/keys", new { name, purpose = "tokens", spec, algorithms = new[] { algorithm } }, cancellationToken);
        await service.PutAsync($"/v1/profiles/{name}", new { key = name, audiences = new[] { Audience } }, cancellationToken);
        return await service.PostAsync("/v1/tokens", new
        {
            profile = name,
            subject = SubjectOf(algorithm),
            audience = Audience,
            claims = new { env = "prod", groups = new[] { "a", "ü" } },
        }, cancellationToken);
    }

    private static string NameOf(string algorithm) => $"verified-{algorithm.ToLowerInvariant()}";

    private static string JwkOf(string keySet, string kid) =>
        JsonElement.Parse(keySet).GetProperty("keys").EnumerateArray().Single(k => k.GetProperty("kid").ValueEquals(kid)).GetRawText();

    /// <summary>The scripts' protocol: JSON lines in, JSON lines out.</summary>
    private static async Task<IReadOnlyList<Verdict>> RunAsync(
        string interpreter, string script, Trust trust, IReadOnlyList<Candidate> candidates, CancellationToken cancellationToken)
    {
        string[] lines = [JsonSerializer.Serialize(trust, Web), .. candidates.Select(c => JsonSerializer.Serialize(c, Web))];
        var ended = await OutsideProgram.RunAsync(
            interpreter, [script], Path.GetTempPath(), string.Join('\n', lines), cancellationToken: cancellationToken);
        if (!ended.Succeeded)
            throw new InvalidOperationException($"{ended}\nIf a module is missing: run tests/install-tools.sh");
        return ended.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonSerializer.Deserialize<Verdict>(line, Web)!).ToArray();
    }
}
