using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using SignSvc.Grpc.V1;
using SignSvc.GrpcService.Tests;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.Callers.Tests;

/// <summary>Callers by client certificate, with a service that serves TLS, and certificates made here.</summary>
public sealed class CertificateTests : IAsyncLifetime
{
    private const string Spiffe = "spiffe://acme.example/ns/ci/sa/builder";

    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-mtls-").FullName;
    private readonly TestAuthority _root = new("CN=Root");
    private readonly TestAuthority _other = new("CN=Other root");
    private ServiceProcess _service = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string CaFile => Path.Combine(_folder, "ca.pem");

    private string CrlFile => Path.Combine(_folder, "crl.pem");

    public async ValueTask InitializeAsync()
    {
        var server = Path.Combine(_folder, "server.pfx");
        await File.WriteAllBytesAsync(server, _other.Issue(new CertificateWish { Subject = "CN=localhost", Dns = ["localhost"], Usages = ["1.3.6.1.5.5.7.3.1"] }).Export(X509ContentType.Pkcs12), Cancellation);
        await File.WriteAllTextAsync(CaFile, _root.Pem, Cancellation);
        await File.WriteAllTextAsync(CrlFile, _root.RevocationList(TimeSpan.FromHours(1)), Cancellation);
        var environment = CallersService.Variables(
            ("ClientCertificates:CaFile", CaFile), ("ClientCertificates:CrlFile", CrlFile),
            ("ClientCertificates:Roles:0:Role", "Signer"),
            ("ClientCertificates:Roles:0:When:0:Claim", "spiffe.id"), ("ClientCertificates:Roles:0:When:0:Values:0", "spiffe://acme.example/ns/ci/*"));
        environment["ASPNETCORE_URLS"] = "https://127.0.0.1:0";
        environment["SignSvc__Grpc__Url"] = "";
        environment["Kestrel__Certificates__Default__Path"] = server;
        environment["Kestrel__Certificates__Default__Password"] = "";
        _service = await ServiceProcess.StartAsync(new ServiceOptions { Environment = environment });
    }

