using System.Security.Cryptography;

namespace SignSvc.Tests.Compatibility;

/// <summary>Vault's Transit API as its clients write it on the wire.</summary>
public sealed class TransitTests(RunningService service)
{
    private static readonly string Input = Convert.ToBase64String("hello"u8);

    [Theory]
    [InlineData("X-Vault-Token", "")]
    [InlineData("Authorization", "Bearer ")]
    public async Task Both_headers_carry_the_token(string header, string scheme)
    {
        var token = (await service.NewCredentialAsync("signer"))["token"];
        var request = new HttpRequestMessage(HttpMethod.Get, "/v1/transit/keys/release");
        request.Headers.TryAddWithoutValidation(header, scheme + token);
        request.Headers.TryAddWithoutValidation("X-Vault-Request", "true");
        var answer = await service.Process.As(null).CallAsync(request);
        Assert.Equal(200, answer.Code);
        var data = answer.Json.GetProperty("data");
        Assert.Equal("ecdsa-p256", data.GetProperty("type").GetString());
        Assert.Equal((await service.Admin.MustGetAsync("/v1/keys/release/public-key")).Text, data.GetProperty("keys").GetProperty("1").GetProperty("public_key").GetString());
        Assert.Equal(1, data.GetProperty("latest_version").GetInt32());
    }

    [Fact]
    public async Task Without_a_token_or_with_a_wrong_one_permission_is_denied_in_Vaults_words()
    {
        foreach (var token in (string?[])[null, "hvs.nonsense"])
        {
            var request = new HttpRequestMessage(HttpMethod.Get, "/v1/transit/keys/release");
            if (token is not null)
                request.Headers.TryAddWithoutValidation("X-Vault-Token", token);
            MustBeErrors(await service.Process.As(null).CallAsync(request), 403, "permission denied");
        }
    }

    /// <summary>What cosign's and jsign's clients send.</summary>
    [Theory]
    [InlineData("PUT", "/sha2-256", """{"input":"DIGEST","key_version":"0","prehashed":true,"signature_algorithm":"pkcs1v15"}""")]
    [InlineData("POST", "", """{"key_version":"1","input":"DIGEST","prehashed":true,"hash_algorithm":"sha2-256","signature_algorithm":"pkcs1v15"}""")]
    [InlineData("POST", "", """{"input":"INPUT"}""")]
    [InlineData("POST", "", """{"input":"INPUT","key_version":1,"salt_length":"hash","marshaling_algorithm":"asn1","unknown":{"a":[1]}}""")]
    public async Task A_signature_verifies_with_the_public_key(string method, string hash, string body)
    {
        var signed = await service.Admin.CallAsync(new HttpMethod(method), $"/v1/transit/sign/release{hash}", Filled(body));
        Assert.True(signed.Code == 200, $"{signed}");
        var signature = signed.Json.GetProperty("data").GetProperty("signature").GetString()!;
        Assert.StartsWith("vault:v1:", signature, StringComparison.Ordinal);
        using var key = await service.Admin.ReadEcdsaAsync("release");
        Assert.True(key.VerifyHash(Expectations.Digest("hello"), Convert.FromBase64String(signature[9..]), DSASignatureFormat.Rfc3279DerSequence));
        Assert.NotEmpty(signed.Headers.GetValues("signsvc-audit-id").Single());

        var verified = await service.Admin.CallAsync(
            new HttpMethod(method), $"/v1/transit/verify/release{hash}", Filled($$"""{"input":"DIGEST","prehashed":true,"signature":"{{signature}}"}"""));
        Assert.True(verified.Json.GetProperty("data").GetProperty("valid").GetBoolean(), $"{verified}");
        var other = await service.Admin.CallAsync(
            new HttpMethod(method), $"/v1/transit/verify/release{hash}", $$"""{"input":"AAAA","signature":"{{signature}}"}""");
        Assert.False(other.Json.GetProperty("data").GetProperty("valid").GetBoolean(), $"{other}");
    }

