using System.Text.Json.Nodes;
using SignSvc.Emulation.Wire;

namespace SignSvc.Emulation.Tests;

public sealed class AccessTests
{
    private const string Zeros = "0000000000000000000000000000000000000000000000000000000000000000";

    [Fact]
    public async Task Grants_are_idempotent_by_name_and_retired_by_any_of_their_tokens()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        var request = new
        {
            KeyId = keyId,
            GranteePrincipal = "arn:aws:iam::111111111111:role/a",
            Operations = new[] { "Sign" },
            Name = "n",
        };
        var first = await running.Kms.DoAsync("CreateGrant", request);
        var again = await running.Kms.DoAsync("CreateGrant", request);
        Assert.Equal(first.Text("GrantId"), again.Text("GrantId"));
        Assert.NotEqual(first.Text("GrantToken"), again.Text("GrantToken"), StringComparer.Ordinal);
        var nameless = new
        {
            request.KeyId,
            request.GranteePrincipal,
            request.Operations,
        };
        await running.Kms.DoAsync("CreateGrant", nameless);
        await running.Kms.DoAsync("CreateGrant", nameless);
        Assert.Equal(
            3,
            (await running.Kms.DoAsync("ListGrants", new { KeyId = keyId })).Body["Grants"]!.AsArray().Count);

