using System.Text;
using System.Text.Json;
using SignSvc.Signing.Access;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Tokens;

/// <summary>Profiles as documents of before hold them.</summary>
public sealed class TokenProfileTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 22, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("", true)]
    [InlineData(""","grants":["client_credentials"]""", true)]
    [InlineData(""","grants":["urn:ietf:params:oauth:grant-type:token-exchange"]""", false)]
    [InlineData(""","requireBinding":true""", false)]
    [InlineData(""","payloads":true""", false)]
    [InlineData(""","grants":[],"direct":false""", false)]
    [InlineData(""","grants":[],"direct":true""", true)]
    public void A_document_that_does_not_say_it_gives_tokens_directly_unless_it_names_another_way(string members, bool isDirect) =>
        Assert.Equal(isDirect, Read(members).IsDirect);

    [Theory]
    [InlineData("at+jwt")]
    [InlineData("AT+jwt")]
    public void An_access_token_is_one_however_its_type_is_written(string type)
    {
        var profile = Read($$""","type":"{{type}}" """);
        var request = TokenRequest.Parse("s", audience: null, 300, JsonElement.Parse("""{"scope":7}"""));
        var refusal = Assert.Throws<SigningException>(() => new TokenIssuing("https://issuer.example").Settle(new Caller("credential:ci", [Role.Signer]), profile, request, Now));
        Assert.Contains("RFC 9068", refusal.Message, StringComparison.Ordinal);
    }

    private static TokenProfile Read(string members) => JsonSerializer.Deserialize(
        Encoding.UTF8.GetBytes($$"""{"name":"p","keyId":"k","audiences":["a"],"defaultLifetimeSeconds":300,"maxLifetimeSeconds":300{{members}}}"""),
        SigningJson.Default.TokenProfile)!;
}