    [Fact]
    public async Task Marshaled_for_JWS_a_signature_is_base64url_of_r_and_s()
    {
        var signed = await service.Admin.MustPostAsync(200, "/v1/transit/sign/release", Filled("""{"input":"INPUT","marshaling_algorithm":"jws"}"""));
        var signature = signed.Json.GetProperty("data").GetProperty("signature").GetString()!;
        using var key = await service.Admin.ReadEcdsaAsync("release");
        var value = System.Buffers.Text.Base64Url.DecodeFromChars(signature.AsSpan(9));
        Assert.True(key.VerifyData("hello"u8, value, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        var verified = await service.Admin.MustPostAsync(
            200, "/v1/transit/verify/release", Filled($$"""{"input":"INPUT","marshaling_algorithm":"jws","signature":"{{signature}}"}"""));
        Assert.True(verified.Json.GetProperty("data").GetProperty("valid").GetBoolean());
    }

    [Fact]
    public async Task An_RSA_key_signs_with_the_padding_that_is_asked_for_and_verifies_either()
    {
        var name = RunningService.NewName("transit-rsa");
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}", """{"type":"rsa-2048"}""");
        using var key = RSA.Create();
        key.ImportFromPem((await service.Admin.MustGetAsync($"/v1/keys/{name}/public-key")).Text);
        foreach (var (wish, hash, padding) in ((string, HashAlgorithmName, RSASignaturePadding)[])
        [
            ("", HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
            ("\"signature_algorithm\":\"pss\",\"salt_length\":64,\"hash_algorithm\":\"sha2-512\",", HashAlgorithmName.SHA512, RSASignaturePadding.Pss),
            ("\"signature_algorithm\":\"pkcs1v15\",", HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            ("\"signature_algorithm\":\"pkcs1v15\",\"hash_algorithm\":\"sha2-384\",", HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1),
        ])
        {
            var signed = await service.Admin.MustPostAsync(200, $"/v1/transit/sign/{name}", Filled($$"""{{{wish}}"input":"INPUT"}"""));
            var signature = signed.Json.GetProperty("data").GetProperty("signature").GetString()!;
            Assert.True(key.VerifyData("hello"u8, Convert.FromBase64String(signature[9..]), hash, padding), wish);
            var verified = await service.Admin.MustPostAsync(
                200, $"/v1/transit/verify/{name}/sha2-{hash.Name![3..]}", Filled($$"""{"input":"INPUT","signature":"{{signature}}"}"""));
            Assert.True(verified.Json.GetProperty("data").GetProperty("valid").GetBoolean(), $"{wish} {verified}");
        }

        MustBeErrors(await service.Admin.PostJsonAsync($"/v1/transit/sign/{name}", Filled("""{"input":"INPUT","salt_length":20}""")), 400, "salt_length");
    }

    [Fact]
    public async Task A_batch_has_a_result_or_an_error_for_each_item()
    {
        var signed = await service.Admin.MustPostAsync(
            200, "/v1/transit/sign/release", Filled("""{"batch_input":[{"input":"INPUT","reference":"a"},{"input":"*"},{}]}"""));
        var results = signed.Json.GetProperty("data").GetProperty("batch_results");
        Assert.Equal(3, results.GetArrayLength());
        Assert.Equal("a", results[0].GetProperty("reference").GetString());
        Assert.Contains("base64", results[1].GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.Contains("missing", results[2].GetProperty("error").GetString(), StringComparison.Ordinal);

        var signature = results[0].GetProperty("signature").GetString();
        var verified = await service.Admin.MustPostAsync(
            200, "/v1/transit/verify/release",
            Filled($$"""{"batch_input":[{"input":"INPUT","signature":"{{signature}}"},{"input":"AAAA","signature":"{{signature}}"},{"input":"AAAA","signature":"x"}]}"""));
        results = verified.Json.GetProperty("data").GetProperty("batch_results");
        Assert.True(results[0].GetProperty("valid").GetBoolean());
        Assert.False(results[1].GetProperty("valid").GetBoolean());
        Assert.Contains("vault:v1", results[2].GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_batch_with_a_reference_that_is_no_text_is_refused_before_anything_is_signed()
    {
        var name = RunningService.NewName("transit");
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}", """{"type":"ecdsa-p256"}""");
        MustBeErrors(
            await service.Admin.PostJsonAsync($"/v1/transit/sign/{name}", Filled("""{"batch_input":[{"input":"INPUT"},{"input":"INPUT","reference":5}]}""")),
            400, "reference");
        Assert.Equal(0, (await service.Admin.MustGetAsync($"/v1/audit?key={name}&action=keys:Sign")).Json.GetProperty("records").GetArrayLength());
    }

    [Fact]
    public async Task A_period_of_rotation_changes_the_period_and_nothing_else()
    {
        var name = RunningService.NewName("transit");
        await service.Admin.MustPostAsync(
            201, "/v1/keys",
            $$"""
            {"name":"{{name}}","purpose":"artifacts","tier":"assured","backend":"software","spec":"ECC_NIST_P256",
              "rotation":{"periodSeconds":864000,"leadSeconds":7200,"graceSeconds":3600,"jitterSeconds":1800,"standby":true} }
            """);
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}/config", """{"auto_rotate_period":"720h"}""");
        Assert.Equal("2592000 7200 3600 1800 True", await RotationAsync());

        // Without a period there is nothing to spread.
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}/config", """{"auto_rotate_period":0}""");
        Assert.Equal(" 7200 3600 0 True", await RotationAsync());

        async Task<string> RotationAsync()
        {
            var rotation = (await service.Admin.MustGetAsync($"/v1/keys/{name}")).Json.GetProperty("rotation");
            return string.Join(' ', ((string[])["periodSeconds", "leadSeconds", "graceSeconds", "jitterSeconds", "standby"])
                .Select(m => rotation.TryGetProperty(m, out var value) ? value.ToString() : ""));
        }
    }

    [Fact]
    public async Task Keys_are_made_listed_rotated_configured_and_deleted()
    {
        var name = RunningService.NewName("transit");
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}", """{"type":"ecdsa-p256","auto_rotate_period":"720h"}""");
        var again = await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}", """{"type":"ecdsa-p256"}""");
        Assert.Contains("already existed", again.Json.GetProperty("warnings")[0].GetString(), StringComparison.Ordinal);
        foreach (var list in (JsonAnswer[])
        [
            await service.Admin.CallAsync(new HttpMethod("LIST"), "/v1/transit/keys", ""),
            await service.Admin.MustGetAsync("/v1/transit/keys?list=true"),
        ])
            Assert.Contains(name, list.Json.GetProperty("data").GetProperty("keys").EnumerateArray().Select(k => k.GetString()), StringComparer.Ordinal);

        var first = await SignAsync(name, "");
        var rotated = (await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}/rotate")).Json.GetProperty("data");
        Assert.Equal(2, rotated.GetProperty("latest_version").GetInt32());
        Assert.StartsWith("vault:v2:", await SignAsync(name, ""), StringComparison.Ordinal);
        Assert.True(await VerifiesAsync(name, first));
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}/config", """{"min_decryption_version":2,"min_encryption_version":2}""");
        Assert.False(await VerifiesAsync(name, first));
        var read = (await service.Admin.MustGetAsync($"/v1/transit/keys/{name}")).Json.GetProperty("data");
        Assert.Equal(2, read.GetProperty("min_decryption_version").GetInt32());
        Assert.Equal(2_592_000, read.GetProperty("auto_rotate_period").GetInt64());

        // 0 is no floor, and no rotation, as a number or as Vault's own client writes it.
        foreach (var zero in (string[])["0", "\"0\""])
        {
            await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}/config", """{"min_decryption_version":2,"min_encryption_version":2,"auto_rotate_period":"720h"}""");
            var none = await service.Admin.MustPostAsync(
                200, $"/v1/transit/keys/{name}/config", $$"""{"min_decryption_version":{{zero}},"min_encryption_version":{{zero}},"auto_rotate_period":{{zero}}}""");
            Assert.Equal(0, none.Json.GetProperty("data").GetProperty("auto_rotate_period").GetInt64());
            Assert.Equal(1, none.Json.GetProperty("data").GetProperty("min_encryption_version").GetInt32());
            Assert.True(await VerifiesAsync(name, first));
        }

        Assert.Contains("BEGIN PUBLIC KEY", (await service.Admin.MustGetAsync($"/v1/transit/export/public-key/{name}/2")).Text, StringComparison.Ordinal);
        MustBeErrors(await service.Admin.GetJsonAsync($"/v1/transit/export/signing-key/{name}"), 400, "do not leave");
        MustBeErrors(await service.Admin.PostJsonAsync($"/v1/transit/keys/{name}/trim", """{"min_available_version":1}"""), 400, "min_decryption_version");

        MustBeErrors(await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/transit/keys/{name}", ""), 400, "protected from deletion");
        await service.Admin.MustPostAsync(200, $"/v1/transit/keys/{name}/config", """{"deletion_allowed":true}""");
        Assert.Equal(200, (await service.Admin.CallAsync(HttpMethod.Delete, $"/v1/transit/keys/{name}", "")).Code);
        MustBeErrors(await service.Admin.PostJsonAsync($"/v1/transit/sign/{name}", Filled("""{"input":"INPUT"}""")), 400, "pending deletion");
    }

    [Theory]
    [InlineData("POST", "sign/release", """{"input":"AAAA","prehashed":true}""", 400, "digests of 32 bytes")]
    [InlineData("POST", "sign/release/sha2-512", """{"input":"AAAA"}""", 400, "signs with ES256")]
    [InlineData("POST", "sign/release/sha1", """{"input":"AAAA"}""", 400, "hash algorithm")]
    [InlineData("POST", "sign/release", """{"input":"AAAA","context":"AAAA"}""", 400, "derived")]
    [InlineData("POST", "sign/release", """{"input":"AAAA","key_version":9}""", 404, "no such version")]
    [InlineData("POST", "sign/tokens", """{"input":"AAAA"}""", 400, "tokens key")]
    [InlineData("POST", "sign/nobody", """{"input":"AAAA"}""", 404, "no such key")]
    [InlineData("GET", "keys/nobody", "", 404, "")]
    [InlineData("GET", "encrypt/release", "", 404, "")]
    [InlineData("POST", "encrypt/release", "{}", 404, "nothing at this address")]
    [InlineData("POST", "verify/release", """{"input":"AAAA","hmac":"vault:v1:AAAA"}""", 400, "HMAC")]
    [InlineData("POST", "keys/transit-bad", """{"type":"ed25519"}""", 400, "ecdsa-p256")]
    [InlineData("POST", "keys/transit-bad", "{}", 400, "aes256-gcm96")]
    [InlineData("POST", "keys/transit-bad", """{"type":"ecdsa-p256","exportable":true}""", 400, "exportable")]
    [InlineData("POST", "keys/transit-bad", """{"type":"ecdsa-p256","auto_rotate_period":""}""", 400, "auto_rotate_period")]
    [InlineData("POST", "keys/transit-bad", "[", 400, "JSON")]
    public async Task A_refusal_is_a_list_of_errors(string method, string path, string body, int status, string words) =>
        MustBeErrors(await service.Admin.CallAsync(new HttpMethod(method), $"/v1/transit/{path}", body), status, words);

    [Fact]
    public async Task A_key_called_transit_is_found_at_its_own_address()
    {
        await service.Admin.MustPostAsync(201, "/v1/keys", """{"name":"transit","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        Assert.Equal("transit", (await service.Admin.MustGetAsync("/v1/keys/transit"))["name"]);
        Assert.Equal("transit", (await service.Admin.MustGetAsync("/v1/transit/keys/transit")).Json.GetProperty("data").GetProperty("name").GetString());
    }

    [Fact]
    public async Task Health_is_open_and_a_token_can_look_at_itself()
    {
        var health = await service.Process.As(null).MustGetAsync("/v1/sys/health");
        Assert.False(health.Json.GetProperty("sealed").GetBoolean());
        var self = (await (await service.AsAsync("signer", "auditor")).MustGetAsync("/v1/auth/token/lookup-self")).Json.GetProperty("data");
        Assert.Equal(["signer", "auditor"], self.GetProperty("policies").EnumerateArray().Select(p => p.GetString()), StringComparer.Ordinal);
        MustBeErrors(await service.Process.As(null).GetJsonAsync("/v1/auth/token/lookup-self"), 403, "permission denied");
    }

    private async Task<string> SignAsync(string key, string path) =>
        (await service.Admin.MustPostAsync(200, $"/v1/transit/sign/{key}{path}", Filled("""{"input":"INPUT"}"""))).Json.GetProperty("data").GetProperty("signature").GetString()!;

    private async Task<bool> VerifiesAsync(string key, string signature) =>
        (await service.Admin.MustPostAsync(200, $"/v1/transit/verify/{key}", Filled($$"""{"input":"INPUT","signature":"{{signature}}"}""")))
            .Json.GetProperty("data").GetProperty("valid").GetBoolean();

    private static string Filled(string body) =>
        body.Replace("INPUT", Input, StringComparison.Ordinal).Replace("DIGEST", Expectations.Base64Digest("hello"), StringComparison.Ordinal);

    private static void MustBeErrors(JsonAnswer answer, int status, string words)
    {
        Assert.True(answer.Code == status, $"expected {status}: {answer}");
        Assert.Equal("application/json", answer.ContentHeaders.ContentType?.MediaType);
        var errors = answer.Json.GetProperty("errors").EnumerateArray().Select(e => e.GetString()!).ToArray();
        if (words.Length == 0)
            Assert.Empty(errors);
        else
            Assert.Contains(words, Assert.Single(errors), StringComparison.Ordinal);
    }
}
