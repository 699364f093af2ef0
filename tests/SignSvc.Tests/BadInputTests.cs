using System.Net.Sockets;
using System.Text;

namespace SignSvc.Tests;

/// <summary>Input that nobody should send: each is a clear problem, never a 5xx.</summary>
public sealed class BadInputTests(RunningService service)
{
    private static readonly string Good = Expectations.Base64Digest("good");

    private readonly HttpClient _admin = service.Admin;

    public static TheoryData<string, int, string> BadSignatures => new()
    {
        { $$"""{"digest":"{{Good}}","colour":"red"}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","digest":"{{Good}}"}""", 400, "invalid-request" },
        { $$"""{"Digest":"{{Good}}"}""", 400, "invalid-request" },
        { """{"digest":7}""", 400, "invalid-request" },
        { """{"digest":["a"]}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","version":"1"}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","version":1.5}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","version":99999999999}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","version":0}""", 404, "not-found" },
        { $$"""{"digest":"{{Good}}","version":2}""", 404, "not-found" },
        { $$"""{"digest":"{{Good}}","encoding":"asn1"}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","encoding":0}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","encoding":null}""", 400, "invalid-request" },
        { """{"digest":"not base64!"}""", 400, "invalid-request" },
        { """{"digest":"AAA"}""", 400, "invalid-request" },
        { """{"digest":""}""", 400, "invalid-digest" },
        { """{"digest":"AAAA"}""", 400, "invalid-digest" },
        { $$"""{"digest":"{{Convert.ToBase64String(new byte[31])}}"}""", 400, "invalid-digest" },
        { $$"""{"digest":"{{Convert.ToBase64String(new byte[33])}}"}""", 400, "invalid-digest" },
        { $$"""{"digest":"{{Convert.ToBase64String(new byte[64])}}"}""", 400, "invalid-digest" },
        { $$"""{"digest":"{{Good}}","message":"AAAA"}""", 400, "invalid-request" },
        { "{}", 400, "invalid-request" },
        { """{"digest":null}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","algorithm":"none"}""", 400, "unknown-algorithm" },
        { $$"""{"digest":"{{Good}}","algorithm":"HS256"}""", 400, "unknown-algorithm" },
        { $$"""{"digest":"{{Good}}","algorithm":"es256"}""", 400, "unknown-algorithm" },
        { $$"""{"digest":"{{Good}}","algorithm":""}""", 400, "unknown-algorithm" },
        { $$"""{"digest":"{{Good}}","algorithm":"RS256"}""", 400, "algorithm-mismatch" },
        { $$"""{"digest":"{{Good}}","algorithm":"ES384"}""", 400, "algorithm-mismatch" },
        { $$$"""{"digest":"{{{Good}}}","context":{"colour":"red"}}""", 400, "invalid-request" },
        { $$"""{"digest":"{{Good}}","context":[]}""", 400, "invalid-request" },
        { $$$"""{"digest":"{{{Good}}}","context":{"commit":"a\nb"}}""", 400, "invalid-request" },
        { $$$"""{"digest":"{{{Good}}}","context":{"commit":"{{{new string('x', 1025)}}}"}}""", 400, "invalid-request" },
        { "", 400, "invalid-request" },
        { " ", 400, "invalid-request" },
        { "null", 400, "invalid-request" },
        { "[]", 400, "invalid-request" },
        { "7", 400, "invalid-request" },
        { "{", 400, "invalid-request" },
        { "{\"digest\":\"\ud800\"}", 400, "invalid-request" },
        { """{"digest":"A",}""", 400, "invalid-request" },
        { """{/* comment */"digest":"AAAA"}""", 400, "invalid-request" },
        { new string('[', 100_000), 400, "invalid-request" },
        { string.Concat(Enumerable.Repeat("{\"context\":", 50)) + "1" + new string('}', 50), 400, "invalid-request" },
    };

