using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using SignSvc.Grpc.Rpc;
using SignSvc.Grpc.V1;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.GrpcService.Tests;

/// <summary>The addresses that are served, and which HTTP on each.</summary>
public sealed class ListenerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_TLS_port_serves_both_HTTPs_by_ALPN()
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-tls-").FullName;
        var file = Path.Combine(folder, "server.pfx");
        await File.WriteAllBytesAsync(file, MakeCertificate(), Cancellation);
        await using var service = await ServiceProcess.StartAsync(With(
            ("ASPNETCORE_URLS", "https://127.0.0.1:0"),
            ("SignSvc__Grpc__Url", ""),
            ("Kestrel__Certificates__Default__Path", file),
            ("Kestrel__Certificates__Default__Password", "")));

        foreach (var version in new[] { HttpVersion.Version11, HttpVersion.Version20 })
        {
            using var client = new HttpClient(Trusting()) { DefaultRequestVersion = version, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
            using var response = await client.GetAsync(new Uri(service.Url, ".well-known/jwks.json"), Cancellation);
            Assert.Equal((HttpStatusCode.OK, version), (response.StatusCode, response.Version));
        }

        using var grpc = new GrpcClient(service.Url, service.AdminToken, Trusting());
        Assert.Equal("release", (await grpc.CallAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Key.Name);
        Assert.DoesNotContain("gRPC on", service.Output, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("signsvc.v1.Signing/Sign")]
    [InlineData("signsvc.v1.Signing/Forge")]
    public async Task A_call_at_the_address_of_HTTP_1_hears_where_gRPC_is(string method)
    {
        await using var service = await ServiceProcess.StartAsync(With(("SignSvc__Grpc__Url", "http://127.0.0.1:0")));
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        client.DefaultRequestHeaders.Authorization = new System.Net.Http.Headers.AuthenticationHeaderValue("Bearer", service.AdminToken);
        using var body = new ByteArrayContent(new byte[5]);
        body.Headers.ContentType = new System.Net.Http.Headers.MediaTypeHeaderValue("application/grpc");

        using var response = await client.PostAsync(new Uri(service.Url, method), body, Cancellation);

        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
        var problem = await response.Content.ReadAsStringAsync(Cancellation);
        Assert.Contains("invalid-request", problem, StringComparison.Ordinal);
        Assert.Contains("HTTP/2", problem, StringComparison.Ordinal);
        Assert.Contains("Grpc:Url", problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_Unix_socket_serves_gRPC_and_survives_a_kill()
    {
        var path = Path.Combine(Path.GetTempPath(), $"signsvc-{RandomNumberGenerator.GetHexString(12)}.sock");
        await using var service = await ServiceProcess.StartAsync(With(("SignSvc__Grpc__Url", $"http://unix:{path}")));
        await CallAsync();
        await service.RestartAsync();
        await CallAsync();
        await service.StopAsync();
        Assert.False(File.Exists(path));

        async Task CallAsync()
        {
            await GrpcServer.LineAsync(service, "gRPC on http://unix:");
            var handler = new SocketsHttpHandler
            {
                ConnectCallback = async (_, cancellation) =>
                {
                    var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                    await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellation);
                    return new NetworkStream(socket, ownsSocket: true);
                },
            };
            using var client = new GrpcClient(new Uri("http://localhost"), service.AdminToken, handler);
            await client.CallAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" });
        }
    }

    [Fact]
    public async Task An_address_that_is_in_use_stops_the_start_in_words()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var url = $"http://{taken.LocalEndpoint}";
        var folder = Directory.CreateTempSubdirectory("signsvc-taken-").FullName;
        var ended = await ServiceProcess.RefuseToStartAsync(With(("SignSvc__Grpc__Url", url)) with { Data = Path.Combine(folder, "data") });
        Assert.Equal(1, ended.ExitCode);
        Assert.Contains(url, ended.Error, StringComparison.Ordinal);
        Assert.Contains("SignSvc__Grpc__Url", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", ended.Error, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("SignSvc__Grpc__Url", "8081")]
    [InlineData("SignSvc__Grpc__Url", "ftp://127.0.0.1:1")]
    [InlineData("SignSvc__Grpc__StreamParallelism", "0")]
    [InlineData("SignSvc__Grpc__Reflektion", "true")]
    public async Task A_setting_that_cannot_be_meant_stops_the_start(string name, string value)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-setting-").FullName;
        var ended = await ServiceProcess.RefuseToStartAsync(With((name, value)) with { Data = Path.Combine(folder, "data") });
        Assert.Contains("Grpc", ended.Error, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Reflection_and_health_are_open_and_reflection_can_be_turned_off()
    {
        await using var service = await ServiceProcess.StartAsync(With(("SignSvc__Grpc__Reflection", "false")));
        using var stranger = new GrpcClient(await GrpcServer.AddressAsync(service), token: null);
        Assert.Equal(StatusCode.Unimplemented, (await stranger.FailAsync<Status>("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", new Status())).Status);
        // HealthCheckResponse { SERVING } reads as a Status with the code 1.
        Assert.Equal(1, (await stranger.CallAsync<Status>("grpc.health.v1.Health/Check", new Status())).Code);
    }

    private static ServiceOptions With(params (string Name, string Value)[] environment) => new()
    {
        Environment = environment.ToDictionary(e => e.Name, e => e.Value, StringComparer.Ordinal),
    };

    private static SocketsHttpHandler Trusting() => new()
    {
        UseProxy = false,
        // The certificate is the test's own, of a name that nobody vouches for; what is tested is ALPN.
        SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.Subject is "CN=signsvc-test" },
    };

    private static byte[] MakeCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=signsvc-test", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        using var certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return certificate.Export(X509ContentType.Pkcs12, "");
    }
}
