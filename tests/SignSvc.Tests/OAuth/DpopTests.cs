using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Tests.OAuth;

/// <summary>DPoP proofs at the token endpoint (RFC 9449): right ones bind, wrong ones in each way are refused.</summary>
public sealed class DpopTests(RunningService service) : IAsyncLifetime
{
    private const string Form = "grant_type=client_credentials&resource=https://api.example/";

    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private HttpClient _stranger = null!;
    private string _basic = "";

    public async ValueTask InitializeAsync()
    {
        _stranger = service.Process.As(token: null);
        var client = await service.NewCredentialAsync("signer");
        _basic = $"{client["name"]}:{client["token"]}";
    }

    public ValueTask DisposeAsync()
    {
        _key.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_proof_binds_the_token_to_its_key()
    {
        var granted = await _stranger.GrantAsync("/oauth2/token", Form, _basic, Proof());
        Assert.Equal("DPoP", granted.GetProperty("token_type").GetString());
        Assert.Equal(Thumbprint(_key), granted.Claims().GetProperty("cnf").GetProperty("jkt").GetString());
    }

    [Fact]
    public async Task A_proof_is_used_once_however_many_try_at_once()
    {
        var proof = Proof();
        var answers = await Task.WhenAll(Enumerable.Range(0, 24).Select(_ => _stranger.PostFormAsync("/oauth2/token", Form, _basic, proof)));
        Assert.Single(answers, a => a.Code == 200);
        Assert.All(answers.Where(a => a.Code != 200), a => a.MustBeOAuthError(400, "invalid_dpop_proof"));
    }

    [Fact]
    public async Task Proofs_that_are_wrong_in_any_way_are_refused()
    {
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var header = Header(_key);
        var parts = Proof().Split('.');
        foreach (var wrong in (string[])
            [
                other.Sign(header, Claims()),
                $"{parts[0]}.{parts[1]}.{new string('A', 86)}",
                $"{OAuthCalls.Encode(header.Replace("ES256", "none", StringComparison.Ordinal))}.{parts[1]}.",
                _key.Sign(header.Replace("ES256", "HS256", StringComparison.Ordinal), Claims()),
                _key.Sign(header.Replace("ES256", "ES384", StringComparison.Ordinal), Claims()),
                _key.Sign(header.Replace("dpop+jwt", "JWT", StringComparison.Ordinal), Claims()),
                _key.Sign("""{"alg":"ES256","typ":"dpop+jwt"}""", Claims()),
                _key.Sign($$"""{"alg":"ES256","typ":"dpop+jwt","jwk":{{_key.Jwk(",\"d\":\"AAAA\"")}}}""", Claims()),
                _key.Sign("""{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"oct","k":"AAAA"}}""", Claims()),
                _key.Sign("""{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"\ud800"}}""", Claims()),
                _key.Sign("""{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"\ud800"}}""", Claims()),
                _key.Sign("""{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","crv":"P-256","x":"\ud800"}}""", Claims()),
                _key.Sign("""{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":"EC","\udc00":1}}""", Claims()),
                _key.Sign(header, Claims(htm: "\\ud800")),
                _key.Sign(header, Claims(htm: "GET")),
                _key.Sign(header, Claims(htm: "post")),
                _key.Sign(header, Claims(htu: "https://other.example/oauth2/token")),
                _key.Sign(header, Claims(htu: $"{Address}/x")),
                _key.Sign(header, Claims(htu: "nonsense")),
                _key.Sign(header, Claims(age: 3600)),
                _key.Sign(header, Claims(age: -3600)),
                _key.Sign(header, $$"""{"htm":"POST","htu":"{{Address}}","jti":"{{OAuthCalls.NewId()}}"}"""),
                _key.Sign(header, $$"""{"htm":"POST","htu":"{{Address}}","jti":"{{OAuthCalls.NewId()}}","iat":"{{OAuthCalls.Now}}"}"""),
                _key.Sign(header, $$"""{"htm":"POST","htu":"{{Address}}","jti":"{{OAuthCalls.NewId()}}","iat":{{OAuthCalls.Now}},"exp":"{{OAuthCalls.Now + 60}}"}"""),
                _key.Sign(header, $$"""{"htm":"POST","htu":"{{Address}}","jti":"{{OAuthCalls.NewId()}}","iat":{{OAuthCalls.Now}},"nbf":"{{OAuthCalls.Now}}"}"""),
                _key.Sign(header, $$"""{"htm":"POST","htu":"{{Address}}","iat":{{OAuthCalls.Now}}}"""),
                _key.Sign(header, $$"""{"htm":"POST","htu":"{{Address}}","iat":{{OAuthCalls.Now}},"jti":""}"""),
                "x", "a.b.c",
            ])
        {
            (await _stranger.PostFormAsync("/oauth2/token", Form, _basic, wrong)).MustBeOAuthError(400, "invalid_dpop_proof");
        }

        (await _stranger.PostFormAsync("/oauth2/token", Form, _basic, Proof(), Proof())).MustBeOAuthError(400, "invalid_dpop_proof");
        // Query and fragment do not count.
        await _stranger.GrantAsync("/oauth2/token", Form, _basic, _key.Sign(header, Claims(htu: $"{Address}?a=b#c")));
    }

    [Fact]
    public async Task A_profile_that_demands_binding_gives_no_bearer_tokens_and_a_bound_token_is_exchanged_by_its_holder_alone()
    {
        var issuer = RunningService.NewName("bound");
        var body = $$"""{"key":"tokens","issuer":"{{issuer}}","audiences":["https://api.example/"],"requireBinding":true,"grants":["client_credentials","{{OAuthCalls.Exchange}}"]}""";
        Assert.Equal(200, (await service.Admin.CallAsync(HttpMethod.Put, $"/v1/profiles/{issuer}", body)).Code);
        var path = $"/issuers/{issuer}/oauth2/token";
        var address = $"{service.Process.Url}{path[1..]}";
        (await _stranger.PostFormAsync(path, Form, _basic)).MustBeOAuthError(400, "invalid_dpop_proof");
        var token = (await _stranger.GrantAsync(path, Form, _basic, Proof(address))).GetProperty("access_token").GetString()!;

        var exchange = $"grant_type={OAuthCalls.Escape(OAuthCalls.Exchange)}&subject_token={token}&subject_token_type=urn:ietf:params:oauth:token-type:access_token";
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        (await _stranger.PostFormAsync(path, exchange, _basic, other.Sign(Header(other), Claims(htu: address)))).MustBeOAuthError(400, "invalid_request");
        await _stranger.GrantAsync(path, exchange, _basic, Proof(address));
    }

    private string Address => $"{service.Process.Url}oauth2/token";

    private string Proof(string? address = null) => _key.Sign(Header(_key), Claims(htu: address));

    private static string Header(ECDsa key) => $$"""{"alg":"ES256","typ":"dpop+jwt","jwk":{{key.Jwk()}}}""";

    private string Claims(string htm = "POST", string? htu = null, int age = 0) =>
        $$"""{"htm":"{{htm}}","htu":"{{htu ?? Address}}","iat":{{OAuthCalls.Now - age}},"jti":"{{OAuthCalls.NewId()}}"}""";

    /// <summary>RFC 7638.</summary>
    private static string Thumbprint(ECDsa key)
    {
        var q = key.ExportParameters(includePrivateParameters: false).Q;
        var json = $$"""{"crv":"P-256","kty":"EC","x":"{{Base64Url.EncodeToString(q.X)}}","y":"{{Base64Url.EncodeToString(q.Y)}}"}""";
        return Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes(json)));
    }
}
