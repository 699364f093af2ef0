using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using SignSvc.Grpc.V1;
using SignSvc.GrpcService.Tests;
using StatusCode = SignSvc.Grpc.StatusCode;

namespace SignSvc.Callers.Tests;

/// <summary>Callers by client certificate: whom one names, and which ones name nobody.</summary>
public sealed class CertificateTests(MtlsService mtls) : IClassFixture<MtlsService>
{
    private const string Spiffe = "spiffe://acme.example/ns/ci/sa/builder";

    [Fact]
    public async Task A_SPIFFE_id_is_the_principal_and_the_certificate_s_names_are_claims()
    {
        var certificate = mtls.Root.Issue(new CertificateWish { Uris = [Spiffe], Dns = ["builder.acme.example"] });
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

        using var grpc = new GrpcClient(mtls.Process.Url, token: null, MtlsService.Handler(certificate));
        Assert.Equal("release", (await grpc.CallAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Key.Name);
    }

    [Fact]
    public async Task Without_a_SPIFFE_id_the_subject_is_the_principal()
    {
        var you = await WhoAmIAsync(mtls.Root.Issue(new CertificateWish { Subject = "CN=builder, O=Acme", Uris = ["https://builder.example/"] }));
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
            "another root's" => mtls.Other.Issue(new CertificateWish { Uris = [Spiffe] }),
            "self-signed" => new TestAuthority("CN=builder").Certificate,
            "the root itself" => mtls.Root.Certificate,
            "expired" => mtls.Root.Issue(new CertificateWish { Uris = [Spiffe], Until = TimeSpan.FromMinutes(-1) }),
            "not yet valid" => mtls.Root.Issue(new CertificateWish { Uris = [Spiffe], From = TimeSpan.FromMinutes(10) }),
            "for servers" => mtls.Root.Issue(new CertificateWish { Uris = [Spiffe], Usages = ["1.3.6.1.5.5.7.3.1"] }),
            "for no usage" => mtls.Root.Issue(new CertificateWish { Uris = [Spiffe], Usages = [] }),
            "a CA's" => mtls.Root.Intermediate("CN=builder").Certificate,
            "two URIs" => mtls.Root.Issue(new CertificateWish { Uris = [Spiffe, "https://builder.example/"] }),
            "a crooked SPIFFE id" => mtls.Root.Issue(new CertificateWish { Uris = ["spiffe://acme.example/ns//builder"] }),
            _ => mtls.Root.Issue(new CertificateWish { Subject = "", Dns = ["x.example"] }),
        };
        using var client = mtls.Client(certificate);
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
        // What is open to strangers still is.
        Assert.Equal(200, (await client.GetJsonAsync("/.well-known/jwks.json")).Code);
        using var grpc = new GrpcClient(mtls.Process.Url, token: null, MtlsService.Handler(certificate));
        Assert.Equal(StatusCode.Unauthenticated, (await grpc.FailAsync<GetKeyResponse>("signsvc.v1.Keys/GetKey", new GetKeyRequest { Key = "release" })).Status);
    }

    [Fact]
    public async Task A_certificate_does_not_make_a_bad_bearer_good_and_a_good_one_goes_first()
    {
        using var client = mtls.Client(mtls.Root.Issue(new CertificateWish { Uris = [Spiffe] }));
        client.DefaultRequestHeaders.Authorization = new("Bearer", "ssv1_wrong");
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
        client.DefaultRequestHeaders.Authorization = new("Bearer", mtls.Process.AdminToken);
        Assert.Equal("credential:bootstrap", (await client.GetJsonAsync("/v1/whoami"))["principal"]);
    }

    [Fact]
    public async Task A_certificate_in_a_header_is_nothing()
    {
        using var client = mtls.Client(certificate: null);
        foreach (var header in (string[])["X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "ssl-client-cert", "X-ARR-ClientCert", "Client-Cert"])
            client.DefaultRequestHeaders.TryAddWithoutValidation(header, Convert.ToBase64String(mtls.Root.Issue(new CertificateWish { Uris = [Spiffe] }).RawData));
        Assert.Equal(401, (await client.GetJsonAsync("/v1/whoami")).Code);
    }

    [Fact]
    public async Task Nothing_is_downloaded_on_a_stranger_s_word()
    {
        await using var trap = await LocalIssuer.StartAsync();
        var certificate = mtls.Other.Intermediate("CN=Elsewhere").Issue(new CertificateWish { Uris = [Spiffe], IssuerUrl = $"{trap.Url}/keys" });
        using var client = mtls.Client(certificate);
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
        using var client = mtls.Client(certificate);
        var answer = await client.GetJsonAsync("/v1/whoami");
        Assert.True(answer.Code == 200, $"{answer}");
        return answer.Json;
    }
}
