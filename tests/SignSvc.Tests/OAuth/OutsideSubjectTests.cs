using System.Buffers.Text;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Tests.OAuth;

/// <summary>Tokens of a trusted OIDC issuer that become ours, and clients that are known by their certificates.</summary>
public sealed class OutsideSubjectTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-oidc-").FullName;
    private readonly ECDsa _issuerKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        _issuerKey.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_pipeline_s_token_becomes_an_internal_token_that_says_who_acts_for_it()
    {
        var keys = Path.Combine(_folder, "jwks.json");
        await File.WriteAllTextAsync(keys, $$"""{"keys":[{{_issuerKey.Jwk(",\"kid\":\"k\",\"alg\":\"ES256\"")}}]}""", TestContext.Current.CancellationToken);
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Access__Issuers__0__Name"] = "pipelines",
                ["SignSvc__Access__Issuers__0__Issuer"] = "https://ci.example",
                ["SignSvc__Access__Issuers__0__Audiences__0"] = "signsvc",
                ["SignSvc__Access__Issuers__0__JwksFile"] = keys,
            },
        });
        var put = await service.Client.CallAsync(
            HttpMethod.Put, "/v1/profiles/internal",
            $$"""{"key":"tokens","audiences":["https://deploy.example/"],"claims":{"repository":"{subject.repository}"},"grants":["{{OAuthCalls.Exchange}}"]}""");
        Assert.True(put.Code == 200, put.ToString());
        var basic = $"bootstrap:{service.AdminToken}";

        var granted = await service.Client.GrantAsync("/oauth2/token", ExchangeOf(Token(OAuthCalls.Now + 120)), basic);
        var claims = granted.Claims();
        Assert.Equal("oidc:pipelines:repo:acme/app", claims.GetProperty("sub").GetString());
        Assert.Equal("acme/app", claims.GetProperty("repository").GetString());
        Assert.Equal("bootstrap", claims.GetProperty("client_id").GetString());
        Assert.Equal("""{"sub":"bootstrap"}""", claims.GetProperty("act").GetRawText());
        Assert.InRange(claims.GetProperty("exp").GetInt64(), 1, OAuthCalls.Now + 120);

        // Who acted there is nobody here, whatever the name and whatever issuer stands beside it.
        var url = service.Url.ToString().TrimEnd('/');
        var acted = (await service.Client.GrantAsync(
            "/oauth2/token", ExchangeOf(With($$$"""act":{"sub":"bootstrap","email":"x","act":{"sub":"admin","iss":"{{{url}}}"} }""")), basic)).Claims();
        Assert.Equal(
            """{"sub":"bootstrap","act":{"sub":"bootstrap","iss":"https://ci.example","act":{"sub":"admin","iss":"https://ci.example"}}}""",
            acted.GetProperty("act").GetRawText());
        await service.Client.GrantAsync("/oauth2/token", ExchangeOf(With(Chain(7))), basic);

        string With(string member) => Token(OAuthCalls.Now + 120, more: $",\"{member}");
        static string Chain(int actors) => $"act\":{string.Concat(Enumerable.Range(1, actors - 1).Select(i => $"{{\"sub\":\"{i}\",\"act\":"))}{{\"sub\":\"last\"}}{new string('}', actors - 1)}";

        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        foreach (var bad in (string[])
            [
                Token(OAuthCalls.Now - 600), Token(OAuthCalls.Now + 120, audience: "other"), Token(OAuthCalls.Now + 120, issuer: "https://other.example"),
                Token(OAuthCalls.Now + 120, more: $",\"nbf\":\"{OAuthCalls.Now}\""), Token($"\"{OAuthCalls.Now + 120}\""),
                Token(OAuthCalls.Now + 120, key: other), Token(OAuthCalls.Now + 120, more: ",\"may_act\":{\"sub\":\"somebody\"}"),
                With("""may_act":{"sub":"\ud800"}"""), With("""act":{"sub":"\ud800"}"""), With("""act":{"\ud800":"x"}"""),
                With("act\":\"bootstrap\""), With("""act":null"""), With("""act":{}"""), With("""act":{"sub":7}"""), With("""act":{"sub":""}"""),
                With("""act":{"sub":"a","act":["b"]}"""), With(Chain(8)),
            ])
        {
            (await service.Client.PostFormAsync("/oauth2/token", ExchangeOf(bad), basic)).MustBeOAuthError(400, "invalid_request");
        }
    }

    [Fact]
    public async Task A_client_certificate_names_the_client_and_binds_its_token()
    {
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var clientKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var root = Root(rootKey);
        using var client = Client(clientKey, root, rootKey);
        var (ca, server) = (Path.Combine(_folder, "ca.pem"), Path.Combine(_folder, "server.pfx"));
        await File.WriteAllTextAsync(ca, root.ExportCertificatePem(), TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(server, root.Export(X509ContentType.Pkcs12), TestContext.Current.CancellationToken);
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["ASPNETCORE_URLS"] = "https://127.0.0.1:0",
                ["SignSvc__Grpc__Url"] = "",
                ["Kestrel__Certificates__Default__Path"] = server,
                ["Kestrel__Certificates__Default__Password"] = "",
                ["SignSvc__Access__ClientCertificates__CaFile"] = ca,
                ["SignSvc__Access__ClientCertificates__Roles__0__Role"] = "Signer",
                ["SignSvc__Access__ClientCertificates__Roles__0__When__0__Claim"] = "spiffe.id",
                ["SignSvc__Access__ClientCertificates__Roles__0__When__0__Values__0"] = "spiffe://acme.example/*",
            },
        });
        using var known = Connect(service, root, client);
        using var stranger = Connect(service, root, certificate: null);
        const string form = "grant_type=client_credentials&resource=https://api.example/";

        var metadata = (await known.GetJsonAsync("/.well-known/oauth-authorization-server")).Json;
        Assert.True(metadata.GetProperty("tls_client_certificate_bound_access_tokens").GetBoolean());
        Assert.Contains("tls_client_auth", metadata.GetProperty("token_endpoint_auth_methods_supported").GetRawText(), StringComparison.Ordinal);
        foreach (var id in (string[])["", "&client_id=spiffe%3A%2F%2Facme.example%2Fci"])
        {
            var answer = await known.PostFormAsync("/oauth2/token", form + id);
            Assert.True(answer.Code == 200, answer.ToString());
            var thumbprint = Base64Url.EncodeToString(SHA256.HashData(client.RawData));
            Assert.Equal("spiffe://acme.example/ci", answer.Json.Claims().GetProperty("sub").GetString());
            Assert.Equal("spiffe://acme.example/ci", answer.Json.Claims().GetProperty("client_id").GetString());
            Assert.Equal(thumbprint, answer.Json.Claims().GetProperty("cnf").GetProperty("x5t#S256").GetString());
        }

        using var admin = Connect(service, root, certificate: null);
        admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", service.AdminToken);
        await admin.MustPutAsync(200, "/v1/profiles/bound", $$"""{"key":"tokens","issuer":"bound","audiences":["a"],"requireBinding":true,"grants":["client_credentials","{{OAuthCalls.Exchange}}"]}""");
        var bound = (await known.PostFormAsync("/issuers/bound/oauth2/token", "grant_type=client_credentials"))["access_token"];
        var exchange = $"grant_type={OAuthCalls.Escape(OAuthCalls.Exchange)}&subject_token={bound}&subject_token_type=urn:ietf:params:oauth:token-type:access_token";
        var exchanged = await known.PostFormAsync("/issuers/bound/oauth2/token", exchange);
        Assert.True(exchanged.Code == 200, exchanged.ToString());
        Assert.True(exchanged.Json.Claims().GetProperty("cnf").TryGetProperty("x5t#S256", out _));
        var thief = await stranger.PostFormAsync("/issuers/bound/oauth2/token", exchange, $"bootstrap:{service.AdminToken}", Proof(clientKey, $"{service.Url}issuers/bound/oauth2/token"));
        thief.MustBeOAuthError(400, "invalid_request");
        Assert.Contains("bound to a key", thief["error_description"], StringComparison.Ordinal);

        (await known.PostFormAsync("/oauth2/token", $"{form}&client_id=%2F%2Facme.example%2Fci")).MustBeOAuthError(401, "invalid_client");
        (await known.PostFormAsync("/oauth2/token", $"{form}&client_id=bootstrap")).MustBeOAuthError(401, "invalid_client");
        (await stranger.PostFormAsync("/oauth2/token", form)).MustBeOAuthError(401, "invalid_client");
    }

    private static HttpClient Connect(ServiceProcess service, X509Certificate2 server, X509Certificate2? certificate)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            SslOptions = { RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.GetRawCertData().AsSpan().SequenceEqual(server.RawData) == true },
        };
        if (certificate is not null)
            handler.SslOptions.LocalCertificateSelectionCallback = (_, _, _, _, _) => certificate;
        return new HttpClient(handler) { BaseAddress = service.Url };
    }

    private static X509Certificate2 Root(ECDsa key)
    {
        var request = new CertificateRequest("CN=Root", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: true, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false));
        var now = TimeProvider.System.GetUtcNow();
        return request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
    }

    private static X509Certificate2 Client(ECDsa key, X509Certificate2 root, ECDsa rootKey)
    {
        var request = new CertificateRequest("CN=client", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri("spiffe://acme.example/ci"));
        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(certificateAuthority: false, hasPathLengthConstraint: false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.2")], critical: false));
        var now = TimeProvider.System.GetUtcNow();
        using var issued = request.Create(root.SubjectName, X509SignatureGenerator.CreateForECDsa(rootKey), now.AddHours(-1), now.AddHours(1), RandomNumberGenerator.GetBytes(8));
        return issued.CopyWithPrivateKey(key);
    }

    private static string Proof(ECDsa key, string address) => key.Sign(
        $$"""{"alg":"ES256","typ":"dpop+jwt","jwk":{{key.Jwk()}}}""",
        $$"""{"htm":"POST","htu":"{{address}}","iat":{{OAuthCalls.Now}},"jti":"{{OAuthCalls.NewId()}}"}""");

    private static string ExchangeOf(string token) =>
        $"grant_type={OAuthCalls.Escape(OAuthCalls.Exchange)}&subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:id_token&resource=https://deploy.example/";

    private string Token(object expires, string issuer = "https://ci.example", string audience = "signsvc", ECDsa? key = null, string more = "") =>
        (key ?? _issuerKey).Sign(
            """{"alg":"ES256","kid":"k","typ":"JWT"}""",
            $$"""{"iss":"{{issuer}}","sub":"repo:acme/app","aud":"{{audience}}","exp":{{expires}},"iat":{{OAuthCalls.Now}},"repository":"acme/app"{{more}}}""");
}
