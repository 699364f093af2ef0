using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Tests.OAuth;

/// <summary>Profiles: templates, rules, explanations, payloads.</summary>
public sealed class ProfileTests(RunningService service)
{
    private readonly HttpClient _admin = service.Admin;

    [Fact]
    public async Task A_profile_says_what_tokens_say_and_what_callers_may_add()
    {
        var name = RunningService.NewName("rules");
        var put = await _admin.CallAsync(
            HttpMethod.Put, $"/v1/profiles/{name}",
            """
            {"key":"tokens","audiences":["api://deploy"],"subject":"deploy:{request.claims.env}",
             "claims":{"by":"{caller.principal}","fixed":5,"region":"{request.claims.region?}"},
             "callerClaims":{"env":{"type":"string","values":["prod","test"]},"region":{"type":"string","pattern":"[a-z]{2}-[a-z]+-[0-9]"}},
             "requiredClaims":["env"],"lint":{"aud":{"type":"string"},"debug":{"forbidden":true}}}
            """);
        Assert.True(put.Code == 200, put.ToString());
        Assert.Equal(put.Text, (await _admin.MustGetAsync($"/v1/profiles/{name}")).Text);

        var issued = await _admin.MustPostAsync(201, "/v1/tokens", $$$"""{"profile":"{{{name}}}","claims":{"env":"prod","region":"eu-west-1"} }""");
        var claims = OAuthCalls.Decode(issued["token"], 1);
        Assert.Equal("deploy:prod", claims.GetProperty("sub").GetString());
        Assert.Equal("credential:bootstrap", claims.GetProperty("by").GetString());
        Assert.Equal(5, claims.GetProperty("fixed").GetInt32());
        Assert.Equal("eu-west-1", claims.GetProperty("region").GetString());
        Assert.Equal("prod", claims.GetProperty("env").GetString());

        foreach (var wish in (string[])["{}", """{"env":"dev"}""", """{"env":1}""", """{"env":"prod","other":1}""", """{"env":"prod","region":"eu-west-1\n"}"""])
            (await _admin.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{name}}","claims":{{wish}} }""")).MustBeProblem(400, "invalid-request");
    }

    [Theory]
    [InlineData("""{"claims":{"iss":"x"}}""")]
    [InlineData("""{"claims":{"a":"{nobody}"}}""")]
    [InlineData("""{"claims":{"a":"{"}}""")]
    [InlineData("""{"callerClaims":{"sub":{}}}""")]
    [InlineData("""{"callerClaims":{"a":{"pattern":"("}}}""")]
    [InlineData("""{"callerClaims":{"a":{"pattern":"(?=a)"}}}""")]
    [InlineData("""{"callerClaims":{"a":{"type":"text"}}}""")]
    [InlineData("""{"callerClaims":{"a":null}}""")]
    [InlineData("""{"lint":{"a":{"type":"integer","pattern":"1"}}}""")]
    [InlineData("""{"subject":"{"}""")]
    [InlineData("""{"grants":["password"]}""")]
    [InlineData("""{"scopes":["a b"]}""")]
    [InlineData("""{"type":"jwt\""}""")]
    [InlineData("""{"type":"at+JWT"}""")]
    [InlineData("""{"type":"AT+jwt"}""")]
    [InlineData("""{"claims":{"a":"\ud800"}}""")]
    [InlineData("""{"claims":{"a":{"\ud800":1}}}""")]
    [InlineData("""{"claims":{"\ud800":1}}""")]
    [InlineData("""{"callerClaims":{"a":{"values":["\ud800"]}}}""")]
    [InlineData("""{"payloads":true,"type":"at+jwt"}""")]
    [InlineData("""{"payloads":true,"type":"x+JWT"}""")]
    [InlineData("""{"payloads":true,"scopes":["a"]}""")]
    [InlineData("""{"payloads":true}""")]
    [InlineData("""{"issuer":"Not A Name"}""")]
    [InlineData("""{"requiredClaims":[""]}""")]
    public async Task A_profile_that_makes_no_sense_is_refused(string members) => (await _admin.CallAsync(
        HttpMethod.Put, $"/v1/profiles/{RunningService.NewName("profile")}", $$"""{"key":"tokens","audiences":["a"],{{members[1..]}}""")).MustBeProblem(400, "invalid-request");

    [Fact]
    public async Task An_explanation_shows_the_token_unsigned_and_is_on_record_as_one()
    {
        var body = """{"profile":"default","subject":"s","audience":"a","lifetimeSeconds":60,"claims":{"env":"prod"}}""";
        var made = await service.NewCredentialAsync("signer");
        using var signer = service.Process.As(made["token"]);
        var explained = await signer.MustPostAsync(200, "/v1/tokens/explain", body);
        Assert.Equal("at+jwt", explained.Json.GetProperty("header").GetProperty("typ").GetString());
        var claims = explained.Json.GetProperty("claims");
        Assert.Equal("prod", claims.GetProperty("env").GetString());
        Assert.Equal(60, claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64());
        Assert.DoesNotMatch(@"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.", explained.Text);
        var record = (await _admin.MustGetAsync($"/v1/audit?action=tokens:Explain&caller={made["principal"]}&limit=1")).Json.GetProperty("records")[0];
        Assert.Equal("profile/default", record.GetProperty("resource").GetString());

        (await _admin.PostJsonAsync("/v1/tokens/explain", """{"profile":"default"}""")).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/tokens/explain", """{"profile":"nobody"}""")).MustBeProblem(404, "not-found");
        using var auditor = await service.AsAsync("auditor");
        (await auditor.PostJsonAsync("/v1/tokens/explain", body)).MustBeProblem(403, "forbidden");
    }

    [Fact]
    public async Task A_payload_is_signed_under_a_key_of_its_own_that_no_issuer_publishes()
    {
        var name = RunningService.NewName("payloads");
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", """{"key":"tokens","audiences":["a"],"payloads":true}""")).MustBeProblem(400, "invalid-request");
        await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"tokens","spec":"ECC_NIST_P384"}""");
        Assert.Equal(200, (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}", $$"""{"key":"{{name}}","audiences":["a"],"payloads":true,"type":"vnd.acme.order"}""")).Code);

        // Of an issuer that no profile of another test names.
        var payload = Encoding.UTF8.GetBytes($$"""{"iss":"https://{{name}}.example","order":7}""");
        await MustNotSignClaimsAsync(name);
        var signed = await _admin.MustPostAsync(201, "/v1/tokens/jws", $$"""{"profile":"{{name}}","payload":"{{Convert.ToBase64String(payload)}}"}""");
        var parts = signed["jws"].Split('.');
        Assert.Equal(payload, Base64Url.DecodeFromChars(parts[1]));
        Assert.Equal($$"""{"alg":"ES384","kid":"{{signed["kid"]}}","typ":"vnd.acme.order"}""", Encoding.UTF8.GetString(Base64Url.DecodeFromChars(parts[0])));
        using var key = await _admin.ReadEcdsaAsync(name);
        Assert.True(key.VerifyData(
            Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA384,
            DSASignatureFormat.IeeeP1363FixedFieldConcatenation));
        var detached = await _admin.MustPostAsync(201, "/v1/tokens/jws", $$"""{"profile":"{{name}}","payload":"{{Convert.ToBase64String(payload)}}","detached":true}""");
        Assert.Empty(detached["jws"].Split('.')[1]);

        Assert.DoesNotContain(signed["kid"], (await _admin.MustGetAsync("/.well-known/jwks.json")).Text, StringComparison.Ordinal);
        Assert.Contains(signed["kid"], (await _admin.MustGetAsync($"/v1/keys/{name}/jwks.json")).Text, StringComparison.Ordinal);
        (await _admin.PostJsonAsync("/v1/tokens", $$"""{"profile":"{{name}}","audience":"a"}""")).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/tokens/jws", """{"profile":"default","payload":"AAAA"}""")).MustBeProblem(400, "invalid-request");
        (await _admin.PostJsonAsync("/v1/tokens/jws", $$"""{"profile":"{{name}}","payload":"?"}""")).MustBeProblem(400, "invalid-request");
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{name}-token", $$"""{"key":"{{name}}","audiences":["a"]}""")).MustBeProblem(400, "invalid-request");
    }

    /// <summary>A verifier that has the key in its copy of the service's key set, from before, knows a token by its issuer alone.</summary>
    private async Task MustNotSignClaimsAsync(string profile)
    {
        var issuer = RunningService.NewName("hosted");
        foreach (var (put, iss) in ((string, string)[])[(issuer, issuer), ($"{issuer}-elsewhere", "https://tokens.example/x")])
            await _admin.MustPutAsync(200, $"/v1/profiles/{put}", $$"""{"key":"tokens","audiences":["a"],"issuer":"{{iss}}"}""");
        var own = service.Process.Url.ToString().TrimEnd('/');
        foreach (var iss in (string[])[own, $"{own}/", own.ToUpperInvariant(), $"{own}/issuers/{issuer}", "https://tokens.example/x"])
        {
            var claims = $$"""{"sub":"admin","iss":"{{iss}}","exp":4102444800}""";
            foreach (var payload in (byte[][])
                [
                    Encoding.UTF8.GetBytes(claims), Encoding.UTF8.GetBytes($" \n{claims}"), [.. Encoding.UTF8.GetPreamble(), .. Encoding.UTF8.GetBytes(claims)],
                    Encoding.Unicode.GetBytes(claims), Encoding.BigEndianUnicode.GetBytes(claims), Encoding.UTF32.GetBytes(claims),
                    Encoding.UTF8.GetBytes(claims.Replace("iss", "ISS", StringComparison.Ordinal)),
                    Encoding.UTF8.GetBytes(claims.Replace("iss", "i\\u0073s", StringComparison.Ordinal)),
                    Encoding.UTF8.GetBytes($$"""{"iss":"https://other.example",{{claims[1..]}}"""),
                    Encoding.UTF8.GetBytes($"{claims[..^1]},\"x\":NaN}}"),
                ])
            {
                var refused = await _admin.PostJsonAsync("/v1/tokens/jws", $$"""{"profile":"{{profile}}","payload":"{{Convert.ToBase64String(payload)}}"}""");
                refused.MustBeProblem(400, "invalid-request");
                Assert.Contains("iss", refused["detail"], StringComparison.Ordinal);
            }
        }

        foreach (var payload in (string[])[$$$"""{"order":{"iss":"{{{own}}}"} }""", $$"""["iss","{{own}}"]""", $"iss: {own}", "", "{", """{"a":"b"}"""])
            await _admin.MustPostAsync(201, "/v1/tokens/jws", $$"""{"profile":"{{profile}}","payload":"{{Convert.ToBase64String(Encoding.UTF8.GetBytes(payload))}}"}""");
    }
}
