using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.OAuth;

/// <summary>What each outside client made of the token endpoint; the program runs once, for all of them.</summary>
public sealed class OAuthAttempts(RunningService service) : IAsyncLifetime
{
    private readonly Dictionary<(string Issuer, string Client, string Method), JsonElement> _attempts = [];

    public const string Resource = "https://api.example/orders";
    public const string Client = "oauth-client";

    public async ValueTask InitializeAsync()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var credential = await service.PostAsync("/v1/credentials", new { name = Client, roles = new[] { "signer" } }, cancellation);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var parameters = key.ExportParameters(includePrivateParameters: true);
        var jwk = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["kty"] = "EC",
            ["crv"] = "P-256",
            ["kid"] = "client-key",
            ["x"] = Base64Url.EncodeToString(parameters.Q.X),
            ["y"] = Base64Url.EncodeToString(parameters.Q.Y),
        };
        await service.PutAsync($"/v1/credentials/{Client}/keys", new { keys = new[] { jwk } }, cancellation);
        jwk["d"] = Base64Url.EncodeToString(parameters.D);

        // The service's own issuer, and one with a path and an RSA key: RFC 8414 and OpenID Connect put the well-known segment in different places.
        await service.PutAsync("/v1/profiles/oauth", new { key = "tokens", audiences = new[] { Resource }, introspection = true }, cancellation);
        await service.PostAsync("/v1/keys", new { name = "hosted", purpose = "tokens", spec = "RSA_2048", algorithms = new[] { "RS256" } }, cancellation);
        await service.PutAsync(
            "/v1/profiles/hosted", new { key = "hosted", issuer = "hosted", audiences = new[] { Resource }, introspection = true }, cancellation);
        foreach (var issuer in (string[])["", "/issuers/hosted"])
        {
            // Other tests' profiles allow this resource, too: which is meant is said.
            var input = JsonSerializer.Serialize(
                new { issuer = $"{service.Url}{issuer}", resource = Resource, profile = issuer.Length == 0 ? "oauth" : "hosted", clientId = Client, clientSecret = credential.GetProperty("token").GetString(), jwk });
            var folder = Directory.CreateTempSubdirectory("signsvc-oauth-");
            try
            {
                var ended = await OutsideProgram.RunAsync(Checkout.Node, [Checkout.Script("node", "oauth-clients.mjs")], folder.FullName, input, cancellation);
                Assert.True(ended.Succeeded, ended.ToString());
                foreach (var line in ended.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
                {
                    var attempt = JsonElement.Parse(line);
                    _attempts.Add((issuer, attempt.GetProperty("client").GetString()!, attempt.GetProperty("method").GetString()!), attempt);
                }
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    public JsonElement Find(string issuer, string client, string method) => _attempts.TryGetValue((issuer, client, method), out var attempt)
        ? attempt
        : throw new KeyNotFoundException($"{client} said nothing of {method}");
}

/// <summary>openid-client and oauth4webapi, unmodified: discovery, client_credentials, validation after RFC 9068.</summary>
public sealed class OAuthClientTests(OAuthAttempts attempts, RunningService service) : IClassFixture<OAuthAttempts>
{
    public static TheoryData<string, string, string> Attempts =>
    [
        .. from issuer in (string[])["", "/issuers/hosted"]
           from attempt in ((string Client, string Method)[])
           [
               ("oauth4webapi", "client_secret_basic"), ("oauth4webapi", "client_secret_post"), ("oauth4webapi", "private_key_jwt"), ("oauth4webapi", "dpop"),
               ("openid-client", "client_secret_basic"), ("openid-client", "client_secret_post"), ("openid-client", "private_key_jwt"), ("openid-client", "dpop"),
               ("openid-client", "introspection"),
           ]
           select new TheoryDataRow<string, string, string>(issuer, attempt.Client, attempt.Method),
    ];

    [Theory]
    [MemberData(nameof(Attempts))]
    public void A_client_discovers_authenticates_and_validates_what_it_gets(string issuer, string client, string method)
    {
        var attempt = attempts.Find(issuer, client, method);
        Assert.True(attempt.GetProperty("accepted").GetBoolean(), attempt.GetRawText());
        var claims = attempt.GetProperty("claims");
        Assert.Equal($"{service.Url}{issuer}", claims.GetProperty("iss").GetString());
        Assert.Equal(OAuthAttempts.Client, claims.GetProperty("client_id").GetString());
        Assert.Equal(OAuthAttempts.Resource, claims.GetProperty("aud").GetString());
        Assert.Equal(method is "dpop", claims.TryGetProperty("cnf", out _));
    }
}
