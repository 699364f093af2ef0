using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace SignSvc.Tests;

/// <summary>Tokens, key sets and discovery.</summary>
public sealed class TokenTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task A_token_is_issued_as_the_example_shows()
    {
        var answer = await _admin.MustPostAsync(
            201, "/v1/tokens",
            """{"profile":"default","subject":"build-42","audience":"api://deploy","lifetimeSeconds":300,"claims":{"env":"prod"}}""");
        Assert.True(answer.Headers.CacheControl?.NoStore);

        var (header, payload) = await VerifyAsync(answer["token"]);
        Assert.Equal(answer["kid"], header.GetProperty("kid").GetString());
        Assert.Equal("build-42", payload.GetProperty("sub").GetString());
        Assert.Equal("api://deploy", payload.GetProperty("aud").GetString());
        Assert.Equal("prod", payload.GetProperty("env").GetString());
        Assert.Equal(answer["tokenId"], payload.GetProperty("jti").GetString());
        Assert.Equal(300, payload.GetProperty("exp").GetInt64() - payload.GetProperty("iat").GetInt64());
        Assert.Equal(answer.Json.GetProperty("expiresAt").GetDateTimeOffset().ToUnixTimeSeconds(), payload.GetProperty("exp").GetInt64());
    }

    /// <summary>RFC 9068 sections 2.1 and 2.2, RFC 7518 section 3.4.</summary>
    [Fact]
    public async Task Access_tokens_keep_RFC_9068_and_signatures_have_a_fixed_width()
    {
        var item = """{"subject":"s","audience":["a","b"]}""";
        var batch = await _admin.MustPostAsync(
            200, "/v1/tokens/batch", $$"""{"profile":"default","items":[{{string.Join(',', Enumerable.Repeat(item, 2000))}}]}""");
        Assert.True(batch.Headers.CacheControl?.NoStore);
        var issuer = (await _admin.MustGetAsync("/.well-known/openid-configuration"))["issuer"];
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var result in batch.Json.GetProperty("results").EnumerateArray())
        {
            var parts = result.GetProperty("token").GetString()!.Split('.');
            Assert.Equal(64, Base64Url.DecodeFromChars(parts[2]).Length);
            var header = Decode(parts[0]);
            Assert.Equal("at+jwt", header.GetProperty("typ").GetString());
            Assert.Equal("ES256", header.GetProperty("alg").GetString());
            var payload = Decode(parts[1]);
            Assert.Equal(issuer, payload.GetProperty("iss").GetString());
            Assert.Equal("bootstrap", payload.GetProperty("client_id").GetString());
            Assert.Equal("s", payload.GetProperty("sub").GetString());
            Assert.Equal("""["a","b"]""", payload.GetProperty("aud").GetRawText());
            Assert.True(payload.GetProperty("exp").GetInt64() > payload.GetProperty("iat").GetInt64());
            Assert.True(ids.Add(payload.GetProperty("jti").GetString()!));
        }

        Assert.Equal(2000, ids.Count);
    }

    [Theory]
    [InlineData("""{"profile":"default","claims":{"exp":1}}""")]
    [InlineData("""{"profile":"default","claims":{"su\u0062":"root"}}""")]
    [InlineData("""{"profile":"default","claims":{"cnf":{}}}""")]
    [InlineData("""{"profile":"default","claims":{"a":1,"a":2}}""")]
    [InlineData("""{"profile":"default","claims":{"a":{"b":1,"b":2}}}""")]
    [InlineData("""{"profile":"default","claims":{"":1}}""")]
    [InlineData("""{"profile":"default","claims":{"\ud800":1}}""")]
    [InlineData("""{"profile":"default","audience":"a","claims":{"a":"\ud800"}}""")]
    [InlineData("""{"profile":"default","audience":"a","claims":{"a":["x",{"b":"\udc00"}]}}""")]
    [InlineData("""{"profile":"default","claims":[]}""")]
    [InlineData("""{"profile":"default","claims":"x"}""")]
    [InlineData("""{"profile":"default","subject":""}""")]
    [InlineData("""{"profile":"default","subject":"a\u0000b"}""")]
    [InlineData("""{"profile":"default","subject":"\ud800"}""")]
    [InlineData("""{"profile":"default"}""")]
    [InlineData("""{"profile":"default","audience":""}""")]
    [InlineData("""{"profile":"default","audience":7}""")]
    [InlineData("""{"profile":"default","audience":[]}""")]
    [InlineData("""{"profile":"default","audience":["a",null]}""")]
    [InlineData("""{"profile":"default","audience":"\ud800"}""")]
    [InlineData("""{"profile":"default","audience":["1","2","3","4","5","6","7","8","9","10","11"]}""")]
    [InlineData("""{"profile":"default","audience":"a","lifetimeSeconds":0}""")]
    [InlineData("""{"profile":"default","audience":"a","lifetimeSeconds":-1}""")]
    [InlineData("""{"profile":"default","audience":"a","lifetimeSeconds":3601}""")]
    [InlineData("""{"profile":"default","audience":"a","lifetimeSeconds":99999999999}""")]
    [InlineData("""{"profile":"default","audience":"a","lifetimeSeconds":"300"}""")]
    [InlineData("""{"profile":"default","audience":"a","lifetimeSeconds":1.5}""")]
    public async Task A_wish_that_the_profile_or_the_form_forbids_is_refused(string body) =>
        (await _admin.PostJsonAsync("/v1/tokens", body)).MustBeProblem(400, "invalid-request");

    [Fact]
    public async Task Texts_that_are_too_long_are_refused()
    {
        var text = new string('x', 256);
        foreach (var member in (string[])[$"\"subject\":\"{text}\"", $"\"audience\":\"{text}\"", $$"""{{"\"claims\""}}:{"{{text}}":1}"""])
            (await _admin.PostJsonAsync("/v1/tokens", $$"""{"profile":"default",{{member}}}""")).MustBeProblem(400, "invalid-request");
        var claims = string.Join(',', Enumerable.Range(0, 65).Select(i => $"\"c{i}\":1"));
        (await _admin.PostJsonAsync("/v1/tokens", $$$"""{"profile":"default","audience":"a","claims":{{{{claims}}}}}""")).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/tokens", """{"profile":"nobody","audience":"a"}""")).MustBeProblem(404, "not-found");
    }

    /// <summary>Each item would otherwise carry the whole name into its audit record.</summary>
    [Fact]
    public async Task A_batch_under_a_giant_profile_name_costs_neither_memory_nor_audit()
    {
        var items = string.Join(',', Enumerable.Repeat("{}", 10_000));
        var answer = await _admin.PostJsonAsync("/v1/tokens/batch", $$"""{"profile":"{{new string('x', 1_000_000)}}","items":[{{items}}]}""");
        Assert.True(answer.Code is 200 or 400, answer.Text[..Math.Min(answer.Text.Length, 300)]);
        var process = System.Diagnostics.Process.GetProcessById(service.Process.ProcessId);
        Assert.InRange(process.PeakWorkingSet64, 1, 1_500_000_000);
        var audit = await _admin.MustGetAsync("/v1/audit?action=tokens:Issue&limit=10");
        Assert.InRange(audit.Body.Length, 1, 20_000);
    }

    [Fact]
    public async Task A_profile_decides_what_may_be_asked_for()
    {
        var name = RunningService.NewName("profile");
        var put = await _admin.CallAsync(
            HttpMethod.Put, $"/v1/profiles/{name}",
            """{"key":"tokens","audiences":["https://a.example/","https://b.example/*"],"defaultLifetimeSeconds":60,"maxLifetimeSeconds":120,"issuer":"https://issuer.example","type":"JWT"}""");
        Assert.Equal(200, put.Code);
        Assert.Equal(put.Text, (await _admin.MustGetAsync($"/v1/profiles/{name}")).Text);
        Assert.Contains($"\"{name}\"", (await _admin.MustGetAsync("/v1/profiles")).Text, StringComparison.Ordinal);

        var issued = await _admin.MustPostAsync(201, "/v1/tokens", $$"""{"profile":"{{name}}"}""");
        var (header, payload) = await VerifyAsync(issued["token"]);
        Assert.Equal("JWT", header.GetProperty("typ").GetString());
        Assert.Equal("https://issuer.example", payload.GetProperty("iss").GetString());
        Assert.Equal("https://a.example/", payload.GetProperty("aud").GetString());
        Assert.Equal(60, payload.GetProperty("exp").GetInt64() - payload.GetProperty("iat").GetInt64());

        await _admin.MustPostAsync(201, "/v1/tokens", $$"""{"profile":"{{name}}","audience":"https://b.example/x","lifetimeSeconds":120}""");
        (await _admin.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{name}}","audience":"https://c.example/"}""")).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{name}}","lifetimeSeconds":121}""")).MustBeProblem(400, "invalid-request");
    }

    [Theory]
    [InlineData("""{"key":"release","audiences":["a"]}""")]
    [InlineData("""{"key":"nobody","audiences":["a"]}""")]
    [InlineData("""{"key":"tokens","audiences":[]}""")]
    [InlineData("""{"key":"tokens","audiences":[null]}""")]
    [InlineData("""{"key":"tokens","audiences":["a"],"issuer":"ftp://x"}""")]
    [InlineData("""{"key":"tokens","audiences":["a"],"issuer":"https://x/?q"}""")]
    [InlineData("""{"key":"tokens","audiences":["a"],"maxLifetimeSeconds":86401}""")]
    [InlineData("""{"key":"tokens","audiences":["a"],"defaultLifetimeSeconds":0}""")]
    [InlineData("""{"key":"tokens","audiences":["a"],"type":"none"}""")]
    [InlineData("""{"key":"tokens"}""")]
    public async Task A_profile_that_makes_no_sense_is_refused(string body) =>
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{RunningService.NewName("profile")}", body)).MustBeProblem(400, "invalid-request");

    [Fact]
    public async Task The_key_set_is_public_cacheable_and_has_an_ETag()
    {
        using var stranger = service.Process.As(token: null);
        var answer = await stranger.MustGetAsync("/.well-known/jwks.json");
        Assert.Equal("application/jwk-set+json", answer.ContentHeaders.ContentType?.MediaType);
        Assert.True(answer.Headers.CacheControl is { Public: true, MaxAge.TotalSeconds: > 0 });
        Assert.NotNull(answer.Headers.ETag);
        Assert.All(answer.Json.GetProperty("keys").EnumerateArray(), key => Assert.False(key.TryGetProperty("d", out _)));

        // Another test may change the set meanwhile, and change it back.
        EntityTagHeaderValue? seen;
        JsonAnswer head;
        var rounds = 0;
        do
        {
            seen = answer.Headers.ETag;
            head = await stranger.CallAsync(new HttpRequestMessage(HttpMethod.Head, "/.well-known/jwks.json"));
            Assert.Equal(200, head.Code);
            Assert.Empty(head.Body);
            answer = await stranger.MustGetAsync("/.well-known/jwks.json");
        }
        while (!(Equals(head.Headers.ETag, seen) && Equals(answer.Headers.ETag, seen)) && ++rounds < 10);

        Assert.Equal(seen, head.Headers.ETag);
        for (var tag = seen; ;)
        {
            var request = new HttpRequestMessage(HttpMethod.Get, "/.well-known/jwks.json");
            request.Headers.IfNoneMatch.Add(new EntityTagHeaderValue("\"stale\""));
            request.Headers.IfNoneMatch.Add(tag!);
            var again = await stranger.CallAsync(request);
            if (again.Code == 200 && !Equals(again.Headers.ETag, tag))
            {
                tag = again.Headers.ETag;
                continue;
            }

            Assert.Equal(304, again.Code);
            Assert.Empty(again.Body);
            break;
        }
    }

    [Fact]
    public async Task Discovery_names_the_issuer_and_its_key_set()
    {
        using var stranger = service.Process.As(token: null);
        foreach (var path in (string[])["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])
        {
            var answer = await stranger.MustGetAsync(path);
            Assert.Equal(service.Process.Url.ToString().TrimEnd('/'), answer["issuer"]);
            Assert.Equal(200, (await stranger.GetJsonAsync(answer["jwks_uri"])).Code);
            Assert.Contains("ES256", answer["id_token_signing_alg_values_supported"], StringComparison.Ordinal);
        }
    }

    private async Task<(JsonElement Header, JsonElement Payload)> VerifyAsync(string token)
    {
        var parts = token.Split('.');
        var header = Decode(parts[0]);
        var jwk = (await _admin.MustGetAsync("/.well-known/jwks.json")).Json.GetProperty("keys").EnumerateArray()
            .Single(k => string.Equals(k.GetProperty("kid").GetString(), header.GetProperty("kid").GetString(), StringComparison.Ordinal));
        using var key = ECDsa.Create(new ECParameters
        {
            Curve = ECCurve.NamedCurves.nistP256,
            Q = { X = Base64Url.DecodeFromChars(jwk.GetProperty("x").GetString()), Y = Base64Url.DecodeFromChars(jwk.GetProperty("y").GetString()) },
        });
        Assert.True(key.VerifyData(
            Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256,
            DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        return (header, Decode(parts[1]));
    }

    private static JsonElement Decode(string part) => JsonSerializer.Deserialize<JsonElement>(Base64Url.DecodeFromChars(part));
}
