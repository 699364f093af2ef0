using System.Text;

namespace SignSvc.Tests.Compatibility;

/// <summary>Signature Version 4 on <c>POST /</c>: what is accepted, and AWS's own error for all else.</summary>
public sealed class SignedRequestTests(RunningService service)
{
    private const string Mismatch = "InvalidSignatureException";
    private const string Incomplete = "IncompleteSignatureException";
    private const string Describe = """{"KeyId":"alias/release"}""";

    [Theory]
    [InlineData("CreateAlias")]
    [InlineData("UpdateAlias")]
    public async Task Aliases_of_AWS_itself_are_nobodys_to_put(string operation)
    {
        var aws = await AwsClient.OfAsync(service, "operator");
        var key = await aws.MustAsync("DescribeKey", Describe);
        var id = key.GetProperty("KeyMetadata").GetProperty("KeyId").GetString();
        await aws.MustRefuseAsync("NotAuthorizedException", operation, $$"""{"AliasName":"alias/aws/s3","TargetKeyId":"{{id}}"}""");
    }

    [Fact]
    public async Task A_signed_request_is_its_credentials_request()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        var signed = await aws.CallAsync("Sign", $$"""{"KeyId":"alias/release","Message":"{{Convert.ToBase64String(Encoding.UTF8.GetBytes("hello"))}}","SigningAlgorithm":"ECDSA_SHA_256"}""");
        Assert.Equal(200, signed.Code);
        var record = (await service.Admin.MustGetAsync($"/v1/audit?auditId={signed.Headers.GetValues("signsvc-audit-id").Single()}")).Json.GetProperty("records")[0];
        Assert.Equal($"credential:{aws.Credential}", record.GetProperty("caller").GetString());
        Assert.Equal("keys:Sign", record.GetProperty("action").GetString());
        Assert.Equal(Expectations.Base64Digest("hello"), record.GetProperty("digest").GetString());
    }

    [Fact]
    public async Task A_role_that_may_not_sign_is_denied_on_record()
    {
        var aws = await AwsClient.OfAsync(service, "auditor");
        var refused = await aws.CallAsync("Sign", """{"KeyId":"alias/release","Message":"AAAA","SigningAlgorithm":"ECDSA_SHA_256"}""");
        AwsClient.MustBeRefusal(refused, "AccessDeniedException");
        var record = (await service.Admin.MustGetAsync($"/v1/audit?auditId={refused.Headers.GetValues("signsvc-audit-id").Single()}")).Json.GetProperty("records")[0];
        Assert.Equal("denied", record.GetProperty("outcome").GetString());
    }

    [Fact]
    public async Task A_keys_policy_denies_by_either_foreign_API_too()
    {
        var key = RunningService.NewName("denied");
        await service.Admin.MustPostAsync(201, "/v1/keys", $$"""{"name":"{{key}}","purpose":"artifacts","spec":"ECC_NIST_P256"}""");
        var aws = await AwsClient.OfAsync(service, "signer");
        var sign = $$"""{"KeyId":"alias/{{key}}","Message":"AAAA","SigningAlgorithm":"ECDSA_SHA_256"}""";
        await aws.MustAsync("Sign", sign);
        await service.Admin.MustPutAsync(200, $"/v1/keys/{key}/policy", $$"""
            {"statements":[{"effect":"deny","principals":["credential:{{aws.Credential}}"],"actions":["keys:Sign"]}]}
            """);
        await aws.MustRefuseAsync("AccessDeniedException", "Sign", sign);
        var vault = service.Process.As(null);
        vault.DefaultRequestHeaders.Add("X-Vault-Token", aws.Token);
        Assert.Equal(403, (await vault.PostJsonAsync($"/v1/transit/sign/{key}", """{"input":"AAAA"}""")).Code);
        await vault.MustPostAsync(200, "/v1/transit/sign/release", """{"input":"AAAA"}""");
    }

    [Theory]
    [InlineData(-4.9, true)]
    [InlineData(4.9, true)]
    [InlineData(-5.2, false)]
    [InlineData(5.2, false)]
    public async Task A_date_counts_for_five_minutes_either_way(double minutes, bool counts)
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        JsonAnswer answer;
        long from;
        var rounds = 0;
        do
        {
            from = TimeProvider.System.GetTimestamp();
            answer = await aws.CallAsync("DescribeKey", Describe, new Bent { Skew = TimeSpan.FromMinutes(minutes) });
        }
        // It is six seconds from the end on one side of it, and twelve on the other.
        while (TimeProvider.System.GetElapsedTime(from) > TimeSpan.FromSeconds(4) && ++rounds < 10);

        Assert.True(answer.Code == (counts ? 200 : 400), $"{answer}");
        if (counts)
            return;
        AwsClient.MustBeRefusal(answer, Mismatch);
        Assert.Contains(minutes < 0 ? "Signature expired" : "Signature not yet current", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_was_altered_after_signing_is_refused()
    {
        var aws = await AwsClient.OfAsync(service, "admin");
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { SentBody = """{"KeyId":"alias/tokens"}""" });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { SentTarget = "DisableKey" });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Unsigned = ("X-Amz-Meta", "x") });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Unsigned = ("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Authorization = h => h.Replace("/eu-central-1/", "/us-east-1/", StringComparison.Ordinal) });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Authorization = h => h[..^1] + (h[^1] == '0' ? '1' : '0') });
    }

    [Fact]
    public async Task A_signature_for_something_else_is_refused()
    {
        var aws = await AwsClient.OfAsync(service, "admin");
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Secret = "somebody-elses-secret" });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Service = "sts" });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Region = "EU_1" });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Day = "20260101" });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Signed = ["content-type", "host", "x-amz-date"] });
        await aws.MustRefuseAsync(Mismatch, "DescribeKey", Describe, new Bent { Signed = ["content-type", "x-amz-date", "x-amz-target"] });
    }

    [Theory]
    [InlineData("")]
    [InlineData("AWS4-HMAC-SHA256 ")]
    [InlineData("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host")]
    [InlineData("AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00")]
    [InlineData("AWS4-HMAC-SHA256 Credential=a, Credential=b, SignedHeaders=host, Signature=00")]
    [InlineData("Bearer ssv1_0000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task A_header_that_is_no_signature_is_incomplete(string header)
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        await aws.MustRefuseAsync(
            header.Length == 0 ? "MissingAuthenticationTokenException" : Incomplete, "DescribeKey", Describe, new Bent { Authorization = _ => header });
    }

    [Fact]
    public async Task Headers_out_of_order_or_named_twice_are_incomplete()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        await aws.MustRefuseAsync(Incomplete, "DescribeKey", Describe, new Bent { Signed = ["host", "content-type", "x-amz-date", "x-amz-target"] });
        await aws.MustRefuseAsync(Incomplete, "DescribeKey", Describe, new Bent { Signed = ["host", "host", "x-amz-date", "x-amz-target"] });
        await aws.MustRefuseAsync(Incomplete, "DescribeKey", Describe, new Bent { Authorization = h => h[..^2] });
    }

    [Fact]
    public async Task An_access_key_that_nobody_has_and_session_tokens_are_not_recognised()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        foreach (var id in (string[])["AKIAIOSFODNN7EXAMPLE", "SSVAAAAAAAAAAAAAAAAA", aws.AccessKeyId[..^1] + (aws.AccessKeyId[^1] == 'A' ? 'B' : 'A'), "SSV", "ssvaaaaaaaaaaaaaaaaa"])
        {
            await aws.MustRefuseAsync(
                "UnrecognizedClientException", "DescribeKey", Describe,
                new Bent { Authorization = h => h.Replace(aws.AccessKeyId, id, StringComparison.Ordinal) });
        }

        await aws.MustRefuseAsync("UnrecognizedClientException", "DescribeKey", Describe, new Bent { Unsigned = ("X-Amz-Security-Token", "x") });
    }

    /// <summary>
    /// The rule: as in AWS, a request counts again within its window, because clients that try again within one second
    /// send the same bytes. Each time it is decided and recorded anew.
    /// </summary>
    [Fact]
    public async Task The_same_request_again_within_its_window_is_decided_and_recorded_again()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        var bent = new Bent();
        var body = """{"KeyId":"alias/release","Message":"AAAA","SigningAlgorithm":"ECDSA_SHA_256"}""";
        var request = aws.Make("Sign", body, bent);
        var again = await CopyAsync(request);
        var first = await aws.CallAsync(request);
        var second = await aws.CallAsync(again);
        Assert.Equal((200, 200), (first.Code, second.Code));
        Assert.NotEqual(first.Headers.GetValues("signsvc-audit-id").Single(), second.Headers.GetValues("signsvc-audit-id").Single(), StringComparer.Ordinal);
    }

    [Fact]
    public async Task Without_an_operation_POST_to_the_root_is_explained()
    {
        var answer = await service.Process.As(null).PostJsonAsync("/", "{}");
        answer.MustBeProblem(400, "invalid-request");
        Assert.Contains("X-Amz-Target", answer["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_refused_in_AWSs_words()
    {
        var aws = await AwsClient.OfAsync(service, "signer");
        await aws.MustRefuseAsync("ValidationException", "Sign", $$"""{"Message":"{{new string('A', 2 * 1024 * 1024)}}"}""");
    }

    private static async Task<HttpRequestMessage> CopyAsync(HttpRequestMessage request)
    {
        var copy = new HttpRequestMessage(request.Method, request.RequestUri)
        {
            Content = new ByteArrayContent(await request.Content!.ReadAsByteArrayAsync(TestContext.Current.CancellationToken)),
        };
        foreach (var header in request.Headers.NonValidated)
            copy.Headers.TryAddWithoutValidation(header.Key, header.Value);
        copy.Content.Headers.TryAddWithoutValidation("Content-Type", request.Content.Headers.ContentType!.ToString());
        return copy;
    }
}