        await running.Kms.DoAsync("RetireGrant", new { GrantToken = again.Text("GrantToken") });
        await running.Kms.RefusedAsync(
            "NotFoundException",
            "RetireGrant",
            new { GrantToken = first.Text("GrantToken") });
        await running.Kms.RefusedAsync("InvalidGrantTokenException", "RetireGrant", new { GrantToken = "nonsense" });
    }

    [Fact]
    public async Task Malformed_and_locking_out_policies_are_refused_and_the_old_one_stays()
    {
        await using var running = await RunningEmulator.StartAsync();
        var keyId = await running.NewSigningKeyAsync();
        var before = (await running.Kms.DoAsync("GetKeyPolicy", new { KeyId = keyId })).Text("Policy");
        const string ReadOnly =
            """{"Statement":[{"Effect":"Allow","Principal":"*","Action":"kms:Describe*","Resource":"*"}]}""";
        string[] refused =
        [
            "{",
            """{"Statement":[],"Statement":[]}""",
            "[]",
            "{}",
            """{"Statement":[]}""",
            """{"Statement":[{"Effect":"Maybe","Principal":"*","Action":"kms:*","Resource":"*"}]}""",
            """{"Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}""",
            ReadOnly,
        ];
        foreach (var policy in refused)
            await running.Kms.RefusedAsync(
                "MalformedPolicyDocumentException",
                "PutKeyPolicy",
                new { KeyId = keyId, Policy = policy });
        var big = ReadOnly.Replace("Describe", new string('D', 33 * 1024), StringComparison.Ordinal);
        await running.Kms.RefusedAsync("LimitExceededException", "PutKeyPolicy", new { KeyId = keyId, Policy = big });
        Assert.Equal(before, (await running.Kms.DoAsync("GetKeyPolicy", new { KeyId = keyId })).Text("Policy"));

        await running.Kms.DoAsync(
            "PutKeyPolicy",
            new
            {
                KeyId = keyId,
                Policy = ReadOnly,
                BypassPolicyLockoutSafetyCheck = true,
            });
        Assert.Equal(ReadOnly, (await running.Kms.DoAsync("GetKeyPolicy", new { KeyId = keyId })).Text("Policy"));
    }

    [Fact]
    public async Task Another_account_needs_the_key_policy_or_a_grant()
    {
        const string Other = "222222222222";
        await using var running = await RunningEmulator.StartAsync();
        using var foreign = running.Kms.As(Other);
        var key = await running.Kms.DoAsync("CreateKey", new { KeySpec = "ECC_NIST_P256", KeyUsage = "SIGN_VERIFY" });
        var request = new
        {
            KeyId = key.Arn,
            Message = new byte[32],
            MessageType = "DIGEST",
            SigningAlgorithm = "ECDSA_SHA_256",
        };
        var denied = await foreign.RefusedAsync("AccessDeniedException", "Sign", request);
        Assert.Contains(
            "not authorized to perform: kms:Sign on resource: " + key.Arn,
            denied.Text("message"),
            StringComparison.Ordinal);
        await foreign.RefusedAsync("NotFoundException", "Sign", request with { KeyId = key.KeyId });

        var grant = await running.Kms.DoAsync(
            "CreateGrant",
            new
            {
                key.KeyId,
                GranteePrincipal = $"arn:aws:iam::{Other}:role/ci",
                Operations = new[] { "Sign" },
            });
        await foreign.DoAsync("Sign", request);
        await running.Kms.DoAsync("RevokeGrant", new { key.KeyId, GrantId = grant.Text("GrantId") });
        await foreign.RefusedAsync("AccessDeniedException", "Sign", request);

        var policy = JsonNode.Parse((await running.Kms.DoAsync("GetKeyPolicy", new { key.KeyId })).Text("Policy"))!;
        policy["Statement"]!
            .AsArray()
            .Add(
                JsonNode.Parse(
                    $$"""{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::{{Other}}:root"]},"Action":["kms:Sign","kms:*Key"],"Resource":"*"}"""));
        await running.Kms.DoAsync("PutKeyPolicy", new { key.KeyId, Policy = policy.ToJsonString() });
        await foreign.DoAsync("Sign", request);
        await foreign.RefusedAsync("AccessDeniedException", "DisableKey", new { KeyId = key.Arn });

        policy["Statement"]!
            .AsArray()
            .Add(JsonNode.Parse("""{"Effect":"Deny","Principal":"*","Action":"kms:Sign","Resource":"*"}"""));
        await running.Kms.DoAsync("PutKeyPolicy", new { key.KeyId, Policy = policy.ToJsonString() });
        await foreign.RefusedAsync("AccessDeniedException", "Sign", request);
    }

    [Fact]
    public async Task Requests_without_a_well_formed_and_timely_signature_are_refused()
    {
        await using var running = await RunningEmulator.StartAsync(o =>
            o with
            {
                AccessKeys = [new AccessKey("AKIDEXAMPLE", "111111111111")],
            });
        var now = TimeProvider.System.GetUtcNow();
        var day = now.ToString("yyyyMMdd");
        string Authorization(string keyId, string scopeDay, string service = "kms") =>
            $"AWS4-HMAC-SHA256 Credential={keyId}/{scopeDay}/us-east-1/{service}/aws4_request, SignedHeaders=host;x-amz-date, Signature={Zeros}";

        Assert.Equal(
            "MissingAuthenticationTokenException",
            (await running.Kms.SendAsync("ListKeys", authorization: "")).Error);
        Assert.Equal(
            "IncompleteSignatureException",
            (await running.Kms.SendAsync("ListKeys", authorization: "Bearer x")).Error);
        Assert.Equal(
            "UnrecognizedClientException",
            (await running.Kms.SendAsync("ListKeys", authorization: Authorization("AKIDOTHER", day))).Error);
        Assert.Equal(
            "InvalidSignatureException",
            (await running.Kms.SendAsync("ListKeys", authorization: Authorization("AKIDEXAMPLE", day, "s3"))).Error);
        Assert.Equal(
            "InvalidSignatureException",
            (await running.Kms.SendAsync("ListKeys", authorization: Authorization("AKIDEXAMPLE", "20200101"))).Error);
        var old = now.AddMinutes(-6);
        var expired = await running.Kms.SendAsync(
            "ListKeys",
            authorization: Authorization("AKIDEXAMPLE", old.ToString("yyyyMMdd")),
            date: old);
        Assert.StartsWith("Signature expired", expired.Text("message"), StringComparison.Ordinal);
        Assert.Null(
            (await running.Kms.SendAsync("ListKeys", authorization: Authorization("AKIDEXAMPLE", day), date: now)).Error
        );
        Assert.Equal(new OperationCalls(7, 1, 0, 6), running.Emulator.Calls["ListKeys"]);
    }

    [Fact]
    public async Task A_signature_that_was_not_made_with_the_configured_secret_is_refused()
    {
        await using var running = await RunningEmulator.StartAsync(o =>
            o with
            {
                AccessKeys = [new AccessKey("111111111111", "111111111111") { Secret = "s" }],
            });
        var refused = await running.Kms.RefusedAsync("InvalidSignatureException", "ListKeys");
        Assert.StartsWith(
            "The request signature we calculated does not match",
            refused.Text("message"),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_unknown_operation_and_a_body_that_is_no_json_are_refused()
    {
        await using var running = await RunningEmulator.StartAsync();
        Assert.Equal("UnknownOperationException", (await running.Kms.SendAsync("GenerateMac")).Error);
        Assert.Equal("SerializationException", (await running.Kms.SendAsync("DescribeKey", new { KeyId = 1 })).Error);
        Assert.Equal("ValidationException", (await running.Kms.SendAsync("DescribeKey")).Error);
    }
}
