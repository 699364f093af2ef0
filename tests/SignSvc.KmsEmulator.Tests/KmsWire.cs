using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Tests;

/// <summary>An answer as it came over the wire.</summary>
internal sealed record Reply(int Status, JsonObject Body, HttpResponseHeaders Headers)
{
    public string? Error => Status == 200 ? null : Body["__type"]!.GetValue<string>();

    public string Text(string member) => Body[member]!.GetValue<string>();

    public byte[] Blob(string member) => Convert.FromBase64String(Text(member));

    public JsonObject Metadata => Body["KeyMetadata"]!.AsObject();

    public string KeyId => Metadata[nameof(KeyId)]!.GetValue<string>();

    public string Arn => Metadata[nameof(Arn)]!.GetValue<string>();
}

/// <summary>
/// Speaks awsJson1.1 by hand, so that tests see exactly what is sent and can send what no SDK would. The signature has
/// the right form and is not computed: the emulator checks it only where a secret is configured.
/// </summary>
internal sealed class KmsWire(Uri uri, string accountId = "111111111111", string region = "us-east-1") : IDisposable
{
    private readonly HttpClient _http = new() { BaseAddress = uri };

    public KmsWire In(string otherRegion) => new(uri, accountId, otherRegion);

    public KmsWire As(string otherAccount) => new(uri, otherAccount, region);

    public async Task<Reply> SendAsync(
        string operation,
        object? body = null,
        string? authorization = null,
        DateTimeOffset? date = null)
    {
        var time = (date ?? TimeProvider.System.GetUtcNow()).ToString(
            "yyyyMMdd'T'HHmmss'Z'",
            CultureInfo.InvariantCulture);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/");
        request.Content = new StringContent(
            JsonSerializer.Serialize(body ?? new { }),
            Encoding.UTF8,
            "application/x-amz-json-1.1");
        request.Headers.Add("X-Amz-Target", $"TrentService.{operation}");
        request.Headers.Add("X-Amz-Date", time);
        authorization ??=
            $"AWS4-HMAC-SHA256 Credential={accountId}/{time[..8]}/{region}/kms/aws4_request, SignedHeaders=host;x-amz-date, Signature={new string('0', 64)}";
        if (authorization.Length > 0)
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
        using var response = await _http.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return new Reply((int)response.StatusCode, JsonNode.Parse(text)!.AsObject(), response.Headers);
    }

    /// <summary>Sends what must succeed.</summary>
    public async Task<Reply> DoAsync(string operation, object? body = null)
    {
        var reply = await SendAsync(operation, body);
        Assert.True(reply.Status == 200, $"{operation}: {reply.Body.ToJsonString()}");
        return reply;
    }

    /// <summary>Sends what must fail with an error.</summary>
    public async Task<Reply> RefusedAsync(string error, string operation, object? body = null)
    {
        var reply = await SendAsync(operation, body);
        Assert.Equal(error, reply.Error);
        return reply;
    }

    public void Dispose() => _http.Dispose();
}
