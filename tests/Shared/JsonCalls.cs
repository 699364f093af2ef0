using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests.Shared;

/// <summary>An answer read whole. <see cref="Json"/> is undefined where the body is no JSON.</summary>
public sealed record JsonAnswer(HttpStatusCode Status, JsonElement Json, byte[] Body, HttpResponseHeaders Headers, HttpContentHeaders ContentHeaders)
{
    public int Code => (int)Status;

    public string Text => Encoding.UTF8.GetString(Body);

    /// <summary>A member's text, in the words of the wire: <c>answer["kid"]</c>.</summary>
    public string this[string member] => Json.GetProperty(member).ToString();

    public override string ToString() => $"{Code} {Text}";
}

/// <summary>Calls in JSON, written as they stand in the documentation. They end with the running test.</summary>
public static class JsonCalls
{
    public static Task<JsonAnswer> GetJsonAsync(this HttpClient client, string path) =>
        client.CallAsync(new HttpRequestMessage(HttpMethod.Get, path));

    /// <param name="json">The body as text, valid or not.</param>
    public static Task<JsonAnswer> PostJsonAsync(this HttpClient client, string path, string json = "") =>
        client.CallAsync(HttpMethod.Post, path, json);

    /// <summary>Comes again, for a minute: a node of a cluster refuses a change while the database answers late or its spool drains.</summary>
    /// <returns>The first answer that is no 503 with Retry-After, or the last. What was refused may have taken effect: a name is then taken.</returns>
    public static async Task<JsonAnswer> PostUntilServedAsync(this HttpClient client, string path, string json = "", Action? onRepeat = null)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var answer = await client.PostJsonAsync(path, json);
            if (answer is not { Code: 503, Headers.RetryAfter: not null } || TimeProvider.System.GetElapsedTime(from) > TimeSpan.FromMinutes(1))
                return answer;
            onRepeat?.Invoke();
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    public static Task<JsonAnswer> CallAsync(
        this HttpClient client, HttpMethod method, string path, string json)
    {
        var request = new HttpRequestMessage(method, path);
        if (json.Length > 0)
            request.Content = new StringContent(json, Encoding.UTF8, "application/json");
        return client.CallAsync(request);
    }

    public static async Task<JsonAnswer> CallAsync(this HttpClient client, HttpRequestMessage request)
    {
        using (request)
        {
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            var isJson = body.Length > 0 && response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) == true;
            var json = isJson ? JsonSerializer.Deserialize<JsonElement>(body) : default;
            return new JsonAnswer(response.StatusCode, json, body, response.Headers, response.Content.Headers);
        }
    }
}
