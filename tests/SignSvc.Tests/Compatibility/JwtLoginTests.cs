namespace SignSvc.Tests.Compatibility;

/// <summary><c>auth/jwt/login</c>, with another SignSvc as the issuer that is trusted.</summary>
public sealed class JwtLoginTests
{
    [Fact]
    public async Task A_trusted_issuers_token_logs_in_and_is_good_as_the_clients_token()
    {
        await using var issuer = await ServiceProcess.StartAsync();
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["SignSvc__Access__Issuers__0__Name"] = "ci",
                ["SignSvc__Access__Issuers__0__Issuer"] = issuer.Url.ToString().TrimEnd('/'),
                ["SignSvc__Access__Issuers__0__Audiences__0"] = "signsvc",
                ["SignSvc__Access__Issuers__0__Roles__0__Role"] = "Signer",
                ["SignSvc__Access__Issuers__0__Roles__0__When__0__Claim"] = "sub",
                ["SignSvc__Access__Issuers__0__Roles__0__When__0__Values__0"] = "build-*",
            },
        });
        var stranger = service.As(null);
        var jwt = (await issuer.Client.MustPostAsync(201, "/v1/tokens", """{"profile":"default","subject":"build-7","audience":"signsvc","lifetimeSeconds":300}"""))["token"];

        var login = await stranger.MustPostAsync(200, "/v1/auth/jwt/login", $$"""{"role":"any","jwt":"{{jwt}}"}""");
        var auth = login.Json.GetProperty("auth");
        Assert.InRange(auth.GetProperty("lease_duration").GetInt32(), 1, 300);
        Assert.False(auth.GetProperty("renewable").GetBoolean());
        Assert.Equal(["signer"], auth.GetProperty("policies").EnumerateArray().Select(p => p.GetString()), StringComparer.Ordinal);
        Assert.True(login.Headers.CacheControl?.NoStore);

        var client = service.As(null);
        client.DefaultRequestHeaders.Add("X-Vault-Token", auth.GetProperty("client_token").GetString());
        await client.MustPostAsync(200, "/v1/transit/sign/release", """{"input":"AAAA"}""");
        var self = (await client.MustGetAsync("/v1/auth/token/lookup-self")).Json.GetProperty("data");
        Assert.Equal("oidc:ci:build-7", self.GetProperty("display_name").GetString());
        Assert.InRange(self.GetProperty("ttl").GetInt32(), 1, 300);

        var other = (await issuer.Client.MustPostAsync(201, "/v1/tokens", """{"profile":"default","subject":"build-7","audience":"somebody-else"}"""))["token"];
        foreach (var bad in (string[])[other, jwt[..^4] + "AAAA", "x", ""])
        {
            var refused = await stranger.PostJsonAsync("/v1/auth/jwt/login", $$"""{"role":"any","jwt":"{{bad}}"}""");
            Assert.Equal(403, refused.Code);
            Assert.Contains("permission denied", refused.Json.GetProperty("errors")[0].GetString(), StringComparison.Ordinal);
        }

        Assert.Equal(400, (await stranger.PostJsonAsync("/v1/auth/jwt/login", """{"role":"any"}""")).Code);
    }
}
