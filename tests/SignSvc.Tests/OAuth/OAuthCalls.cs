using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests.OAuth;

/// <summary>Calls of the token endpoint as clients write them, and the JWTs that clients make.</summary>
internal static class OAuthCalls
{
    public const string AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    public const string Exchange = "urn:ietf:params:oauth:grant-type:token-exchange";

    /// <summary>As a NumericDate.</summary>
    public static long Now => TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    public static string NewId() => Convert.ToHexString(RandomNumberGenerator.GetBytes(12));

    public static Task<JsonAnswer> PostFormAsync(
        this HttpClient client, string path, string form, string? basic = null, params IReadOnlyList<string> proofs)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new StringContent(form, Encoding.UTF8, "application/x-www-form-urlencoded"),
        };
        if (basic is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(basic)));
        foreach (var proof in proofs)
            request.Headers.TryAddWithoutValidation("DPoP", proof);
        return client.CallAsync(request);
    }

    /// <summary>For bodies that are JSON only once they are unpacked.</summary>
    public static async Task<JsonAnswer> CallRawAsync(this HttpClient client, HttpRequestMessage request)
    {
        using (request)
        {
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            var body = await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            return new JsonAnswer(response.StatusCode, default, body, response.Headers, response.Content.Headers);
        }
    }

    /// <summary>RFC 6749 section 5.2, and nothing of the inside.</summary>
    public static void MustBeOAuthError(this JsonAnswer answer, int status, string error)
    {
        Assert.True(answer.Code == status && string.Equals(answer["error"], error, StringComparison.Ordinal), $"expected {status} {error}: {answer}");
        Assert.Equal("application/json", answer.ContentHeaders.ContentType?.MediaType);
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.All(answer["error_description"], c => Assert.True(c is >= ' ' and <= '~' and not ('"' or '\\')));
        Assert.DoesNotContain("SignSvc.", answer.Text, StringComparison.Ordinal);
        if (status == 401)
            Assert.StartsWith("Basic", answer.Headers.WwwAuthenticate.ToString(), StringComparison.Ordinal);
    }

    public static async Task<JsonElement> GrantAsync(this HttpClient client, string path, string form, string basic, params IReadOnlyList<string> proofs)
    {
        var answer = await client.PostFormAsync(path, form, basic, proofs);
        Assert.True(answer.Code == 200, answer.ToString());
        Assert.True(answer.Headers.CacheControl?.NoStore);
        Assert.Equal("no-cache", answer.Headers.Pragma.ToString());
        return answer.Json;
    }

    public static JsonElement Claims(this JsonElement granted) => Decode(granted.GetProperty("access_token").GetString()!, 1);

    public static JsonElement Decode(string token, int part) => JsonSerializer.Deserialize<JsonElement>(Base64Url.DecodeFromChars(token.Split('.')[part]));

    /// <summary>Signs any header and claims, as they are written.</summary>
    public static string Sign(this ECDsa key, string header, string claims)
    {
        var input = $"{Encode(header)}.{Encode(claims)}";
        var signature = key.SignData(Encoding.ASCII.GetBytes(input), HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        return $"{input}.{Base64Url.EncodeToString(signature)}";
    }

    public static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    public static string Jwk(this ECDsa key, string members = "")
    {
        var q = key.ExportParameters(includePrivateParameters: false).Q;
        return $$"""{"kty":"EC","crv":"P-256","x":"{{Base64Url.EncodeToString(q.X)}}","y":"{{Base64Url.EncodeToString(q.Y)}}"{{members}}}""";
    }

    public static string Escape(string text) => Uri.EscapeDataString(text);
}
