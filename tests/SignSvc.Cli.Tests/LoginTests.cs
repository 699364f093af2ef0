using System.Text;

namespace SignSvc.Cli.Tests;

public sealed class LoginTests(RunningService service) : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly CommandLine _signsvc = new();

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task A_login_is_kept_for_its_owner_alone_and_serves_later_commands()
    {
        var login = (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(service.Token + "\n"), "login", "--url", service.Url)).Ended(0);

        Assert.Equal(OwnerOnly, File.GetUnixFileMode(_signsvc.StoredLogin));
        Assert.Equal(OwnerOnly | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.GetDirectoryName(_signsvc.StoredLogin)!));
        Assert.Single(Directory.GetFiles(Path.GetDirectoryName(_signsvc.StoredLogin)!));
        Assert.DoesNotContain(service.Token, login.Text + login.Errors, StringComparison.Ordinal);
        (await _signsvc.RunAsync("keys", "list")).Ended(0);
    }

    [Fact]
    public async Task A_token_file_serves_as_well_and_json_names_what_was_kept()
    {
        var file = _signsvc.Folder.Write("token", service.Token);

        var login = (await _signsvc.RunAsync("login", "--url", service.Url, "--token-file", file, "-o", "json")).Ended(0);

        Assert.Equal(service.Url, login.Json.GetProperty("url").GetString());
        Assert.Equal(_signsvc.StoredLogin, login.Json.GetProperty("config").GetString());
    }

    [Fact]
    public async Task A_token_is_never_an_argument()
    {
        var run = (await _signsvc.RunAsync("login", "--url", service.Url, "--token", "ssv1_x")).Ended(2);

        Assert.Contains("--token", run.Errors, StringComparison.Ordinal);
        var help = (await _signsvc.RunAsync("login", "--help")).Ended(0);
        Assert.DoesNotContain("--token ", help.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_token_is_refused_and_not_kept()
    {
        var run = (await _signsvc.RunAsync("ssv1_wrong"u8.ToArray(), "login", "--url", service.Url)).Ended(3);

        Assert.Contains("(unauthenticated", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("ssv1_wrong", run.Errors, StringComparison.Ordinal);
        Assert.False(File.Exists(_signsvc.StoredLogin));
    }

    [Fact]
    public async Task What_is_not_the_service_does_not_get_the_token()
    {
        await using var other = StrangeServer.Answering("200 OK", "text/html", "<html>hello</html>");

        (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(service.Token), "login", "--url", other.Url)).Ended(4);

        Assert.DoesNotContain(other.Requests, request => request.Contains(service.Token, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_stored_login_goes_to_its_own_url_alone()
    {
        (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(service.Token), "login", "--url", service.Url)).Ended(0);
        await using var other = StrangeServer.Silent();

        var run = (await _signsvc.RunAsync("keys", "list", "--url", other.Url)).Ended(2);

        Assert.Contains($"There is no credential for {other.Url}", run.Errors, StringComparison.Ordinal);
        Assert.Empty(other.Requests);
    }

    [Theory]
    [InlineData("/base", "/base/")]
    [InlineData("/base/", "/base")]
    public async Task A_stored_login_is_found_with_a_slash_at_the_end_of_its_url_or_without(string kept, string asked)
    {
        await using var behind = StrangeServer.Answering("200 OK", "application/json", """{"status":"ok","keys":[]}""");
        (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(service.Token), "login", "--url", behind.Url + kept)).Ended(0);

        (await _signsvc.RunAsync("keys", "list", "--url", behind.Url + asked)).Ended(0);

        Assert.StartsWith("GET /base/v1/keys", behind.Requests[^1], StringComparison.Ordinal);
        Assert.Contains($"Bearer {service.Token}", behind.Requests[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stored_login_that_others_can_read_is_not_used()
    {
        (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(service.Token), "login", "--url", service.Url)).Ended(0);
        File.SetUnixFileMode(_signsvc.StoredLogin, OwnerOnly | UnixFileMode.OtherRead);

        var run = (await _signsvc.RunAsync("keys", "list")).Ended(2);

        Assert.Contains("can be read by others", run.Errors, StringComparison.Ordinal);
        Assert.Contains("chmod 600", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_login_with_a_bad_token_stores_nothing_and_does_not_advise_to_log_in()
    {
        var run = (await _signsvc.RunAsync("ssv1_other"u8.ToArray(), "login", "--url", service.Url)).Ended(3);

        Assert.Contains("Nothing was stored.", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("Run 'signsvc login'", run.Errors, StringComparison.Ordinal);
        Assert.False(File.Exists(_signsvc.StoredLogin));
    }

    [Fact]
    public async Task The_environment_goes_before_the_stored_login()
    {
        (await _signsvc.RunAsync(Encoding.ASCII.GetBytes(service.Token), "login", "--url", service.Url)).Ended(0);

        _signsvc.Set("SIGNSVC_TOKEN", "ssv1_other");
        var run = (await _signsvc.RunAsync("keys", "list")).Ended(3);

        Assert.Contains("came from SIGNSVC_TOKEN", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_login_the_local_data_folder_s_credential_serves()
    {
        _signsvc.Set("SIGNSVC_DATA", service.Data);

        (await _signsvc.RunAsync("keys", "list", "--url", service.Url)).Ended(0);
    }

    [Fact]
    public async Task The_local_data_folder_s_credential_stays_on_this_machine()
    {
        _signsvc.Set("SIGNSVC_DATA", service.Data);

        var run = (await _signsvc.RunAsync("keys", "list", "--url", "http://signsvc.invalid")).Ended(2);

        Assert.Contains("There is no credential", run.Errors, StringComparison.Ordinal);
    }
}
