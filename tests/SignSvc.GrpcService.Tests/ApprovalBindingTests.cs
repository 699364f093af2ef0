using System.Security.Cryptography;
using Google.Protobuf;
using SignSvc.Grpc;
using SignSvc.Grpc.V1;

namespace SignSvc.GrpcService.Tests;

/// <summary>What is approved is what is signed, by whichever way it is asked for: alone and in batches, by HTTP and by gRPC.</summary>
public sealed class ApprovalBindingTests : IAsyncLifetime
{
    private static readonly byte[] Digest = SHA256.HashData("approved"u8);

    private ServiceProcess _service = null!;
    private GrpcClient _grpc = null!;
    private HttpClient _bob = null!;

    public async ValueTask InitializeAsync()
    {
        _service = await ServiceProcess.StartAsync();
        _grpc = new GrpcClient(await GrpcServer.AddressAsync(_service), _service.AdminToken);
        _bob = _service.As(await GrpcServer.NewCredentialAsync(_service, "bob", "admin"));
        foreach (var name in (string[])["app", "other"])
        {
            await MustAsync(201, _service.Client.PostJsonAsync(
                "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","tier":"assured","backend":"software","spec":"RSA_2048","algorithms":["RS256","PS256"]}"""));
        }

        await MustAsync(200, _service.Client.CallAsync(
            HttpMethod.Put, "/v1/approval-rules/signing", """{"resources":["key/*"],"actions":["keys:Sign"],"required":1,"approvers":["credential:bob"]}"""));
    }

    public async ValueTask DisposeAsync()
    {
        _grpc.Dispose();
        await _service.DisposeAsync();
    }

    [Fact]
    public async Task A_request_that_changed_after_its_approval_is_signed_by_no_entry_point()
    {
        var asked = new Wish("app", Digest, "RS256", "app.tar.gz", "refs/tags/v1");
        Wish[] changed =
        [
            asked with { Key = "other" }, asked with { Digest = SHA256.HashData("another"u8) }, asked with { Algorithm = "PS256" },
            asked with { Artifact = "evil.tar.gz" }, asked with { Ref = "refs/heads/fork" },
        ];
        foreach (var entry in Entries)
        {
            var approved = await ApproveAsync(asked);
            foreach (var wish in changed)
            {
                var (signedBy, pending, _) = await entry(wish);
                Assert.Null(signedBy);
                Assert.NotEqual(approved, pending, StringComparer.Ordinal);
            }

            Assert.Equal(1, (await entry(asked)).SignedBy);
            Assert.NotEqual(approved, (await entry(asked)).Pending, StringComparer.Ordinal);
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task An_approval_is_void_at_every_entry_point_when_another_version_would_sign()
    {
        var asked = new Wish("app", Digest, "RS256", "app.tar.gz", "refs/tags/v1");
        var version = 1;
        foreach (var entry in Entries)
        {
            var approved = await ApproveAsync(asked);
            await RotateAsync(++version);
            var (signedBy, pending, why) = await entry(asked);
            Assert.Null(signedBy);
            Assert.NotEqual(approved, pending, StringComparer.Ordinal);
            Assert.Contains($"The approval {approved} is for version {version - 1}, and version {version} would sign now.", why, StringComparison.Ordinal);

            Assert.Equal(pending, await ApproveAsync(asked));
            Assert.Equal(version, (await entry(asked)).SignedBy);
        }
    }

    /// <summary>The version that signed, or what the request waits for and why.</summary>
    private Func<Wish, Task<(int? SignedBy, string? Pending, string? Why)>>[] Entries =>
    [
        async wish =>
        {
            var answer = await _service.Client.PostJsonAsync($"/v1/keys/{wish.Key}/sign", wish.Json);
            return answer.Code == 200
                ? (answer.Json.GetProperty("version").GetInt32(), null, null)
                : Waits(answer.Code == 202, answer["id"], answer["detail"]);
        },
        async wish =>
        {
            var answer = await MustAsync(200, _service.Client.PostJsonAsync($"/v1/keys/{wish.Key}/sign-batch", $$"""{"items":[{{wish.Json}}]}"""));
            var result = answer.Json.GetProperty("results")[0];
            if (!result.TryGetProperty("problem", out var problem))
                return (result.GetProperty("version").GetInt32(), null, null);
            return Waits(
                problem.GetProperty("type").GetString() is "urn:signsvc:problem:approval-required", problem.GetProperty("approvalId").GetString(),
                problem.GetProperty("detail").GetString());
        },
        async wish =>
        {
            try
            {
                return ((int)(await _grpc.CallAsync<SignResponse>("signsvc.v1.Signing/Sign", wish.Request)).Version, null, null);
            }
            catch (GrpcFailureException e)
            {
                return Waits(e.End.Status == StatusCode.FailedPrecondition && e.End.Error.Reason is "APPROVAL_REQUIRED", e.End.Error.Metadata["approvalId"], e.End.Message);
            }
        },
        async wish =>
        {
            var item = wish.Request;
            item.Key = "";
            var answer = await _grpc.CallAsync<SignBatchResponse>("signsvc.v1.Signing/SignBatch", new SignBatchRequest { Key = wish.Key, Items = { item } });
            var result = Assert.Single(answer.Results);
            if (result.Fault is not { } fault)
                return ((int)result.Signed.Version, null, null);
            var error = fault.Details[0].Unpack<Grpc.Rpc.ErrorInfo>();
            return Waits(error.Reason is "APPROVAL_REQUIRED", error.Metadata["approvalId"], fault.Message);
        },
    ];

    private static (int?, string?, string?) Waits(bool doesWait, string? id, string? why)
    {
        Assert.True(doesWait, why);
        return (null, id, why);
    }

    private async Task<string> ApproveAsync(Wish wish)
    {
        var pending = await MustAsync(202, _service.Client.PostJsonAsync($"/v1/keys/{wish.Key}/sign", wish.Json));
        await MustAsync(200, _bob.PostJsonAsync($"/v1/approvals/{pending["id"]}/approve", "{}"));
        return pending["id"];
    }

    /// <summary>Returns when the new version signs.</summary>
    private async Task RotateAsync(int version)
    {
        await MustAsync(200, _service.Client.PostJsonAsync("/v1/keys/app/rotate"));
        while (!(await MustAsync(200, _service.Client.GetJsonAsync("/v1/keys/app"))).Json.GetProperty("versions").EnumerateArray()
            .Any(v => v.GetProperty("version").GetInt32() == version && v.GetProperty("state").GetString() is "active"))
        {
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, TestContext.Current.CancellationToken);
        }
    }

    private static async Task<JsonAnswer> MustAsync(int code, Task<JsonAnswer> call)
    {
        var answer = await call;
        Assert.True(answer.Code == code, answer.ToString());
        return answer;
    }

    private sealed record Wish(string Key, byte[] Digest, string Algorithm, string Artifact, string Ref)
    {
        public string Json => $$$"""
            {"digest":"{{{Convert.ToBase64String(Digest)}}}","algorithm":"{{{Algorithm}}}","context":{"artifact":{"name":"{{{Artifact}}}"},"ref":"{{{Ref}}}"}}
            """;

        public SignRequest Request => new()
        {
            Key = Key,
            Digest = ByteString.CopyFrom(Digest),
            Algorithm = Algorithm,
            Context = new SigningContext { Artifact = new Artifact { Name = Artifact }, Ref = Ref },
        };
    }
}
