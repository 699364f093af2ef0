using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests.Compatibility;

/// <summary>What a test bends of a signed request; null leaves it right.</summary>
internal sealed record Bent
{
    public TimeSpan Skew { get; init; }

    /// <summary>In place of the body that was signed.</summary>
    public string? SentBody { get; init; }

    /// <summary>In place of the operation that was signed.</summary>
    public string? SentTarget { get; init; }

    public string Service { get; init; } = "kms";

    public string Region { get; init; } = "eu-central-1";

    public string? Secret { get; init; }

    /// <summary>A day in the scope that is not the date's.</summary>
    public string? Day { get; init; }

    public string[] Signed { get; init; } = ["content-type", "host", "x-amz-date", "x-amz-target"];

    public (string Name, string Value)? Unsigned { get; init; }

    /// <summary>Does something to the header Authorization.</summary>
    public Func<string, string> Authorization { get; init; } = header => header;
}

/// <summary>A client of AWS KMS that signs by itself, so that every part of a request can be wrong.</summary>
internal sealed class AwsClient(HttpClient http, string accessKeyId, string secret)
{
    private const string MediaType = "application/x-amz-json-1.1";

    /// <summary>A client of the service with an access key of a new credential.</summary>
    public static async Task<AwsClient> OfAsync(RunningService service, params string[] roles)
    {
        var credential = await service.NewCredentialAsync(roles);
        var made = await service.Admin.MustPostAsync(201, $"/v1/credentials/{credential["name"]}/access-keys");
        return new AwsClient(service.Process.As(null), made["accessKeyId"], made["secretAccessKey"]) { Credential = credential["name"], Token = credential["token"] };
    }

    /// <summary>The credential's bearer token.</summary>
    public string Token { get; private init; } = "";

    public string Credential { get; private init; } = "";

    public string AccessKeyId => accessKeyId;

    /// <summary>A refusal of this type; its message is returned.</summary>
    public async Task<string> MustRefuseAsync(string type, string operation, string body, Bent? bent = null)
    {
        var answer = await CallAsync(operation, body, bent);
        Assert.True(answer.Code == 400, $"{operation}: {answer}");
        MustBeRefusal(answer, type);
        return Json(answer).GetProperty("message").GetString()!;
    }

    public static void MustBeRefusal(JsonAnswer answer, string type)
    {
        Assert.Equal(MediaType, answer.ContentHeaders.ContentType?.ToString());
        Assert.True(Guid.TryParse(answer.Headers.GetValues("x-amzn-RequestId").Single(), out _));
        Assert.Equal(type, Json(answer).GetProperty("__type").GetString());
    }

    public async Task<JsonElement> MustAsync(string operation, string body)
    {
        var answer = await CallAsync(operation, body);
        Assert.True(answer.Code == 200, $"{operation}: {answer}");
        return Json(answer);
    }

    public Task<JsonAnswer> CallAsync(string operation, string body, Bent? bent = null) => http.CallAsync(Make(operation, body, bent ?? new Bent()));

    public Task<JsonAnswer> CallAsync(HttpRequestMessage request) => http.CallAsync(request);

    public HttpRequestMessage Make(string operation, string body, Bent bent)
    {
        var date = (TimeProvider.System.GetUtcNow() + bent.Skew).UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        var target = $"TrentService.{operation}";
        var headers = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["content-type"] = MediaType,
            ["host"] = http.BaseAddress!.Authority,
            ["x-amz-date"] = date,
            ["x-amz-target"] = target,
        };
        var names = string.Join(';', bent.Signed);
        var canonical = $"POST\n/\n\n{string.Concat(bent.Signed.Select(n => $"{n}:{headers.GetValueOrDefault(n)}\n"))}\n{names}\n{Hash(body)}";
        var scope = $"{bent.Day ?? date[..8]}/{bent.Region}/{bent.Service}/aws4_request";
        var key = Encoding.UTF8.GetBytes("AWS4" + (bent.Secret ?? secret));
        foreach (var part in scope.Split('/'))
            key = Hmac(key, part);
        var signature = Convert.ToHexStringLower(Hmac(key, $"AWS4-HMAC-SHA256\n{date}\n{scope}\n{Hash(canonical)}"));

        var request = new HttpRequestMessage(HttpMethod.Post, "/") { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(bent.SentBody ?? body)) };
        // A large body is refused by its length: whoever sends it all the same may find the connection closed before the answer.
        request.Headers.ExpectContinue = body.Length > 1024 * 1024;
        request.Content.Headers.TryAddWithoutValidation("Content-Type", MediaType);
        request.Headers.TryAddWithoutValidation("X-Amz-Date", date);
        request.Headers.TryAddWithoutValidation("X-Amz-Target", bent.SentTarget is null ? target : $"TrentService.{bent.SentTarget}");
        request.Headers.TryAddWithoutValidation("Authorization", bent.Authorization(
            $"AWS4-HMAC-SHA256 Credential={accessKeyId}/{scope}, SignedHeaders={names}, Signature={signature}"));
        if (bent.Unsigned is { } unsigned)
            request.Headers.TryAddWithoutValidation(unsigned.Name, unsigned.Value);
        return request;
    }

    /// <summary>The answer's media type is AWS's own.</summary>
    public static JsonElement Json(JsonAnswer answer) => JsonElement.Parse(answer.Body);

    private static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static byte[] Hmac(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));
}
