using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.OpenApi;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests;

/// <summary>The served description of the API, as a generator of clients reads it.</summary>
public sealed class OpenApiTests(RunningService service)
{
    [Fact]
    public async Task The_document_parses_and_every_operation_has_its_own_id()
    {
        var text = await ReadAsync();
        using var stream = new MemoryStream(Encoding.UTF8.GetBytes(text));
        var read = await OpenApiDocument.LoadAsync(stream, "json", cancellationToken: TestContext.Current.CancellationToken);

        Assert.NotNull(read.Diagnostic);
        Assert.Empty(read.Diagnostic.Errors);
        Assert.NotNull(read.Document);
        Assert.Empty(read.Document.Validate(ValidationRuleSet.GetDefaultRuleSet()));
        var operations = read.Document.Paths
            .SelectMany(path => path.Value.Operations!.Select(o => (Where: $"{o.Key} {path.Key}", o.Value.OperationId)))
            .ToArray();
        Assert.NotEmpty(operations);
        Assert.All(operations, o => Assert.False(string.IsNullOrWhiteSpace(o.OperationId), $"{o.Where} has no operationId"));
        Assert.All(
            operations.GroupBy(o => o.OperationId, StringComparer.Ordinal),
            same => Assert.True(same.Count() == 1, $"{same.Key} names {string.Join(" and ", same.Select(o => o.Where))}"));
    }

    [Theory]
    [InlineData("/v1/keys", "get", "post")]
    [InlineData("/v1/keys/{key}", "get")]
    [InlineData("/v1/keys/{key}/public-key", "get")]
    [InlineData("/v1/keys/{key}/sign", "post")]
    [InlineData("/v1/keys/{key}/sign-batch", "post")]
    [InlineData("/v1/keys/{key}/verify", "post")]
    [InlineData("/v1/keys/{key}/bundle", "post")]
    [InlineData("/v1/keys/{key}/attest-batch", "post")]
    [InlineData("/v1/tokens", "post")]
    [InlineData("/v1/tokens/batch", "post")]
    [InlineData("/v1/profiles/{profile}", "get", "put")]
    [InlineData("/v1/audit", "get")]
    [InlineData("/v1/credentials", "get", "post")]
    [InlineData("/.well-known/jwks.json", "get")]
    [InlineData("/.well-known/openid-configuration", "get")]
    [InlineData("/.well-known/oauth-authorization-server", "get")]
    public async Task The_document_describes(string path, params string[] methods)
    {
        var paths = JsonElement.Parse(await ReadAsync()).GetProperty("paths");

        Assert.True(paths.TryGetProperty(path, out var described), $"{path} is not described; described are {string.Join(' ', paths.EnumerateObject().Select(p => p.Name))}");
        Assert.All(methods, method => Assert.True(described.TryGetProperty(method, out _), $"{method} {path} is not described"));
    }

    [Fact]
    public async Task Its_members_are_described_in_the_words_of_the_code()
    {
        var members = JsonElement.Parse(await ReadAsync()).GetProperty("components").GetProperty("schemas").EnumerateObject()
            .Where(schema => schema.Value.TryGetProperty("properties", out _))
            .SelectMany(schema => schema.Value.GetProperty("properties").EnumerateObject());
        Assert.True(members.Count(m => m.Value.TryGetProperty("description", out _)) > 100);
    }

    [Fact]
    public async Task Who_has_it_is_not_sent_it_again()
    {
        using var anonymous = new HttpClient();
        using var first = await anonymous.GetAsync(new Uri($"{service.Url}/openapi/v1.json"), TestContext.Current.CancellationToken);
        anonymous.DefaultRequestHeaders.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await anonymous.GetAsync(new Uri($"{service.Url}/openapi/v1.json"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
    }

    [Theory]
    [InlineData("/v1/keys/{key}/sign")]
    [InlineData("/oauth2/token")]
    [InlineData("/issuers/{issuer}/oauth2/token")]
    public async Task Who_is_refused_for_now_is_told_when_to_ask_again(string path)
    {
        var responses = JsonElement.Parse(await ReadAsync()).GetProperty("paths").GetProperty(path).GetProperty("post").GetProperty("responses");
        foreach (var status in (string[])["429", "503"])
            Assert.True(responses.GetProperty(status).GetProperty("headers").TryGetProperty("Retry-After", out _), responses.GetRawText());
        Assert.True(responses.GetProperty("429").GetProperty("content").EnumerateObject().Any(), responses.GetRawText());
    }

    private async Task<string> ReadAsync()
    {
        using var anonymous = new HttpClient();
        return await anonymous.GetStringAsync(new Uri($"{service.Url}/openapi/v1.json"), TestContext.Current.CancellationToken);
    }
}
