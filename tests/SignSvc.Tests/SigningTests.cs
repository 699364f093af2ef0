using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Tests;

/// <summary>Keys and signatures as the API's examples have them.</summary>
public sealed class SigningTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task A_key_is_created_as_the_example_shows()
    {
        var answer = await _admin.MustPostAsync(
            201, "/v1/keys",
            """{"name":"ci","purpose":"artifacts","tier":"assured","backend":"software","spec":"RSA_3072","algorithms":["RS256"]}""");

        Assert.Equal("/v1/keys/ci", answer.Headers.Location?.OriginalString);
        Assert.Equal("ci", answer["name"]);
        Assert.Equal("artifacts", answer["purpose"]);
        Assert.Equal("assured", answer["tier"]);
        Assert.Equal("software", answer["backend"]);
        Assert.Equal("software", answer["protection"]);
        Assert.Equal("RSA_3072", answer["spec"]);
        Assert.Equal("""["RS256"]""", answer["algorithms"]);
        Assert.Equal("enabled", answer["state"]);
        Assert.Contains("software", answer["warnings"], StringComparison.Ordinal);
        var version = Assert.Single(answer.Json.GetProperty("versions").EnumerateArray());
        Assert.Equal(1, version.GetProperty("version").GetInt32());
        Assert.Equal("active", version.GetProperty("state").GetString());
        Assert.NotEmpty(version.GetProperty("kid").GetString()!);
        Assert.True(version.GetProperty("createdAt").TryGetDateTimeOffset(out _));

        var read = await _admin.MustGetAsync("/v1/keys/ci");
        Assert.Equal(answer.Text, read.Text);
        Assert.Equal(answer.Text, (await _admin.MustGetAsync($"/v1/keys/{answer["id"]}")).Text);
    }

    [Theory]
    [InlineData("der", DSASignatureFormat.Rfc3279DerSequence)]
    [InlineData("p1363", DSASignatureFormat.IeeeP1363FixedFieldConcatenation)]
    public async Task A_digest_is_signed_as_the_example_shows(string encoding, DSASignatureFormat format)
    {
        var answer = await _admin.MustPostAsync(
            200, "/v1/keys/release/sign",
            $$$$"""{"digest":"{{{{Expectations.Base64Digest("app")}}}}","algorithm":"ES256","encoding":"{{{{encoding}}}}","context":{"artifact":{"type":"blob","name":"app.tar.gz"}}}""");

        Assert.Equal("ES256", answer["algorithm"]);
        Assert.Equal(encoding, answer["encoding"]);
        Assert.Equal("1", answer["version"]);
        using var key = await _admin.ReadEcdsaAsync("release");
        Assert.True(key.VerifyHash(Expectations.Digest("app"), answer.Json.GetProperty("signature").GetBytesFromBase64(), format));

        var read = await _admin.MustGetAsync("/v1/keys/release");
        Assert.Equal(read["id"], answer["keyId"]);
        Assert.Equal(read.Json.GetProperty("versions")[0].GetProperty("kid").GetString(), answer["kid"]);

        var found = await _admin.MustGetAsync($"/v1/audit?auditId={answer["auditId"]}");
        var record = Assert.Single(found.Json.GetProperty("records").EnumerateArray());
        Assert.Equal(Expectations.Base64Digest("app"), record.GetProperty("digest").GetString());
        Assert.Equal("app.tar.gz", record.GetProperty("context").GetProperty("artifact").GetProperty("name").GetString());
    }

    [Fact]
    public async Task A_signature_verifies_and_a_flipped_bit_does_not()
    {
        var digest = Expectations.Base64Digest("verify");
        var signed = await _admin.MustPostAsync(200, "/v1/keys/release/sign", $$"""{"digest":"{{digest}}"}""");
        var valid = await _admin.MustPostAsync(
            200, "/v1/keys/release/verify",
            $$"""{"digest":"{{digest}}","signature":"{{signed["signature"]}}","algorithm":"ES256","encoding":"der"}""");
        Assert.Equal("""{"valid":true,"version":1}""", valid.Text);

        var other = await _admin.MustPostAsync(
            200, "/v1/keys/release/verify",
            $$"""{"digest":"{{Expectations.Base64Digest("other")}}","signature":"{{signed["signature"]}}"}""");
        Assert.Equal("""{"valid":false}""", other.Text);
    }

    [Fact]
    public async Task Every_spec_signs_with_every_algorithm_it_has_and_outside_code_agrees()
    {
        string[] specs = ["RSA_2048", "ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"];
        foreach (var spec in specs)
        {
            var algorithms = spec.StartsWith("RSA", StringComparison.Ordinal)
                ? new[] { "RS256", "RS384", "RS512", "PS256", "PS384", "PS512" }
                : [spec switch { "ECC_NIST_P256" => "ES256", "ECC_NIST_P384" => "ES384", _ => "ES512" }];
            var name = RunningService.NewName("spec");
            var list = string.Join(',', algorithms.Select(a => $"\"{a}\""));
            await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"{{spec}}","algorithms":[{{list}}]}""");
            var pem = (await _admin.MustGetAsync($"/v1/keys/{name}/public-key")).Text;
            foreach (var algorithm in algorithms)
            {
                var message = Encoding.UTF8.GetBytes($"{spec} {algorithm}");
                var answer = await _admin.MustPostAsync(
                    200, $"/v1/keys/{name}/sign", $$"""{"message":"{{Convert.ToBase64String(message)}}","algorithm":"{{algorithm}}"}""");
                Assert.True(Verifies(pem, algorithm, message, answer.Json.GetProperty("signature").GetBytesFromBase64()), $"{spec} {algorithm}");
            }
        }
    }

    [Fact]
    public async Task A_batch_answers_each_item_in_its_place()
    {
        var good = Expectations.Base64Digest("good");
        var answer = await _admin.MustPostAsync(
            200, "/v1/keys/release/sign-batch",
            $$"""{"items":[{"digest":"{{good}}"},{"digest":"AAAA"},{"digest":"{{good}}","algorithm":"RS256"},{},{"digest":"{{good}}","encoding":"p1363"}]}""");
        var results = answer.Json.GetProperty("results").EnumerateArray().ToArray();
        Assert.Equal(5, results.Length);
        Assert.Equal("der", results[0].GetProperty("encoding").GetString());
        results[1].GetProperty("problem").MustBeProblem(400, "invalid-digest");
        results[2].GetProperty("problem").MustBeProblem(400, "algorithm-mismatch");
        results[3].GetProperty("problem").MustBeProblem(400, "invalid-request");
        Assert.Equal("p1363", results[4].GetProperty("encoding").GetString());
        Assert.Equal(64, results[4].GetProperty("signature").GetBytesFromBase64().Length);
    }

    [Fact]
    public async Task A_batch_holds_1_to_1000_items()
    {
        var item = $$"""{"digest":"{{Expectations.Base64Digest("batch")}}"}""";
        var full = await _admin.MustPostAsync(200, "/v1/keys/release/sign-batch", Batch(1000));
        var ids = full.Json.GetProperty("results").EnumerateArray().Select(r => r.GetProperty("auditId").GetString()!).ToHashSet(StringComparer.Ordinal);
        Assert.Equal(1000, ids.Count);
        (await _admin.PostJsonAsync("/v1/keys/release/sign-batch", Batch(1001))).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/keys/release/sign-batch", Batch(0))).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/keys/release/sign-batch", """{"items":[null]}""")).MustBeProblem(400, "invalid-request");

        string Batch(int count) => $$"""{"items":[{{string.Join(',', Enumerable.Repeat(item, count))}}]}""";
    }

    [Fact]
    public async Task A_public_key_comes_as_PEM_DER_and_JWK_of_the_same_key()
    {
        var pem = await _admin.MustGetAsync("/v1/keys/release/public-key?format=pem");
        Assert.Equal("application/x-pem-file", pem.ContentHeaders.ContentType?.MediaType);
        var der = await _admin.MustGetAsync("/v1/keys/release/public-key?format=der&version=1");
        Assert.Equal("application/pkix-spki", der.ContentHeaders.ContentType?.MediaType);
        var jwk = await _admin.MustGetAsync("/v1/keys/release/public-key?format=jwk");
        Assert.Equal("application/jwk+json", jwk.ContentHeaders.ContentType?.MediaType);

        using var key = ECDsa.Create();
        key.ImportFromPem(pem.Text);
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), der.Body);
        Assert.Equal(System.Buffers.Text.Base64Url.EncodeToString(key.ExportParameters(false).Q.X), jwk["x"]);
        Assert.Equal((await _admin.MustGetAsync("/v1/keys/release")).Json.GetProperty("versions")[0].GetProperty("kid").GetString(), jwk["kid"]);

        (await _admin.GetJsonAsync("/v1/keys/release/public-key?format=xml")).MustBeProblem(400, "invalid-request");
        (await _admin.GetJsonAsync("/v1/keys/release/public-key?version=2")).MustBeProblem(404, "not-found");
    }

    [Fact]
    public async Task Keys_are_listed_in_pages_and_by_filter()
    {
        var tag = RunningService.NewName("tag");
        foreach (var name in Enumerable.Range(0, 5).Select(_ => RunningService.NewName("listed")))
        {
            await _admin.MustPostAsync(
                201, "/v1/keys", $$$"""{"name":"{{{name}}}","purpose":"artifacts","spec":"ECC_NIST_P256","tags":{"group":"{{{tag}}}"}}""");
        }

        var names = new List<string>();
        for (string? after = null, query = $"tag=group={tag}&limit=2&purpose=artifacts&tier=assured&state=enabled&prefix=listed"; ;)
        {
            var page = await _admin.MustGetAsync($"/v1/keys?{query}{(after is null ? "" : $"&after={after}")}");
            names.AddRange(page.Json.GetProperty("keys").EnumerateArray().Select(k => k.GetProperty("name").GetString()!));
            if (!page.Json.TryGetProperty("next", out var next))
                break;
            after = next.GetString();
        }

        Assert.Equal(5, names.Count);
        Assert.Equal(names.Order(StringComparer.Ordinal).Distinct(StringComparer.Ordinal), names, StringComparer.Ordinal);
        (await _admin.GetJsonAsync("/v1/keys?limit=0")).MustBeProblem(400, "invalid-request");
        (await _admin.GetJsonAsync("/v1/keys?tier=9")).MustBeProblem(400, "invalid-request");
    }

    [Fact]
    public async Task A_tokens_key_signs_no_artifact() =>
        (await _admin.PostJsonAsync("/v1/keys/tokens/sign", $$"""{"digest":"{{Expectations.Base64Digest("x")}}"}""")).MustBeProblem(409, "key-not-usable");

    private static bool Verifies(string pem, string algorithm, byte[] message, byte[] signature)
    {
        var hash = new HashAlgorithmName($"SHA{algorithm[2..]}");
        if (algorithm[0] == 'E')
        {
            using var ecdsa = ECDsa.Create();
            ecdsa.ImportFromPem(pem);
            return ecdsa.VerifyData(message, signature, hash, DSASignatureFormat.Rfc3279DerSequence);
        }

        using var rsa = RSA.Create();
        rsa.ImportFromPem(pem);
        return rsa.VerifyData(message, signature, hash, algorithm[0] == 'R' ? RSASignaturePadding.Pkcs1 : RSASignaturePadding.Pss);
    }
}
