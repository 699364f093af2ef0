using System.Text.Json;

namespace SignSvc.Tests;

/// <summary>A query parameter that is misspelt would otherwise be a request for something else: for everybody's records, for 30 days.</summary>
public sealed class StrictQueryTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Theory]
    [InlineData("DELETE", "/v1/keys/release?pendingWindowInDay=7", "There is no query parameter 'pendingWindowInDay' here. Allowed, each once: pendingWindowInDays.")]
    [InlineData("GET", "/v1/audit?calller=nobody", "There is no query parameter 'calller' here. Allowed, each once: from, to, caller, key, action, outcome, digest, auditId, limit, after.")]
    [InlineData("GET", "/v1/audit/check?limit=1", "There is no query parameter 'limit' here. None is allowed.")]
    [InlineData("GET", "/v1/keys/release?key=tokens", "There is no query parameter 'key' here. None is allowed.")]
    [InlineData("GET", "/v1/keys?limit=1&limit=2", "The query parameter 'limit' is given more than once. Allowed, each once: purpose, tier, state, prefix, tag, limit, after.")]
    [InlineData("GET", "/v1/audit?caller=a&Caller=b", "The query parameter 'caller' is given more than once. Allowed, each once: from, to, caller, key, action, outcome, digest, auditId, limit, after.")]
    public async Task A_query_parameter_is_named_with_those_that_are_allowed(string method, string path, string detail)
    {
        var answer = await _admin.CallAsync(new HttpMethod(method), path, "");

        answer.MustBeProblem(400, "invalid-request");
        Assert.Equal(detail, answer["detail"]);
    }

    [Fact]
    public async Task Every_address_of_the_API_refuses_what_it_does_not_describe_and_takes_what_it_does()
    {
        var wrong = new List<string>();
        var (addresses, parameters) = (0, 0);
        foreach (var (method, path, described) in await OperationsAsync())
        {
            addresses++;
            var misspelt = await _admin.CallAsync(method, $"{path}?limitt=1", "");
            if (misspelt.Code != 400 || !misspelt.Text.Contains("There is no query parameter", StringComparison.Ordinal))
                wrong.Add($"{method} {path} takes ?limitt: {misspelt}");
            foreach (var name in described)
            {
                parameters++;
                // A value that makes no change: what counts is that the name is known.
                var known = await _admin.CallAsync(method, $"{path}?{name}=%00", "");
                if (known.Code >= 500 || known.Text.Contains("There is no query parameter", StringComparison.Ordinal))
                    wrong.Add($"{method} {path} does not take ?{name}: {known}");
            }
        }

        Assert.True(addresses > 50 && parameters > 25, $"Only {addresses} addresses and {parameters} parameters are described.");
        Assert.Empty(wrong);
    }

    [Theory]
    [InlineData("/healthz/ready?probe=1")]
    [InlineData("/.well-known/jwks.json?fresh=1")]
    [InlineData("/openapi/v1.json?fresh=1")]
    [InlineData("/v1/transit/keys?list=true&fresh=1")]
    public async Task Addresses_that_others_have_defined_take_what_others_send(string path) => await _admin.MustGetAsync(path);

    [Fact]
    public async Task Strangers_learn_no_names()
    {
        using var stranger = service.Process.As(token: null);

        (await stranger.GetJsonAsync("/v1/audit?calller=nobody")).MustBeProblem(401, "unauthenticated");
    }

    /// <summary>With names in the paths that nothing has.</summary>
    private async Task<List<(HttpMethod Method, string Path, string[] Parameters)>> OperationsAsync()
    {
        var paths = (await _admin.MustGetAsync("/openapi/v1.json")).Json.GetProperty("paths");
        return
        [
            .. from path in paths.EnumerateObject()
               where path.Name.StartsWith("/v1/", StringComparison.Ordinal)
               from operation in path.Value.EnumerateObject()
               where operation.Value.ValueKind == JsonValueKind.Object && operation.Value.TryGetProperty("responses", out _)
               select (new HttpMethod(operation.Name.ToUpperInvariant()), Fill(path.Name), ParametersOf(operation.Value)),
        ];
    }

    private static string Fill(string path) =>
        string.Join('/', path.Split('/').Select(s => s switch { "{version}" => "1", _ when s.StartsWith('{') => "nobody", _ => s }));

    private static string[] ParametersOf(JsonElement operation) =>
        operation.TryGetProperty("parameters", out var parameters)
            ? [.. parameters.EnumerateArray().Where(p => p.GetProperty("in").GetString() is "query").Select(p => p.GetProperty("name").GetString()!)]
            : [];
}
