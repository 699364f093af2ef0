using System.Text.Json;

[assembly: AssemblyFixture(typeof(SignSvc.Lifecycle.Tests.RunningService))]

namespace SignSvc.Lifecycle.Tests;

/// <summary>One service for all tests that do not stop it. They use keys of their own.</summary>
public sealed class RunningService : IAsyncLifetime
{
    private static int _names;

    private ServiceProcess? _process;

    /// <summary>What the service wrote, for tests that failed.</summary>
    public string Log => $"{_process?.Output}\n{_process?.Error}";

    public HttpClient Admin => (_process ?? throw new InvalidOperationException("The service has not started yet.")).Client;

    public static string NewName(string prefix) => $"{prefix}-{Interlocked.Increment(ref _names)}";

    public async ValueTask InitializeAsync() => _process = await ServiceProcess.StartAsync();

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
    }
}

/// <summary>The calls of a key's life, in few words.</summary>
internal static class KeyCalls
{
    public const string Digest = "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=";

    public static async Task<JsonAnswer> MustAsync(this Task<JsonAnswer> call, int status, string? problem = null)
    {
        var answer = await call;
        Assert.True(answer.Code == status, $"expected {status}: {answer}");
        if (problem is not null)
            Assert.Equal($"urn:signsvc:problem:{problem}", answer["type"]);
        return answer;
    }

    /// <param name="rest">Further members of the body.</param>
    public static async Task<string> NewArtifactsKeyAsync(this HttpClient client, string rest = "")
    {
        var name = RunningService.NewName("artifacts");
        await client.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256"{{rest}}}""").MustAsync(201);
        return name;
    }

    /// <summary>With a token profile of the same name.</summary>
    public static async Task<string> NewTokensKeyAsync(this HttpClient client, string rest = "")
    {
        var name = RunningService.NewName("tokens");
        await client.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"ECC_NIST_P256"{{rest}}}""").MustAsync(201);
        await client.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"]}""").MustAsync(200);
        return name;
    }

    public static Task<JsonAnswer> ReadKeyAsync(this HttpClient client, string key) => client.GetJsonAsync($"/v1/keys/{key}").MustAsync(200);

    public static Task<JsonAnswer> DoAsync(this HttpClient client, string key, string action) => client.PostJsonAsync($"/v1/keys/{key}/{action}");

    public static Task<JsonAnswer> SignAsync(this HttpClient client, string key) =>
        client.PostJsonAsync($"/v1/keys/{key}/sign", $$"""{"digest":"{{Digest}}"}""");

    public static Task<JsonAnswer> VerifyAsync(this HttpClient client, string key, string signature) =>
        client.PostJsonAsync($"/v1/keys/{key}/verify", $$"""{"digest":"{{Digest}}","signature":"{{signature}}"}""").MustAsync(200);

    public static Task<JsonAnswer> IssueAsync(this HttpClient client, string profile) =>
        client.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{profile}}","subject":"s"}""");

    public static Task<JsonAnswer> RevokeAsync(this HttpClient client, string key, int version, string reason = "superseded") =>
        client.PostJsonAsync($"/v1/keys/{key}/versions/{version}/revoke", $$"""{"reason":"{{reason}}"}""");

    public static Task<JsonAnswer> PatchAsync(this HttpClient client, string key, string json) =>
        client.CallAsync(HttpMethod.Patch, $"/v1/keys/{key}", json);

    public static Task<JsonAnswer> DeleteKeyAsync(this HttpClient client, string key, int? days = null) =>
        client.CallAsync(HttpMethod.Delete, $"/v1/keys/{key}{(days is null ? "" : $"?pendingWindowInDays={days}")}", "");

    public static Task<JsonAnswer> PutAliasAsync(this HttpClient client, string alias, string key) =>
        client.CallAsync(HttpMethod.Put, $"/v1/aliases/{alias}", $$"""{"key":"{{key}}"}""");

    public static async Task<string> KeySetAsync(this HttpClient client) => (await client.GetJsonAsync("/.well-known/jwks.json").MustAsync(200)).Text;

    /// <summary>The states of the versions, from the first.</summary>
    public static string[] States(this JsonAnswer key) => [.. key.Json.GetProperty("versions").EnumerateArray().Select(v => v.GetProperty("state").GetString()!)];

    public static JsonElement Version(this JsonAnswer key, int number) => key.Json.GetProperty("versions")[number - 1];

    public static string Kid(this JsonAnswer key, int number) => key.Version(number).GetProperty("kid").GetString()!;
}
