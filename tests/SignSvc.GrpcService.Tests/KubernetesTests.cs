using System.Globalization;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SignSvc.Grpc.Kubernetes;
using SignSvc.Grpc.V1;
using SignSvc.Tests.Shared.Grpc;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

/// <summary>kube-apiserver's external signer, on sockets of both kinds.</summary>
public sealed class KubernetesTests : IAsyncLifetime
{
    private const string Signer = "v1.ExternalJWTSigner";

    private readonly string _socket = Path.Combine(Path.GetTempPath(), $"signsvc-k8s-{RandomNumberGenerator.GetHexString(12)}.sock");
    private ServiceProcess? _service;

    private ServiceProcess Service => _service!;

    public async ValueTask InitializeAsync()
    {
        _service = await StartAsync(("SignSvc__Kubernetes__Socket", _socket), ("SignSvc__Kubernetes__ExcludedKeys", "legacy"));
        foreach (var name in new[] { "cluster", "legacy" })
        {
            var made = await Service.Client.PostJsonAsync(
                "/v1/keys", $$$"""{"name":"{{{name}}}","purpose":"tokens","spec":"ECC_NIST_P256","rotation":{"leadSeconds":3}}""");
            Assert.Equal(201, made.Code);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_service is not null)
            await _service.DisposeAsync();
        File.Delete(_socket);
    }

    [Fact]
    public async Task An_apiserver_accepts_tokens_through_ten_rotations()
    {
        var said = await OutsideClientTests.Clients.NodeAsync("apiserver.mjs", $"unix:{_socket}", "10", Service.Url.ToString(), Service.AdminToken);
        var figures = JsonSerializer.Deserialize<JsonElement>(said);
        TestContext.Current.SendDiagnosticMessage(said);
        Assert.Equal(11, figures.GetProperty("kids").GetInt32());
        Assert.InRange(figures.GetProperty("published").GetInt32(), 12, 13);
    }

    [Fact]
    public async Task A_token_is_signed_as_it_was_given_and_is_on_record()
    {
        using var apiserver = Connect(_socket);
        var exp = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + 900;
        // White space and order are the apiserver's own: nothing is written anew.
        var claims = Encode($$"""{ "sub":"system:serviceaccount:a:b" , "exp":{{GrpcServer.Number(exp)}},"jti":"t-1","aud":["x","y"]}""");
        var answer = await apiserver.CallAsync<SignJWTResponse>($"{Signer}/Sign", new SignJWTRequest { Claims = claims });

        var header = JsonSerializer.Deserialize<JsonElement>(System.Buffers.Text.Base64Url.DecodeFromChars(answer.Header));
        Assert.Equal("alg kid typ", string.Join(' ', header.EnumerateObject().Select(m => m.Name).Order(StringComparer.Ordinal)));
        Assert.Equal(("ES256", "JWT"), (header.GetProperty("alg").GetString(), header.GetProperty("typ").GetString()));
        var kid = header.GetProperty("kid").GetString();
        var keys = await apiserver.CallAsync<FetchKeysResponse>($"{Signer}/FetchKeys", new FetchKeysRequest());
        using var key = ECDsa.Create();
        key.ImportSubjectPublicKeyInfo(keys.Keys.Single(k => string.Equals(k.KeyId, kid, StringComparison.Ordinal)).Key_.Span, out _);
        Assert.True(key.VerifyData(
            Encoding.ASCII.GetBytes($"{answer.Header}.{claims}"), System.Buffers.Text.Base64Url.DecodeFromChars(answer.Signature), HashAlgorithmName.SHA256));

        var found = await Service.Client.GetJsonAsync("/v1/audit?action=tokens:SignServiceAccount");
        var record = found.Json.GetProperty("records")[0];
        Assert.Equal("unix:0", record.GetProperty("caller").GetString());
        Assert.Equal(("system:serviceaccount:a:b", "t-1", "x y", "cluster"), (
            record.GetProperty("subject").GetString(), record.GetProperty("tokenId").GetString(),
            record.GetProperty("audience").GetString(), record.GetProperty("keyName").GetString()));
        // What keeps the key published when it is retired.
        var versions = await Service.Client.GetJsonAsync("/v1/keys/cluster/versions");
        Assert.Equal(exp, versions.Json.GetProperty("versions")[0].GetProperty("tokensExpireAt").GetDateTimeOffset().ToUnixTimeSeconds());
    }

