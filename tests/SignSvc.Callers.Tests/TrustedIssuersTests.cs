using Microsoft.Extensions.Logging.Abstractions;
using SignSvc.Access.Issuers;

namespace SignSvc.Callers.Tests;

/// <summary>What a token has to be to be believed.</summary>
public sealed class TrustedIssuersTests
{
    [Fact]
    public async Task A_token_of_a_discovered_issuer_is_believed_with_all_its_claims()
    {
        await using var issuer = await LocalIssuer.StartAsync();
        using var trusted = Trust(Settings(issuer));

        var verdict = await trusted.VerifyAsync(
            issuer.Token(("groups", new[] { "a", "b" }), ("nested", new { deep = new { flag = true, n = 12 } }), ("jti", "j-1"),
                ("projects", new[] { new { id = 1 }, new { id = 2 } })).ToString(), Cancellation);

        var token = Assert.IsType<VerifiedToken>(verdict.Token);
        Assert.Equal(("local", issuer.Url, "build", "oidc:local:build"), (token.Issuer, token.IssuerUrl, token.Subject, token.Principal));
        Assert.Equal(["a", "b"], token.Claims["groups"]);
        Assert.Equal(["true"], token.Claims["nested.deep.flag"]);
        Assert.Equal(["12"], token.Claims["nested.deep.n"]);
        Assert.Equal(["1", "2"], token.Claims["projects.id"]);
        Assert.Equal(["signsvc"], token.Claims["aud"]);
        Assert.Equal("j-1", token.TokenId);
        Assert.Empty(token.Roles);
        Assert.Equal((1, 1), (issuer.Discoveries, issuer.Fetches));
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    internal static IssuerSettings Settings(LocalIssuer issuer) =>
        new() { Name = "local", Issuer = issuer.Url, Audiences = { "signsvc" } };

    internal static TrustedIssuers Trust(params IssuerSettings[] settings)
    {
        Assert.Empty(IssuerSettingsCheck.Faults([.. settings]));
        return new TrustedIssuers(settings, TimeProvider.System, NullLogger<TrustedIssuers>.Instance);
    }
}
