namespace SignSvc.Cli.Tests;

public sealed class ProfileTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task A_profile_s_tokens_are_had_as_its_grants_say()
    {
        const string exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
        Assert.Equal("client_credentials direct", await GrantsAsync());
        Assert.Equal($"client_credentials {exchange} direct", await GrantsAsync("--exchange"));
        Assert.Equal("client_credentials", await GrantsAsync("--require-binding"));
        Assert.Equal($"client_credentials {exchange}", await GrantsAsync("--require-binding", "--exchange"));
        Assert.Equal("direct", await GrantsAsync("--grant", "direct"));
        Assert.Equal(exchange, await GrantsAsync("--grant", exchange));
        var refused = (await _signsvc.RunAsync("token", "issue", "--profile", "cli-grants", "--audience", "api://a")).Ended(3);
        Assert.Contains("/oauth2/token", refused.Errors, StringComparison.Ordinal);
    }

    private async Task<string> GrantsAsync(params string[] options)
    {
        var put = (await _signsvc.RunAsync(["profiles", "put", "cli-grants", "--key", "tokens", "--audience", "api://a", "-o", "json", .. options])).Ended(0);
        return string.Join(' ', put.Json.GetProperty("grants").EnumerateArray().Select(g => g.GetString()));
    }
}
