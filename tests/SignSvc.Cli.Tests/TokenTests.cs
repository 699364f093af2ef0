using System.Text;
using System.Text.Json;

namespace SignSvc.Cli.Tests;

public sealed class TokenTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task An_issued_token_verifies_with_the_claims_that_were_asked_for()
    {
        var issued = (await _signsvc.RunAsync(
            "token", "issue", "--subject", "build-42", "--audience", "api://deploy", "--lifetime", "5m",
            "--claim", "env=prod", "--claim", "n:=3", "--claim", """groups:=["a","b"]""", "--claim", "url=https://x.example/?a=b")).Ended(0);
        Assert.Equal(2, issued.Text.TrimEnd('\n').Count(c => c == '.'));
        Assert.DoesNotContain(issued.Text.Trim(), issued.Errors, StringComparison.Ordinal);

        // A verifier needs no credential.
        using var verifier = new CommandLine().Set("SIGNSVC_URL", service.Url);
        var verified = (await verifier.RunAsync(issued.Output, "token", "verify", "--audience", "api://deploy", "-o", "json")).Ended(0).Json;

        var claims = verified.GetProperty("claims");
        Assert.True(verified.GetProperty("valid").GetBoolean());
        Assert.Equal("build-42", claims.GetProperty("sub").GetString());
        Assert.Equal(service.Url, claims.GetProperty("iss").GetString());
        Assert.Equal("prod", claims.GetProperty("env").GetString());
        Assert.Equal(3, claims.GetProperty("n").GetInt32());
        Assert.Equal("""["a","b"]""", claims.GetProperty("groups").GetRawText());
        Assert.Equal("https://x.example/?a=b", claims.GetProperty("url").GetString());
        Assert.Equal(300, claims.GetProperty("exp").GetInt64() - claims.GetProperty("iat").GetInt64());
    }

    [Fact]
    public async Task A_token_is_read_from_a_file_and_shown_as_a_table()
    {
        var issued = (await _signsvc.RunAsync("token", "issue", "--audience", "a", "--output", "json")).Ended(0).Json;
        var file = _signsvc.Folder.Write("token", issued.GetProperty("token").GetString()!);

        var verified = (await _signsvc.RunAsync("token", "verify", file)).Ended(0);

        Assert.Contains(issued.GetProperty("tokenId").GetString()!, verified.Text, StringComparison.Ordinal);
        Assert.Contains("audience was not checked", verified.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_for_somebody_else_is_not_valid()
    {
        var issued = (await _signsvc.RunAsync("token", "issue", "--audience", "api://a")).Ended(0);

        var verified = (await _signsvc.RunAsync(issued.Output, "token", "verify", "--audience", "api://b")).Ended(1);

        Assert.Contains("not for api://b", verified.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("other claims", "signature")]
    [InlineData("alg none", "")]
    [InlineData("no token", "not a")]
    public async Task What_the_service_did_not_sign_is_not_valid(string forgery, string reason)
    {
        var token = (await _signsvc.RunAsync("token", "issue", "--audience", "a")).Ended(0).Text.Trim();
        var parts = token.Split('.');
        var forged = forgery switch
        {
            "other claims" => $"{parts[0]}.{Changed(parts[1], "\"aud\":\"a\"", "\"aud\":\"b\"")}.{parts[2]}",
            "alg none" => $"{Changed(parts[0], "ES256", "none")}.{parts[1]}.",
            _ => "hello",
        };

        var verified = (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(forged), "token", "verify", "-o", "json")).Ended(1);

        Assert.False(verified.Json.GetProperty("valid").GetBoolean());
        Assert.Contains(reason, verified.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain(forged, verified.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_document_of_another_issuer_is_refused()
    {
        var issued = (await _signsvc.RunAsync("token", "issue", "--audience", "a")).Ended(0);
        await using var other = StrangeServer.Answering("200 OK", "application/json", $$"""{"issuer":"{{service.Url}}","jwks_uri":"{{service.Url}}/.well-known/jwks.json"}""");

        var verified = (await _signsvc.RunAsync(issued.Output, "token", "verify", "--issuer", other.Url)).Ended(4);

        Assert.Contains("not the document of that issuer", verified.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("Authorization", other.Requests[0], StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Profiles_are_listed_and_shown()
    {
        Assert.Contains("default", (await _signsvc.RunAsync("profiles", "list")).Ended(0).Text, StringComparison.Ordinal);
        Assert.Contains("at+jwt", (await _signsvc.RunAsync("profiles", "show", "default")).Ended(0).Text, StringComparison.Ordinal);
        var json = (await _signsvc.RunAsync("profiles", "show", "default", "-o", "json")).Ended(0);
        Assert.Equal(Encoding.UTF8.GetString(await service.GetAsync("/v1/profiles/default")) + "\n", json.Text);
    }

    private static string Changed(string part, string from, string to)
    {
        var text = Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(part));
        var changed = text.Replace(from, to, StringComparison.Ordinal);
        Assert.NotEqual(text, changed, StringComparer.Ordinal);
        using var _ = JsonDocument.Parse(changed);
        return System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(changed));
    }
}
