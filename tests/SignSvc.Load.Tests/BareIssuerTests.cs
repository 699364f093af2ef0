using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using SignSvc.Load.Calls;
using SignSvc.Load.Ratios;

namespace SignSvc.Load.Tests;

/// <summary>A limit that does less than it says would flatter nobody.</summary>
public sealed class BareIssuerTests
{
    [Fact]
    public void It_signs_the_claims_that_it_was_asked_for()
    {
        var request = Encoding.UTF8.GetBytes(new ServiceCalls("any").Token().Json!);
        var (first, second) = (Issue(request), Issue(request));

        var token = first.GetProperty("token").GetString()!;
        var parts = token.Split('.');
        var digest = SHA256.HashData(Encoding.ASCII.GetBytes(token[..token.LastIndexOf('.')]));
        Assert.True(BareIssuer.Key.VerifyHash(digest, Base64Url.DecodeFromChars(parts[2]), DSASignatureFormat.IeeeP1363FixedFieldConcatenation));

        using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[1]));
        Assert.Equal("build-42", claims.RootElement.GetProperty("sub").GetString());
        Assert.Equal("prod", claims.RootElement.GetProperty("env").GetString());
        Assert.Equal(300, claims.RootElement.GetProperty("exp").GetInt64() - claims.RootElement.GetProperty("iat").GetInt64());
        Assert.NotEqual(first.GetProperty("jti").GetString(), second.GetProperty("jti").GetString(), StringComparer.Ordinal);
    }

    [Fact]
    public async Task It_answers_over_HTTP_as_the_service_does()
    {
        var (process, url) = await BareIssuer.StartAsync(TestContext.Current.CancellationToken);
        await using (process)
        {
            await using var http = new Http1(url);
            var answer = await http.MustAsync(new ServiceCalls("any").Token() with { KeepsBody = true }, TestContext.Current.CancellationToken);
            Assert.Equal((201, 1), (answer.Status, answer.Tokens));
        }
    }

    private static JsonElement Issue(byte[] request)
    {
        var answer = new ArrayBufferWriter<byte>();
        BareIssuer.Issue(new ReadOnlySequence<byte>(request), answer);
        using var json = JsonDocument.Parse(answer.WrittenMemory);
        return json.RootElement.Clone();
    }
}
