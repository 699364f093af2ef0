using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests;

/// <summary>JSON may hold what no text can: halves of surrogate pairs, in values and in names.</summary>
public sealed class ForeignJsonTests
{
    [Theory]
    [InlineData("""{"a":"b","c":[1,null,"\u00e4\ud83d\ude00\n"]}""", true)]
    [InlineData("\"\u00e4\"", true)]
    [InlineData("""{"a":["\ud800"]}""", false)]
    [InlineData("""{"a":{"\udc00":1}}""", false)]
    [InlineData("\"\\ud83dx\\ude00\"", false)]
    public void Halves_of_characters_are_found_wherever_they_stand(string json, bool isUnicode)
    {
        Assert.Equal(isUnicode, ForeignJson.IsUnicode(JsonElement.Parse(json)));
        if (isUnicode)
            return;
        Assert.Null(CompactJws.TryParseJwt($"{Encode("""{"alg":"ES256"}""")}.{Encode($$"""{"x":{{json}}}""")}.AAAA"));
        Assert.Null(CompactJws.TryParse($"{Encode($$"""{"alg":"ES256","jwk":{{json}}}""")}.AAAA.AAAA"));
        var claims = Assert.Throws<SigningException>(() => ServiceAccountClaims.Parse(Encode($$"""{"exp":4102444800,"sub":"s","x":{{json}}}""")));
        Assert.Equal(SigningFault.InvalidRequest, claims.Fault);
        Assert.Throws<SigningException>(() => JsonSerializer.Deserialize($$"""{"statements":[{"sid":{{json}}}]}""", SigningJson.Default.PolicyDocument));
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
}