    [Theory]
    [MemberData(nameof(BadSignatures))]
    public async Task A_bad_signing_request_is_refused(string body, int status, string code)
    {
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        var answer = await _admin.CallAsync(new HttpRequestMessage(HttpMethod.Post, "/v1/keys/release/sign") { Content = content });
        answer.MustBeProblem(status, code);
    }

    [Theory]
    [InlineData("""{"purpose":"artifacts","spec":"ECC_NIST_P256"}""", "invalid-request")]
    [InlineData("""{"name":null,"purpose":"artifacts","spec":"ECC_NIST_P256"}""", "invalid-request")]
    [InlineData("""{"name":"bad-a","purpose":"both","spec":"ECC_NIST_P256"}""", "invalid-request")]
    [InlineData("""{"name":"bad-b","purpose":0,"spec":"ECC_NIST_P256"}""", "invalid-request")]
    [InlineData("""{"name":"bad-c","purpose":"artifacts","spec":"RSA_1024"}""", "invalid-request")]
    [InlineData("""{"name":"bad-d","purpose":"artifacts","spec":"ECC_SECG_P256K1"}""", "invalid-request")]
    [InlineData("""{"name":"bad-e","purpose":"artifacts","spec":"ECC_NIST_P256","algorithms":["RS256"]}""", "algorithm-mismatch")]
    [InlineData("""{"name":"bad-f","purpose":"artifacts","spec":"ECC_NIST_P256","algorithms":["nope"]}""", "unknown-algorithm")]
    [InlineData("""{"name":"bad-g","purpose":"artifacts","spec":"ECC_NIST_P256","algorithms":[null]}""", "unknown-algorithm")]
    [InlineData("""{"name":"bad-h","purpose":"artifacts","spec":"ECC_NIST_P256","algorithms":"ES256"}""", "invalid-request")]
    [InlineData("""{"name":"bad-i","purpose":"artifacts","spec":"ECC_NIST_P256","backend":"nowhere"}""", "invalid-request")]
    [InlineData("""{"name":"bad-j","purpose":"artifacts","spec":"ECC_NIST_P256","tier":"volume"}""", "invalid-request")]
    [InlineData("""{"name":"bad-k","purpose":"tokens","spec":"RSA_2048","algorithms":["RS256","PS256"]}""", "invalid-request")]
    [InlineData("""{"name":"bad-l","purpose":"artifacts","spec":"ECC_NIST_P256","tags":{"a":null}}""", "invalid-request")]
    [InlineData("""{"name":"bad-m","purpose":"artifacts","spec":"ECC_NIST_P256","tags":{"":"a"}}""", "invalid-request")]
    [InlineData("""{"name":"bad-n","purpose":"artifacts","spec":"ECC_NIST_P256","tags":[]}""", "invalid-request")]
    [InlineData("""{"name":"bad-o","purpose":"artifacts","spec":"ECC_NIST_P256","description":"a\u0000b"}""", "invalid-request")]
    [InlineData("""{"name":"bad-p","purpose":"artifacts","spec":"ECC_NIST_P256","keyId":"x"}""", "invalid-request")]
    public async Task A_bad_key_is_refused_and_nothing_is_made(string body, string code)
    {
        (await _admin.PostJsonAsync("/v1/keys", body)).MustBeProblem(400, code);
        Assert.Empty((await _admin.MustGetAsync("/v1/keys?prefix=bad-")).Json.GetProperty("keys").EnumerateArray());
    }

    [Fact]
    public async Task Names_keep_their_rule_everywhere()
    {
        string[] names =
        [
            "", " ", "a b", "A", "é", "-a", ".a", "..", "../x", "a/b", "a\\\\b", "a\\u0000b", "a%2Fb", "a\\n", "\\ud83d\\ude00",
            new('x', 64), new('x', 10_000), "0190b5a8-7e3c-7c4e-8f55-1d2a3b4c5d6e", "0190b5a87e3c7c4e8f551d2a3b4c5d6e",
        ];
        foreach (var name in names)
        {
            (await _admin.PostJsonAsync("/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""")).MustBeProblem(400, "invalid-request");
            (await _admin.PostJsonAsync("/v1/credentials", $$"""{"name":"{{name}}","roles":["signer"]}""")).MustBeProblem(400, "invalid-request");
        }

        await _admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{new string('x', 63)}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
    }