    public async ValueTask DisposeAsync()
    {
        await _service.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_SPIFFE_id_is_the_principal_and_the_certificate_s_names_are_claims()
    {
        var certificate = _root.Issue(new CertificateWish { Uris = [Spiffe], Dns = ["builder.acme.example"] });
        var you = await WhoAmIAsync(certificate);

        Assert.Equal((Spiffe, "certificate"), (you.GetProperty("principal").GetString(), you.GetProperty("kind").GetString()));
        Assert.Equal("signer", you.GetProperty("roles")[0].GetString());
        var claims = you.GetProperty("claims");
        Assert.Equal("acme.example", claims.GetProperty("spiffe.trustDomain")[0].GetString());
        Assert.Equal("/ns/ci/sa/builder", claims.GetProperty("spiffe.path")[0].GetString());
        Assert.Equal("builder.acme.example", claims.GetProperty("san.dns")[0].GetString());
        Assert.Equal("127.0.0.1", claims.GetProperty("san.ip")[0].GetString());
        Assert.Equal(certificate.SerialNumber, claims.GetProperty("serial")[0].GetString());
        Assert.InRange(you.GetProperty("expiresAt").GetDateTimeOffset(), TimeProvider.System.GetUtcNow(), TimeProvider.System.GetUtcNow().AddHours(1));

        using var grpc = new GrpcClient(_service.Url, token: null, Handler(certificate));
        Assert.Equal("release", (await grpc.CallAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Key.Name);
    }

    [Fact]
    public async Task Without_a_SPIFFE_id_the_subject_is_the_principal()
    {
        var you = await WhoAmIAsync(_root.Issue(new CertificateWish { Subject = "CN=builder, O=Acme", Uris = ["https://builder.example/"] }));
        Assert.Equal("certificate:CN=builder, O=Acme", you.GetProperty("principal").GetString());
        Assert.Equal(0, you.GetProperty("roles").GetArrayLength());
    }

    public static TheoryData<string> Refused => ["no certificate", "another root's", "self-signed", "the root itself", "expired", "not yet valid", "for servers", "for no usage", "a CA's", "two URIs", "a crooked SPIFFE id", "no name"];

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task A_certificate_that_is_wrong_names_nobody(string what)
    {
        var certificate = what switch
        {
            "no certificate" => null,
            "another root's" => _other.Issue(new CertificateWish { Uris = [Spiffe] }),
            "self-signed" => new TestAuthority("CN=builder").Certificate,
            "the root itself" => _root.Certificate,
            "expired" => _root.Issue(new CertificateWish { Uris = [Spiffe], Until = TimeSpan.FromMinutes(-1) }),
            "not yet valid" => _root.Issue(new CertificateWish { Uris = [Spiffe], From = TimeSpan.FromMinutes(10) }),
            "for servers" => _root.Issue(new CertificateWish { Uris = [Spiffe], Usages = ["1.3.6.1.5.5.7.3.1"] }),
            "for no usage" => _root.Issue(new CertificateWish { Uris = [Spiffe], Usages = [] }),
            "a CA's" => _root.Intermediate("CN=builder").Certificate,
            "two URIs" => _root.Issue(new CertificateWish { Uris = [Spiffe, "https://builder.example/"] }),
            "a crooked SPIFFE id" => _root.Issue(new CertificateWish { Uris = ["spiffe://acme.example/ns//builder"] }),
            _ => _root.Issue(new CertificateWish { Subject = "" , Dns = ["x.example"] }),
        };
        using var client = Client(certificate);
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
        // What is open to strangers still is.
        Assert.Equal(200, (await client.GetJsonAsync("/.well-known/jwks.json")).Code);
        using var grpc = new GrpcClient(_service.Url, token: null, Handler(certificate));
        Assert.Equal(StatusCode.Unauthenticated, (await grpc.FailAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Status);
    }

    [Fact]
    public async Task A_certificate_does_not_make_a_bad_bearer_good_and_a_good_one_goes_first()
    {
        using var client = Client(_root.Issue(new CertificateWish { Uris = [Spiffe] }));
        client.DefaultRequestHeaders.Authorization = new("Bearer", "ssv1_wrong");
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
        client.DefaultRequestHeaders.Authorization = new("Bearer", _service.AdminToken);
        Assert.Equal("credential:bootstrap", (await client.GetJsonAsync("/v1/whoami"))["principal"]);
    }

    [Fact]
    public async Task A_certificate_in_a_header_is_nothing()
    {
        using var client = Client(certificate: null);
        foreach (var header in (string[])["X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "ssl-client-cert", "X-ARR-ClientCert", "Client-Cert"])
            client.DefaultRequestHeaders.TryAddWithoutValidation(header, Convert.ToBase64String(_root.Issue(new CertificateWish { Uris = [Spiffe] }).RawData));
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
    }

    [Fact]
    public async Task An_intermediate_that_comes_along_is_used_if_its_own_list_is_there()
    {
        var intermediate = _root.Intermediate("CN=Issuing");
        var certificate = intermediate.Issue(new CertificateWish { Uris = [Spiffe] });
        // Each CA of the chain has to say what it revoked.
        using (var client = Client(certificate, intermediate.Certificate))
            Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);

        await File.WriteAllTextAsync(CrlFile, _root.RevocationList(TimeSpan.FromHours(1)) + "\n" + intermediate.RevocationList(TimeSpan.FromHours(1)), Cancellation);

        using (var client = Client(certificate, intermediate.Certificate))
            await UntilAsync(client, 200);
        using (var client = Client(certificate))
            Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
    }

    [Fact]
    public async Task Revoking_reaches_connections_that_are_open_and_a_list_that_is_over_lets_nobody_in()
    {
        var (mine, theirs) = (_root.Issue(new CertificateWish { Uris = [Spiffe] }), _root.Issue(new CertificateWish { Subject = "CN=other" }));
        using var client = Client(mine);
        using var other = Client(theirs);
        Assert.Equal(200, (await client.GetJsonAsync("/v1/whoami")).Code);

        await File.WriteAllTextAsync(CrlFile, _root.RevocationList(TimeSpan.FromHours(1), mine), Cancellation);
        await UntilAsync(client, 401);
        Assert.Equal(200, (await other.GetJsonAsync("/v1/whoami")).Code);

        // Half a file changes nothing; a list of a stranger neither.
        await File.WriteAllTextAsync(CrlFile, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----", Cancellation);
        await UntilLoggedAsync("cannot be read");
        Assert.Equal((401, 200), ((await client.GetJsonAsync("/v1/whoami")).Code, (await other.GetJsonAsync("/v1/whoami")).Code));

        await File.WriteAllTextAsync(CrlFile, new TestAuthority("CN=Root").RevocationList(TimeSpan.FromHours(1)), Cancellation);
        await UntilAsync(other, 401);

        await File.WriteAllTextAsync(CrlFile, _root.RevocationList(TimeSpan.FromHours(1)), Cancellation);
        await UntilAsync(other, 200);
        await File.WriteAllTextAsync(CrlFile, _root.RevocationList(TimeSpan.FromMinutes(-1)), Cancellation);
        await UntilAsync(other, 401);
    }

    [Fact]
    public async Task Roots_are_exchanged_while_the_service_runs()
    {
        using var old = Client(_root.Issue(new CertificateWish { Uris = [Spiffe] }));
        using var next = Client(_other.Issue(new CertificateWish { Uris = [Spiffe] }));
        Assert.Equal((200, 401), ((await old.GetJsonAsync("/v1/whoami")).Code, (await next.GetJsonAsync("/v1/whoami")).Code));

        await File.WriteAllTextAsync(CrlFile, _root.RevocationList(TimeSpan.FromHours(1)) + "\n" + _other.RevocationList(TimeSpan.FromHours(1)), Cancellation);
        await File.WriteAllTextAsync(CaFile, _other.Pem, Cancellation);

        await UntilAsync(next, 200);
        Assert.Equal(401, (await old.GetJsonAsync("/v1/whoami")).Code);
    }

    [Fact]
    public async Task Nothing_is_downloaded_on_a_stranger_s_word()
    {
        await using var trap = await LocalIssuer.StartAsync();
        var certificate = _other.Intermediate("CN=Elsewhere").Issue(new CertificateWish { Uris = [Spiffe], IssuerUrl = $"{trap.Url}/keys" });
        using var client = Client(certificate);
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
        Assert.Equal(0, trap.Fetches);
    }

    [Theory]
    [InlineData("spiffe://acme.example", true)]
    [InlineData("spiffe://acme.example/a/b.c-d_E", true)]
    [InlineData("spiffe://Acme.example/a", false)]
    [InlineData("spiffe://acme.example:8443/a", false)]
    [InlineData("spiffe://user@acme.example/a", false)]
    [InlineData("spiffe://acme.example/", false)]
    [InlineData("spiffe://acme.example/a/", false)]
    [InlineData("spiffe://acme.example/a/../b", false)]
    [InlineData("spiffe://acme.example/a%2fb", false)]
    [InlineData("spiffe://acme.example/a?b", false)]
    [InlineData("spiffe:///a", false)]
    [InlineData("SPIFFE://acme.example/a", false)]
    public void A_SPIFFE_id_has_one_spelling(string text, bool isOne) => Assert.Equal(isOne, Access.Certificates.SpiffeId.TryParse(text) is not null);

    private async Task<JsonElement> WhoAmIAsync(X509Certificate2 certificate)
    {
        using var client = Client(certificate);
        var answer = await client.GetJsonAsync("/v1/whoami");
        Assert.True(answer.Code == 200, $"{answer}");
        return answer.Json;
    }

    private HttpClient Client(X509Certificate2? certificate, params X509Certificate2[] chain) => new(Handler(certificate, chain)) { BaseAddress = _service.Url };

    private static SocketsHttpHandler Handler(X509Certificate2? certificate, params X509Certificate2[] chain)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        if (certificate is not null)
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, [.. chain], offline: true);
        return handler;
    }

    private static async Task UntilAsync(HttpClient client, int status)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await client.GetJsonAsync("/v1/whoami")).Code != status)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, patience.Token);
    }

    private async Task UntilLoggedAsync(string words)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!_service.Output.Contains(words, StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, patience.Token);
    }
}
