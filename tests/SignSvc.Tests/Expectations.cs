using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests;

/// <summary>What every answer has to be like, so that each test checks it.</summary>
internal static class Expectations
{
    private static readonly string[] Internals = ["   at ", "Exception", "System.", "SignSvc.", "/src/", "Microsoft"];

    public static async Task<JsonAnswer> MustPostAsync(this HttpClient client, int status, string path, string json = "")
    {
        var answer = await client.PostJsonAsync(path, json);
        Assert.True(answer.Code == status, $"POST {path} answered {answer}");
        return answer;
    }

    public static async Task<JsonAnswer> MustGetAsync(this HttpClient client, string path, int status = 200)
    {
        var answer = await client.GetJsonAsync(path);
        Assert.True(answer.Code == status, $"GET {path} answered {answer}");
        return answer;
    }

    /// <summary>An RFC 9457 problem of this status and code that tells nothing of the inside.</summary>
    public static void MustBeProblem(this JsonAnswer answer, int status, string code)
    {
        Assert.True(answer.Code == status, $"expected {status} {code}: {answer}");
        Assert.Equal("application/problem+json", answer.ContentHeaders.ContentType?.MediaType);
        answer.Json.MustBeProblem(status, code);
        Assert.True(answer.Headers.CacheControl?.NoStore);
    }

    public static void MustBeProblem(this JsonElement problem, int status, string code)
    {
        Assert.Equal($"urn:signsvc:problem:{code}", problem.GetProperty("type").GetString());
        Assert.Equal(status, problem.GetProperty("status").GetInt32());
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.NotEmpty(problem.GetProperty("detail").GetString()!);
        var text = problem.GetProperty("title").GetString() + problem.GetProperty("detail").GetString();
        Assert.All(Internals, word => Assert.DoesNotContain(word, text, StringComparison.Ordinal));
    }

    public static byte[] Digest(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    public static string Base64Digest(string text) => Convert.ToBase64String(Digest(text));

    /// <summary>The public half of a key as the service gives it, opened by .NET.</summary>
    public static async Task<ECDsa> ReadEcdsaAsync(this HttpClient client, string key)
    {
        var ecdsa = ECDsa.Create();
        ecdsa.ImportFromPem((await client.MustGetAsync($"/v1/keys/{key}/public-key?format=pem")).Text);
        return ecdsa;
    }
}
