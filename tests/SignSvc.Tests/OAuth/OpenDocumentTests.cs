namespace SignSvc.Tests.OAuth;

/// <summary>What verifiers read: by GET, by HEAD, from a web page, and what it says of algorithms.</summary>
public sealed class OpenDocumentTests(RunningService service)
{
    public static TheoryData<string> Paths =>
    [
        "/.well-known/jwks.json", "/issuers/ISSUER/jwks.json", "/v1/keys/release/jwks.json", "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server", "/issuers/ISSUER/.well-known/openid-configuration", "/issuers/ISSUER/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/issuers/ISSUER", "/.well-known/openid-configuration/issuers/ISSUER",
    ];

    [Theory]
    [MemberData(nameof(Paths))]
    public async Task A_document_answers_HEAD_as_GET_and_a_browser_that_asks_first(string path)
    {
        var issuer = RunningService.NewName("open");
        await service.Admin.MustPutAsync(200, $"/v1/profiles/{issuer}", $$"""{"key":"tokens","audiences":["a"],"issuer":"{{issuer}}"}""");
        path = path.Replace("ISSUER", issuer, StringComparison.Ordinal);
        using var stranger = service.Process.As(token: null);
        JsonAnswer get, head, again;
        var rounds = 0;
        do
        {
            get = await stranger.MustGetAsync(path);
            head = await stranger.CallRawAsync(new HttpRequestMessage(HttpMethod.Head, path));
            again = await stranger.MustGetAsync(path);
        }
        // Another test may change the service's set meanwhile, and change it back.
        while (!(IsAs(head, get) && IsAs(again, get)) && ++rounds < 10);

        Assert.Equal("ETag", get.Headers.GetValues("Access-Control-Expose-Headers").Single());
        Assert.Equal(200, head.Code);
        Assert.Empty(head.Body);
        Assert.Equal(get.ContentHeaders.ContentType, head.ContentHeaders.ContentType);
        Assert.Equal(get.Headers.CacheControl, head.Headers.CacheControl);
        Assert.Equal(get.Headers.ETag, head.Headers.ETag);

        using var question = new HttpRequestMessage(HttpMethod.Options, path);
        question.Headers.Add("Origin", "https://app.example");
        question.Headers.Add("Access-Control-Request-Method", "GET");
        question.Headers.Add("Access-Control-Request-Headers", "if-none-match");
        var answer = await stranger.CallRawAsync(question);
        Assert.Equal(204, answer.Code);
        Assert.Equal("*", answer.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("GET", answer.Headers.GetValues("Access-Control-Allow-Methods").Single(), StringComparison.Ordinal);
        Assert.Contains("If-None-Match", answer.Headers.GetValues("Access-Control-Allow-Headers").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metadata_names_the_algorithms_of_the_issuer_s_own_key_set_alone()
    {
        var name = RunningService.NewName("algorithms");
        foreach (var (key, spec, algorithm) in ((string, string, string)[])[("a", "RSA_3072", "PS384"), ("b", "ECC_NIST_P521", "ES512"), ("c", "RSA_2048", "PS512")])
            await service.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}-{{key}}","purpose":"tokens","spec":"{{spec}}","algorithms":["{{algorithm}}"]}""");
        await service.Admin.MustPutAsync(200, $"/v1/profiles/{name}-a", $$"""{"key":"{{name}}-a","audiences":["a"],"issuer":"{{name}}"}""");
        await service.Admin.MustPutAsync(200, $"/v1/profiles/{name}-b", $$"""{"key":"{{name}}-b","audiences":["a"],"payloads":true}""");
        await service.Admin.MustPutAsync(200, $"/v1/profiles/{name}-c", $$"""{"key":"{{name}}-c","audiences":["a"],"issuer":"https://{{name}}.example"}""");

        Assert.Equal(["PS384"], await AlgorithmsAsync($"/issuers/{name}"));
        // A key of an issuer elsewhere stands in this service's set: nobody else shows it.
        var own = await AlgorithmsAsync("");
        Assert.DoesNotContain("PS384", own, StringComparer.Ordinal);
        Assert.DoesNotContain("ES512", own, StringComparer.Ordinal);
        Assert.Contains("ES256", own, StringComparer.Ordinal);
        Assert.Contains("PS512", own, StringComparer.Ordinal);

        // Moved by force, its tokens of before are still accepted by what is published.
        await service.Admin.MustPutAsync(200, $"/v1/profiles/{name}-a?force=true", $$"""{"key":"tokens","audiences":["a"],"issuer":"{{name}}"}""");
        Assert.Equal(["ES256", "PS384"], await AlgorithmsAsync($"/issuers/{name}"));
    }

    private static bool IsAs(JsonAnswer one, JsonAnswer other) =>
        Equals(one.Headers.ETag, other.Headers.ETag) && Equals(one.Headers.CacheControl, other.Headers.CacheControl);

    private async Task<string[]> AlgorithmsAsync(string issuer) =>
        [.. (await service.Admin.MustGetAsync($"{issuer}/.well-known/openid-configuration")).Json.GetProperty("id_token_signing_alg_values_supported").EnumerateArray().Select(a => a.GetString()!)];
}
