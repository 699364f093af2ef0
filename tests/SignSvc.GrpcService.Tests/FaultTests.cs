using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SignSvc.Grpc.V1;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

/// <summary>Refusals as a caller meets them: by status and reason, on record where the caller is known.</summary>
public sealed class FaultTests(GrpcServer server)
{
    private const string Sign = "signsvc.v1.Signing/Sign";

    private static readonly ByteString Digest = ByteString.CopyFrom(new byte[32]);

    public static TheoryData<string, string, SignRequest> Refusals => new()
    {
        { "INVALID_REQUEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release" } },
        { "INVALID_REQUEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Encoding = (SignatureEncoding)9 } },
        { "INVALID_REQUEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Context = new SigningContext { Commit = "a\nb" } } },
        { "INVALID_REQUEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Timeout = Duration.FromTimeSpan(TimeSpan.Zero) } },
        { "INVALID_REQUEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Timeout = new Duration { Seconds = 1, Nanos = -1 } } },
        { "INVALID_REQUEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Timeout = new Duration { Seconds = long.MaxValue } } },
        { "INVALID_DIGEST", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = ByteString.CopyFrom(new byte[31]) } },
        { "UNKNOWN_ALGORITHM", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Algorithm = "none" } },
        { "ALGORITHM_MISMATCH", nameof(StatusCode.InvalidArgument), new SignRequest { Key = "release", Digest = Digest, Algorithm = "RS256" } },
        { "NOT_FOUND", nameof(StatusCode.NotFound), new SignRequest { Key = "nobody", Digest = Digest } },
        { "NOT_FOUND", nameof(StatusCode.NotFound), new SignRequest { Key = "release", Digest = Digest, Version = 99 } },
        { "KEY_NOT_USABLE", nameof(StatusCode.FailedPrecondition), new SignRequest { Key = "tokens", Digest = Digest } },
        { "TOO_LARGE", nameof(StatusCode.ResourceExhausted), new SignRequest { Key = "release", Message = ByteString.CopyFrom(new byte[1024 * 1024 + 1]) } },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_request_that_cannot_be_signed_is_refused_by_its_reason(string reason, string status, SignRequest request)
    {
        var end = await server.Admin.FailAsync<SignResponse>(Sign, request);
        Assert.Equal((status, reason), (end.Status.ToString(), end.Error.Reason));
        Assert.Equal("signsvc", end.Error.Domain);
        Assert.Equal((int)end.Status, end.Details.Code);
    }

    [Fact]
    public async Task A_refusal_names_its_audit_record()
    {
        var end = await server.Admin.FailAsync<SignResponse>(Sign, new SignRequest { Key = "nobody", Digest = Digest });
        var auditId = end.Trailers["signsvc-audit-id"];
        Assert.Equal(auditId, end.Error.Metadata["auditId"]);
        var record = await GrpcServer.RecordAsync(server.Service, auditId);
        Assert.Equal(("failed", "key/nobody"), (record.GetProperty("outcome").GetString(), record.GetProperty("resource").GetString()));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("ssv1_0000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    public async Task A_stranger_gets_a_status_for_every_method_and_is_put_on_record(string? token)
    {
        using var stranger = server.As(token);
        var end = await stranger.FailAsync<SignResponse>(Sign, new SignRequest { Key = "release", Digest = Digest });
        Assert.Equal((StatusCode.Unauthenticated, "UNAUTHENTICATED"), (end.Status, end.Error.Reason));

        var services = new[] { SigningReflection.Descriptor, TokensReflection.Descriptor, KeysReflection.Descriptor }.SelectMany(f => f.Services);
        foreach (var method in services.SelectMany(s => s.Methods).Where(m => m.Name is not "GetJwks"))
        {
            var refused = await stranger.FailAsync<SignResponse>($"{method.Service.FullName}/{method.Name}", new SignRequest());
            Assert.Equal(StatusCode.Unauthenticated, refused.Status);
        }

        var records = await server.Service.Client.GetJsonAsync("/v1/audit?caller=unknown&action=callers:Authenticate");
        Assert.NotEqual(0, records.Json.GetProperty("records").GetArrayLength());
    }

    [Fact]
    public async Task A_caller_without_the_right_is_denied_and_learns_nothing_of_keys()
    {
        using var signer = server.As(await GrpcServer.NewCredentialAsync(server.Service, "grpc-signer", "signer"));
        using var auditor = server.As(await GrpcServer.NewCredentialAsync(server.Service, "grpc-auditor", "auditor"));
        var denied = await auditor.FailAsync<SignResponse>(Sign, new SignRequest { Key = "release", Digest = Digest });
        Assert.Equal((StatusCode.PermissionDenied, "FORBIDDEN"), (denied.Status, denied.Error.Reason));
        var record = await GrpcServer.RecordAsync(server.Service, denied.Trailers["signsvc-audit-id"]);
        Assert.Equal(("denied", "credential:grpc-auditor"), (record.GetProperty("outcome").GetString(), record.GetProperty("caller").GetString()));

        var unknown = await signer.FailAsync<SignResponse>(Sign, new SignRequest { Key = "nobody", Digest = Digest });
        Assert.Equal((denied.Status, denied.Message), (unknown.Status, unknown.Message));
        Assert.Equal(StatusCode.PermissionDenied, (await signer.FailAsync<ListKeysResponse>("signsvc.v1.Keys/ListKeys", new ListKeysRequest())).Status);
    }

    [Fact]
    public async Task A_caller_over_its_limit_is_told_when_to_come_back()
    {
        using var signer = server.As(await GrpcServer.NewCredentialAsync(server.Service, "grpc-limited", "signer"));
        var put = await server.Service.Client.CallAsync(HttpMethod.Put, "/v1/policies/grpc-limit", """
            {"statements":[{"effect":"limit","principals":["credential:grpc-limited"],"actions":["keys:Sign"],"resources":["*"],
              "limit":{"per":"caller","perSecond":0.05,"burst":3} }]}
            """);
        Assert.True(put.Code == 200, put.ToString());
        var batch = new SignBatchRequest { Key = "release", Items = { Enumerable.Repeat(new SignRequest { Digest = Digest }, 5) } };
        var answer = await signer.CallAsync<SignBatchResponse>("signsvc.v1.Signing/SignBatch", batch);
        Assert.Equal((3, 2), (answer.Results.Count(r => r.Fault is null), answer.Results.Count(r => r.Fault?.Code == (int)StatusCode.ResourceExhausted)));

        var end = await signer.FailAsync<SignResponse>(Sign, new SignRequest { Key = "release", Digest = Digest });
        Assert.Equal((StatusCode.ResourceExhausted, "RATE_LIMITED"), (end.Status, end.Error.Reason));
        var retry = end.Details.Details.Single(d => d.Is(Grpc.Rpc.RetryInfo.Descriptor)).Unpack<Grpc.Rpc.RetryInfo>();
        Assert.InRange(retry.RetryDelay.ToTimeSpan().TotalSeconds, 10, 22);
    }

    [Fact]
    public async Task A_name_is_given_once()
    {
        var end = await server.Admin.FailAsync<CreateKeyResponse>(
            "signsvc.v1.Keys/CreateKey", new CreateKeyRequest { Name = "release", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" });
        Assert.Equal((StatusCode.AlreadyExists, "NAME_TAKEN"), (end.Status, end.Error.Reason));
    }

    [Fact]
    public async Task A_key_in_use_is_not_deleted()
    {
        var end = await server.Admin.FailAsync<ScheduleKeyDeletionResponse>(
            "signsvc.v1.Keys/ScheduleKeyDeletion", new ScheduleKeyDeletionRequest { Key = "tokens" });
        Assert.Equal((StatusCode.FailedPrecondition, "STILL_IN_USE"), (end.Status, end.Error.Reason));
    }

    [Theory]
    [InlineData("slow", "100m", null)]
    [InlineData("slow-header", null, "0.1")]
    [InlineData("slow-both", "60S", "0.1")]
    public async Task A_batch_past_its_deadline_is_cut_off(string key, string? timeout, string? requestTimeout)
    {
        await server.Admin.CallAsync<CreateKeyResponse>(
            "signsvc.v1.Keys/CreateKey", new CreateKeyRequest { Name = key, Purpose = KeyPurpose.Artifacts, Spec = "RSA_4096" });
        var batch = new SignBatchRequest { Key = key };
        for (var i = 0; i < 1000; i++)
            batch.Items.Add(new SignRequest { Digest = Digest });

        var end = await server.Admin.FailAsync<SignBatchResponse>("signsvc.v1.Signing/SignBatch", batch, timeout, requestTimeout);
        Assert.Equal(StatusCode.DeadlineExceeded, end.Status);
        var versions = await server.Admin.CallAsync<ListKeyVersionsResponse>("signsvc.v1.Keys/ListKeyVersions", new ListKeyVersionsRequest { Key = key });
        Assert.InRange(Assert.Single(versions.Versions).Uses, 0, 999);
    }

    [Fact]
    public async Task A_message_beyond_the_limit_is_refused_on_its_length()
    {
        var end = await server.Admin.FailAsync<SignResponse>(Sign, new SignRequest { Key = "release", Message = ByteString.CopyFrom(new byte[4 * 1024 * 1024]) });
        Assert.Equal(StatusCode.ResourceExhausted, end.Status);
    }

    [Fact]
    public async Task A_method_that_is_not_there_is_unimplemented()
    {
        Assert.Equal(StatusCode.Unimplemented, (await server.Admin.FailAsync<SignResponse>("signsvc.v1.Signing/Forge", new SignRequest())).Status);
        Assert.Equal(StatusCode.Unimplemented, (await server.Admin.FailAsync<SignResponse>("v1.ExternalJWTSigner/Sign", new SignRequest())).Status);
    }

    [Fact]
    public async Task A_request_that_is_no_gRPC_is_415_and_not_signed()
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var response = await http.PostAsync(new Uri(server.Address, Sign), new StringContent("{}"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
        Assert.Contains("send application/grpc", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Hardware_that_is_demanded_is_demanded_over_gRPC_too()
    {
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__RequireHardware"] = "true" },
        });
        using var admin = new GrpcClient(await GrpcServer.AddressAsync(service), service.AdminToken);
        var end = await admin.FailAsync<CreateKeyResponse>(
            "signsvc.v1.Keys/CreateKey", new CreateKeyRequest { Name = "soft", Purpose = KeyPurpose.Artifacts, Spec = "ECC_NIST_P256" });
        Assert.Equal((StatusCode.FailedPrecondition, "HARDWARE_REQUIRED"), (end.Status, end.Error.Reason));
    }
}
