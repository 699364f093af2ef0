using System.IO.Compression;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

namespace SignSvc.Tests.OAuth;

/// <summary>Issuers with keys of their own, key sets of single keys, certificate chains, and profiles that change.</summary>
public sealed class IssuerTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task An_issuer_has_a_key_set_and_metadata_of_its_own_and_its_key_leaves_the_service_s()
    {
        var name = RunningService.NewName("own");
        var kid = await NewKeyAsync(name, "RSA_2048", "PS256");
        Assert.Contains(kid, await KidsAsync("/.well-known/jwks.json"), StringComparer.Ordinal);
        await PutAsync(name, $$"""{"key":"{{name}}","issuer":"{{name}}","audiences":["a"]}""");
        Assert.Equal([kid], await KidsAsync($"/issuers/{name}/jwks.json"));
        Assert.DoesNotContain(kid, await KidsAsync("/.well-known/jwks.json"), StringComparer.Ordinal);

        using var stranger = service.Process.As(token: null);
        foreach (var path in (string[])
            [
                $"/issuers/{name}/.well-known/openid-configuration", $"/issuers/{name}/.well-known/oauth-authorization-server",
                $"/.well-known/oauth-authorization-server/issuers/{name}", $"/.well-known/openid-configuration/issuers/{name}",
            ])
        {
            var metadata = await stranger.MustGetAsync(path);
            Assert.Equal($"{service.Process.Url}issuers/{name}", metadata["issuer"]);
            Assert.Equal("""["PS256"]""", metadata.Json.GetProperty("id_token_signing_alg_values_supported").GetRawText());
            Assert.Equal(405, (await stranger.GetJsonAsync(metadata["token_endpoint"])).Code);
            Assert.Equal([kid], await KidsAsync(metadata["jwks_uri"]));
        }

        (await stranger.GetJsonAsync("/issuers/nobody/jwks.json")).MustBeProblem(404, "not-found");
        (await stranger.GetJsonAsync("/issuers/nobody/.well-known/openid-configuration")).MustBeProblem(404, "not-found");
    }

    [Fact]
    public async Task A_profile_that_changes_its_key_goes_on_publishing_the_old_one()
    {
        var name = RunningService.NewName("moved");
        var first = await NewKeyAsync($"{name}-1");
        var second = await NewKeyAsync($"{name}-2");
        await PutAsync(name, $$"""{"key":"{{name}}-1","issuer":"{{name}}","audiences":["a"]}""");
        var moved = $$"""{"key":"{{name}}-2","issuer":"{{name}}","audiences":["a"]}""";
        var refused = await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", moved);
        refused.MustBeProblem(409, "key-not-usable");
        Assert.Contains($"does not show {name}-2", refused["detail"], StringComparison.Ordinal);
        Assert.Equal([first], await KidsAsync($"/issuers/{name}/jwks.json"));
        await PutAsync($"{name}?force=true", moved);
        Assert.Equal([first, second], await KidsAsync($"/issuers/{name}/jwks.json"));
        var other = $"{name}-other";
        await PutAsync(name, $$"""{"key":"{{name}}-2","issuer":"{{other}}","audiences":["a"]}""");
        Assert.Contains(second, await KidsAsync($"/issuers/{name}/jwks.json"), StringComparer.Ordinal);
        Assert.Equal([second], await KidsAsync($"/issuers/{other}/jwks.json"));
    }

    [Fact]
    public async Task A_key_that_moves_to_another_issuer_stays_with_the_service_while_its_tokens_are_alive()
    {
        var name = RunningService.NewName("left");
        var kid = await NewKeyAsync(name);
        await PutAsync(name, $$"""{"key":"{{name}}","audiences":["a"]}""");
        await PutAsync(name, $$"""{"key":"{{name}}","audiences":["a"],"issuer":"{{name}}"}""");
        Assert.Contains(kid, await KidsAsync("/.well-known/jwks.json"), StringComparer.Ordinal);
        Assert.Equal([kid], await KidsAsync($"/issuers/{name}/jwks.json"));
    }

    [Fact]
    public async Task A_key_that_is_pending_deletion_gets_no_profile()
    {
        var name = RunningService.NewName("dying");
        await NewKeyAsync(name);
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Delete, $"/v1/keys/{name}", "")).Code);
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"]}""")).MustBeProblem(409, "key-not-usable");
    }

    [Fact]
    public async Task Every_key_has_a_key_set_also_an_assured_one()
    {
        using var stranger = service.Process.As(token: null);
        var keySet = await stranger.MustGetAsync("/v1/keys/release/jwks.json");
        var jwk = Assert.Single(keySet.Json.GetProperty("keys").EnumerateArray());
        Assert.Equal((await _admin.MustGetAsync("/v1/keys/release")).Json.GetProperty("versions")[0].GetProperty("kid").GetString(), jwk.GetProperty("kid").GetString());
        (await stranger.GetJsonAsync("/v1/keys/nobody/jwks.json")).MustBeProblem(404, "not-found");
        await _admin.CallAsync(HttpMethod.Put, "/v1/aliases/prod%2Fset", """{"key":"release"}""");
        Assert.Equal(keySet.Text, (await stranger.MustGetAsync("/v1/keys/prod%2Fset/jwks.json")).Text);
    }

    [Fact]
    public async Task A_key_set_is_compressed_where_that_is_asked_for_and_its_tag_names_the_bytes()
    {
        using var stranger = service.Process.As(token: null);
        const string path = "/v1/keys/release/jwks.json";
        var plain = await stranger.MustGetAsync(path);
        Assert.Equal("*", plain.Headers.GetValues("Access-Control-Allow-Origin").Single());
        Assert.Contains("Accept-Encoding", plain.Headers.Vary, StringComparer.Ordinal);
        var packed = await CallAsync(HttpMethod.Get, "gzip, br");
        Assert.Contains("gzip", packed.ContentHeaders.ContentEncoding, StringComparer.Ordinal);
        Assert.NotEqual(plain.Headers.ETag, packed.Headers.ETag);
        using var unpacked = new MemoryStream();
        await using (var gzip = new GZipStream(new MemoryStream(packed.Body), CompressionMode.Decompress))
            await gzip.CopyToAsync(unpacked, TestContext.Current.CancellationToken);
        Assert.Equal(plain.Body, unpacked.ToArray());

        Assert.Empty((await CallAsync(HttpMethod.Get, "gzip;q=0")).ContentHeaders.ContentEncoding);
        Assert.Empty((await CallAsync(HttpMethod.Get, "*")).ContentHeaders.ContentEncoding);
        var head = await CallAsync(HttpMethod.Head, "gzip");
        Assert.Equal(packed.Headers.ETag, head.Headers.ETag);
        Assert.Empty(head.Body);
        Assert.Equal(304, (await CallAsync(HttpMethod.Get, "gzip", packed.Headers.ETag)).Code);
        Assert.Equal(304, (await CallAsync(HttpMethod.Get, "identity", plain.Headers.ETag)).Code);

        Task<JsonAnswer> CallAsync(HttpMethod method, string encoding, EntityTagHeaderValue? tag = null)
        {
            var request = new HttpRequestMessage(method, path);
            request.Headers.TryAddWithoutValidation("Accept-Encoding", encoding);
            if (tag is not null)
                request.Headers.IfNoneMatch.Add(tag);
            return stranger.CallRawAsync(request);
        }
    }

    [Fact]
    public async Task The_age_of_a_key_set_follows_the_shortest_lead()
    {
        var name = RunningService.NewName("short");
        await _admin.MustPostAsync(
            201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"ECC_NIST_P256","rotation":{"periodSeconds":3600,"leadSeconds":120} }""");
        await PutAsync(name, $$"""{"key":"{{name}}","issuer":"{{name}}","audiences":["a"]}""");
        Assert.Equal(40, (await _admin.MustGetAsync($"/issuers/{name}/jwks.json")).Headers.CacheControl?.MaxAge?.TotalSeconds);
        Assert.Equal(300, (await _admin.MustGetAsync("/v1/keys/tokens/jwks.json")).Headers.CacheControl?.MaxAge?.TotalSeconds);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(5, true)]
    [InlineData(659, true)]
    [InlineData(660, false)]
    public async Task A_lead_that_is_shorter_than_verifiers_need_is_said_and_the_age_of_the_key_set_is_no_longer_than_it(int lead, bool isSaid)
    {
        var name = RunningService.NewName("lead");
        var made = await _admin.MustPostAsync(
            201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"ECC_NIST_P256","rotation":{"leadSeconds":{{lead}}} }""");
        Assert.Equal(isSaid, made.Text.Contains("660 seconds would do", StringComparison.Ordinal));
        Assert.Equal(isSaid, (await _admin.MustGetAsync($"/v1/keys/{name}")).Text.Contains($"a lead of {lead} seconds", StringComparison.Ordinal));
        var age = (await _admin.MustGetAsync($"/v1/keys/{name}/jwks.json")).Headers.CacheControl?.MaxAge?.TotalSeconds;
        Assert.InRange(age!.Value, 1, lead == 0 ? 300 : lead);
        // No profile signs with it: nobody else's verifiers pay for its lead.
        Assert.True((await _admin.MustGetAsync("/.well-known/jwks.json")).Headers.CacheControl?.MaxAge?.TotalSeconds > 5);
    }

    [Fact]
    public async Task A_chain_of_the_version_s_own_key_stands_in_x5c_and_another_is_refused()
    {
        var name = RunningService.NewName("chained");
        await NewKeyAsync(name);
        using var own = await _admin.ReadEcdsaAsync(name);
        using var authority = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var stranger = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var root = Root("CN=root", authority);
        using var otherRoot = Root("CN=other", stranger);
        using var leaf = Leaf(own, root, authority);
        using var ofOther = Leaf(stranger, root, authority);
        using var expired = Leaf(own, root, authority, days: -1);

        Assert.Equal(200, (await ChainAsync(name, leaf, root)).Code);
        var jwk = (await _admin.MustGetAsync($"/v1/keys/{name}/jwks.json")).Json.GetProperty("keys")[0];
        Assert.Equal([Convert.ToBase64String(leaf.RawData), Convert.ToBase64String(root.RawData)], jwk.GetProperty("x5c").EnumerateArray().Select(c => c.GetString()!), StringComparer.Ordinal);
        Assert.Equal(200, (await ChainAsync(name, leaf)).Code);

        (await ChainAsync(name, ofOther, root)).MustBeProblem(400, "invalid-request");
        (await ChainAsync(name, root, leaf)).MustBeProblem(400, "invalid-request");
        (await ChainAsync(name, leaf, otherRoot)).MustBeProblem(400, "invalid-request");
        (await ChainAsync(name, expired, root)).MustBeProblem(400, "invalid-request");
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/keys/{name}/versions/1/chain", """{"pem":"x"}""")).MustBeProblem(400, "invalid-request");
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/keys/{name}/versions/9/chain", """{"pem":""}""")).MustBeProblem(404, "not-found");
        Assert.Equal(200, (await ChainAsync(name)).Code);
        Assert.False((await _admin.MustGetAsync($"/v1/keys/{name}/jwks.json")).Json.GetProperty("keys")[0].TryGetProperty("x5c", out _));
    }

    private Task<JsonAnswer> ChainAsync(string key, params X509Certificate2[] chain) => _admin.CallAsync(
        HttpMethod.Put, $"/v1/keys/{key}/versions/1/chain",
        $$"""{"pem":"{{string.Concat(chain.Select(c => c.ExportCertificatePem() + "\n")).Replace("\n", "\\n", StringComparison.Ordinal)}}"}""");

    private static X509Certificate2 Root(string name, ECDsa key)
    {
        var request = new CertificateRequest(name, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-30), now.AddDays(30));
    }

    /// <summary>Of a public key alone: its private half is the service's.</summary>
    private static X509Certificate2 Leaf(ECDsa publicKey, X509Certificate2 issuer, ECDsa issuerKey, int days = 10)
    {
        var request = new CertificateRequest(new X500DistinguishedName("CN=leaf"), new PublicKey(publicKey), HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        return request.Create(
            issuer.SubjectName, X509SignatureGenerator.CreateForECDsa(issuerKey), now.AddDays(-20), now.AddDays(days), RandomNumberGenerator.GetBytes(8));
    }

    private async Task<string> NewKeyAsync(string name, string spec = "ECC_NIST_P256", string algorithm = "ES256")
    {
        var key = await _admin.MustPostAsync(
            201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"{{spec}}","algorithms":["{{algorithm}}"]}""");
        return key.Json.GetProperty("versions")[0].GetProperty("kid").GetString()!;
    }

    private async Task PutAsync(string profile, string body)
    {
        var answer = await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{profile}", body);
        Assert.True(answer.Code == 200, answer.ToString());
    }

    private async Task<List<string>> KidsAsync(string path) =>
        [.. (await _admin.MustGetAsync(path)).Json.GetProperty("keys").EnumerateArray().Select((JsonElement k) => k.GetProperty("kid").GetString()!)];
}