    [Fact]
    public async Task Keys_are_whole_in_a_stable_order_and_excluded_where_they_are_to_be()
    {
        using var apiserver = Connect(_socket);
        var first = await apiserver.CallAsync<FetchKeysResponse>($"{Signer}/FetchKeys", new FetchKeysRequest());
        var again = await apiserver.CallAsync<FetchKeysResponse>($"{Signer}/FetchKeys", new FetchKeysRequest());
        Assert.Equal(first, again);
        Assert.Equal([false, true], first.Keys.Select(k => k.ExcludeFromOidcDiscovery));
        Assert.Equal(1, first.RefreshHintSeconds);

        // The new version is not to sign before the end of the test.
        Assert.Equal(200, (await Service.Client.CallAsync(HttpMethod.Patch, "/v1/keys/cluster", """{"rotation":{"leadSeconds":3600}}""")).Code);
        await Service.Client.PostJsonAsync("/v1/keys/cluster/rotate");
        var rotated = await apiserver.CallAsync<FetchKeysResponse>($"{Signer}/FetchKeys", new FetchKeysRequest());
        Assert.Equal(3, rotated.Keys.Count);
        Assert.True(rotated.DataTimestamp > first.DataTimestamp);
        var signed = await apiserver.CallAsync<SignJWTResponse>($"{Signer}/Sign", new SignJWTRequest { Claims = Claims(600) });
        Assert.Contains(first.Keys[0].KeyId, Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(signed.Header)), StringComparison.Ordinal);

        Assert.Equal(3600, (await apiserver.CallAsync<MetadataResponse>($"{Signer}/Metadata", new MetadataRequest())).MaxTokenExpirationSeconds);
        await Service.RestartAsync();
        using var anew = Connect(_socket);
        Assert.Equal(rotated.Keys, (await anew.CallAsync<FetchKeysResponse>($"{Signer}/FetchKeys", new FetchKeysRequest())).Keys);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not base64url!")]
    [InlineData("W10")]
    [InlineData("e30")]
    [InlineData("eyJleHAiOjF9.e30")]
    [InlineData("eyJleHAiOiIxIn0")]
    public async Task Claims_that_cannot_be_read_or_do_not_expire_are_refused(string claims)
    {
        using var apiserver = Connect(_socket);
        var end = await apiserver.FailAsync<SignJWTResponse>($"{Signer}/Sign", new SignJWTRequest { Claims = claims });
        Assert.Equal((StatusCode.InvalidArgument, "INVALID_REQUEST"), (end.Status, end.Error.Reason));
    }

    [Fact]
    public async Task A_token_that_outlives_what_was_promised_is_refused_on_record()
    {
        using var apiserver = Connect(_socket);
        var end = await apiserver.FailAsync<SignJWTResponse>($"{Signer}/Sign", new SignJWTRequest { Claims = Claims(5000) });
        Assert.Equal(StatusCode.InvalidArgument, end.Status);
        Assert.Equal("failed", (await GrpcServer.RecordAsync(Service, end.Trailers["signsvc-audit-id"])).GetProperty("outcome").GetString());
    }

