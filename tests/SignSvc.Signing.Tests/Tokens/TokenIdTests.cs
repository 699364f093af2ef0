using System.Buffers.Text;
using SignSvc.Signing.Tokens;

namespace SignSvc.Signing.Tests.Tokens;

public sealed class TokenIdTests
{
    [Fact]
    public void An_id_tells_its_profile_and_no_two_are_alike()
    {
        var longest = new string('z', 63);
        string[] profiles = ["default", "default2", "a", longest];
        var ids = new HashSet<string>(StringComparer.Ordinal);
        foreach (var profile in profiles)
        {
            for (var i = 0; i < 1000; i++)
            {
                var id = TokenId.New(profile);
                Assert.True(ids.Add(id));
                Assert.Equal(24, Base64Url.DecodeFromChars(id).Length);
                Assert.Equal([profile], profiles.Where(p => TokenId.IsOf(p, id)), StringComparer.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("default")]
    [InlineData("!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("é\ud800")]
    public void What_no_profile_issued_is_of_none(string id) => Assert.False(TokenId.IsOf("default", id));

    [Fact]
    public void An_id_that_was_lengthened_is_of_none() => Assert.False(TokenId.IsOf("default", $"{TokenId.New("default")}AAAA"));
}