    [Theory]
    [InlineData("a%2Fb", 404)]
    [InlineData("%2e%2e%2f", 404)]
    [InlineData("no such key", 404)]
    [InlineData("%F0%9F%98%80", 404)]
    [InlineData("%ED%A0%80", 404)]
    [InlineData("0190b5a8-7e3c-7c4e-8f55-1d2a3b4c5d6e", 404)]
    public async Task A_key_that_cannot_exist_is_not_found(string reference, int status)
    {
        (await _admin.GetJsonAsync($"/v1/keys/{reference}")).MustBeProblem(status, "not-found");
        (await _admin.PostJsonAsync($"/v1/keys/{reference}/sign", $$"""{"digest":"{{Good}}"}""")).MustBeProblem(status, "not-found");
        (await _admin.PostJsonAsync($"/v1/credentials/{reference}/revoke")).MustBeProblem(status, "not-found");
        (await _admin.GetJsonAsync($"/v1/profiles/{reference}")).MustBeProblem(status, "not-found");
        (await _admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{reference}", """{"key":"tokens","audiences":["*"]}""")).MustBeProblem(400, "invalid-request");
    }

    [Fact]
    public async Task A_reference_of_10000_characters_is_not_found_and_leaves_a_short_record()
    {
        (await _admin.GetJsonAsync($"/v1/keys/{new string('x', 10_000)}")).MustBeProblem(404, "not-found");
        var record = (await _admin.MustGetAsync("/v1/audit?action=keys:Read&outcome=failed&limit=100")).Json.GetProperty("records");
        Assert.All(record.EnumerateArray(), r => Assert.InRange(r.GetRawText().Length, 1, 1000));
    }

    /// <summary>What the audit keeps of a refused request is bounded, whatever the body held.</summary>
    [Fact]
    public async Task A_context_that_is_refused_is_not_kept()
    {
        var marker = RunningService.NewName("marker");
        var body = $$$"""{"digest":"{{{Good}}}","context":{"run":"{{{marker}}}{{{new string('x', 500_000)}}}"}}""";
        var refused = await _admin.PostJsonAsync("/v1/keys/release/sign", body);
        refused.MustBeProblem(400, "invalid-request");
        var auditor = await service.AsAsync("auditor");
        (await auditor.PostJsonAsync("/v1/keys/release/sign", body)).MustBeProblem(403, "forbidden");
        var records = await _admin.MustGetAsync($"/v1/audit?auditId={refused["auditId"]}");
        Assert.InRange(records.Body.Length, 100, 5_000);
        Assert.InRange((await _admin.MustGetAsync("/v1/audit?action=keys:Sign&outcome=denied&limit=50")).Body.Length, 100, 100_000);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_body_of_10_MB_is_too_large(bool chunked)
    {
        // Space, because a member that some address does not know would be refused as that, before the end is reached.
        var body = Encoding.ASCII.GetBytes(new string(' ', 10_000_000) + "{}");
        foreach (var path in (string[])["/v1/keys/release/sign", "/v1/keys/release/sign-batch", "/v1/tokens", "/v1/tokens/batch", "/v1/keys"])
        {
            var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
            request.Content.Headers.ContentType = new("application/json");
            request.Headers.ExpectContinue = !chunked;
            request.Headers.TransferEncodingChunked = chunked;
            try
            {
                (await _admin.CallAsync(request)).MustBeProblem(413, "too-large");
            }
            catch (HttpRequestException) when (chunked)
            {
                // The service answers and closes while the body still comes; the answer may be lost on the way.
            }
        }
    }

    [Theory]
    [InlineData("/v1/keys?purpose=foo", "purpose is one of artifacts, tokens.")]
    [InlineData("/v1/keys?state=foo", "pendingDeletion")]
    [InlineData("/v1/audit?outcome=foo", "outcome is one of allowed, denied, failed.")]
    public async Task What_can_be_asked_for_is_said_in_the_API_s_own_words(string path, string words)
    {
        var answer = await _admin.CallAsync(new HttpRequestMessage(HttpMethod.Get, path));

        answer.MustBeProblem(400, "invalid-request");
        Assert.Contains(words, answer.Json.GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/xml")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/octet-stream")]
    public async Task Another_media_type_is_refused(string mediaType)
    {
        foreach (var path in (string[])["/v1/keys/release/sign", "/v1/tokens", "/v1/keys", "/v1/credentials"])
        {
            var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent("{}", Encoding.UTF8, mediaType) };
            (await _admin.CallAsync(request)).MustBeProblem(415, "unsupported-media-type");
        }
    }

    [Fact]
    public async Task A_wrong_address_or_method_is_a_problem_too()
    {
        (await _admin.GetJsonAsync("/v1/nothing")).MustBeProblem(404, "not-found");
        (await _admin.GetJsonAsync("/v1/tokens")).MustBeProblem(405, "method-not-allowed");
        (await _admin.CallAsync(HttpMethod.Delete, "/v1/keys/release/sign", "")).MustBeProblem(405, "method-not-allowed");
        (await _admin.GetJsonAsync("/v1/keys?limit=ten")).MustBeProblem(400, "invalid-request");
        (await _admin.GetJsonAsync("/v1/audit?from=yesterday")).MustBeProblem(400, "invalid-request");
    }

    [Theory]
    [InlineData("GET /v1/keys/a%00b HTTP/1.1\r\nHost: x\r\n\r\n", "400")]
    [InlineData("GET /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {0}\r\nAuthorization: Bearer {0}\r\n\r\n", "401")]
    [InlineData("GET /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {0}, Bearer {0}\r\n\r\n", "401")]
    [InlineData("GET /v1/keys HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {0}\r\n\r\n", "401")]
    [InlineData("GET /v1/keys?limit=1 HTTP/1.1\r\nHost: x\r\nAuthorization: bearer {0}\r\n\r\n", "200")]
    [InlineData("POST /v1/tokens HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {0}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{{}}", "400")]
    [InlineData("FOO\r\n\r\n", "400")]
    public async Task Raw_requests_are_answered_with_their_status(string request, string status)
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var client = new TcpClient();
        await client.ConnectAsync(service.Process.Url.Host, service.Process.Url.Port, cancellation);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(string.Format(request, service.Process.AdminToken)), cancellation);
        using var reader = new StreamReader(stream);
        var line = await reader.ReadLineAsync(cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(20), TimeProvider.System, cancellation);
        Assert.StartsWith($"HTTP/1.1 {status} ", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_50_who_create_one_name_at_once_one_wins()
    {
        var name = RunningService.NewName("contended");
        var body = $$"""{"name":"{{name}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""";
        var answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => _admin.PostJsonAsync("/v1/keys", body)));

        var winner = Assert.Single(answers, a => a.Code == 201);
        Assert.All(answers.Where(a => a != winner), a => a.MustBeProblem(409, "name-taken"));
        Assert.Equal(winner["id"], (await _admin.MustGetAsync($"/v1/keys/{name}"))["id"]);
        await _admin.MustPostAsync(200, $"/v1/keys/{name}/sign", $$"""{"digest":"{{Good}}"}""");
        Assert.Single((await _admin.MustGetAsync($"/v1/keys?prefix={name}")).Json.GetProperty("keys").EnumerateArray());
        (await _admin.PostJsonAsync("/v1/keys", body)).MustBeProblem(409, "name-taken");
    }
}