    [Fact]
    public async Task The_signer_is_on_its_socket_alone_and_its_caller_may_do_nothing_else()
    {
        using var tcp = new GrpcClient(await GrpcServer.AddressAsync(Service), Service.AdminToken);
        Assert.Equal(StatusCode.Unimplemented, (await tcp.FailAsync<SignJWTResponse>($"{Signer}/Sign", new SignJWTRequest { Claims = Claims(600) })).Status);
        Assert.Equal(StatusCode.Unimplemented, (await tcp.FailAsync<FetchKeysResponse>($"{Signer}/FetchKeys", new FetchKeysRequest())).Status);

        using var apiserver = Connect(_socket);
        Assert.Equal(StatusCode.Unauthenticated, (await apiserver.FailAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "cluster" })).Status);
    }

    /// <summary>A socket file could be guarded by its mode; an abstract one has none, and the check of the uid is all there is.</summary>
    [Fact]
    public async Task A_process_of_another_user_is_refused_before_it_is_read_from()
    {
        var name = $"signsvc-{RandomNumberGenerator.GetHexString(12)}";
        await using var service = await StartAsync(("SignSvc__Kubernetes__Socket", $"@{name}"), ("SignSvc__Kubernetes__Key", "tokens"));
        const string script = """
            import sys, grpc
            call = grpc.insecure_channel("unix-abstract:" + sys.argv[1]).unary_unary("/v1.ExternalJWTSigner/Metadata", lambda r: b"", lambda b: b)
            try:
                print("answer", call(None, timeout=20).hex())
            except grpc.RpcError as error:
                print(error.code().name)
            """;
        var own = await OutsideClients.RunAsync(OutsideClients.Python, ["-c", script, name]);
        Assert.Equal("answer 08901c", own.Trim());
        var other = await OutsideClients.RunAsync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", OutsideClients.Python, "-c", script, name]);
        Assert.Equal("UNAVAILABLE", other.Trim());

        var records = await service.Client.GetJsonAsync("/v1/audit?caller=unknown&action=callers:Authenticate");
        Assert.Equal("unix:65534", records.Json.GetProperty("records")[0].GetProperty("address").GetString());
    }

    [Fact]
    public async Task Users_that_are_named_may_call()
    {
        var path = Path.Combine(Path.GetTempPath(), $"signsvc-k8s-{RandomNumberGenerator.GetHexString(12)}.sock");
        await using var service = await StartAsync(
            ("SignSvc__Kubernetes__Socket", path), ("SignSvc__Kubernetes__Key", "tokens"), ("SignSvc__Kubernetes__AllowedUids", "65534"));
        const string script = """
            import sys, grpc
            call = grpc.insecure_channel("unix:" + sys.argv[1]).unary_unary("/v1.ExternalJWTSigner/Metadata", lambda r: b"", lambda b: b)
            print(call(None, timeout=20).hex())
            """;
        var said = await OutsideClients.RunAsync("setpriv", ["--reuid=65534", "--regid=65534", "--clear-groups", OutsideClients.Python, "-c", script, path]);
        Assert.Equal("08901c", said.Trim());
    }

    [Theory]
    [InlineData("SignSvc__Kubernetes__MaxTokenExpirationSeconds", "599")]
    [InlineData("SignSvc__Kubernetes__ExcludedKeys", "cluster")]
    [InlineData("SignSvc__Kubernetes__ExcludedKeys__0", "legacy")]
    [InlineData("SignSvc__Kubernetes__AllowedUids", "root")]
    [InlineData("SignSvc__Kubernetes__Socket", "relative.sock")]
    public async Task A_setting_that_the_apiserver_would_refuse_stops_the_start(string name, string value)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-setting-").FullName;
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__Kubernetes__Socket"] = "@unused", ["SignSvc__Kubernetes__Key"] = "cluster", [name] = value };
        var ended = await ServiceProcess.RefuseToStartAsync(new ServiceOptions { Data = Path.Combine(folder, "data"), Environment = environment });
        Assert.Contains("Kubernetes:", ended.Error, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    private static Task<ServiceProcess> StartAsync(params (string Name, string Value)[] settings)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal) { ["SignSvc__Kubernetes__Key"] = "cluster" };
        foreach (var (name, value) in settings)
            environment[name] = value;
        return ServiceProcess.StartAsync(new ServiceOptions { Environment = environment });
    }

    private static GrpcClient Connect(string path) => new(new Uri("http://localhost"), token: null, new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellation) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        },
    });

    private static string Claims(int seconds) =>
        Encode($$"""{"sub":"s","exp":{{(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + seconds).ToString(CultureInfo.InvariantCulture)}}}""");

    private static string Encode(string json) => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
}
