using System.Security.Cryptography;
using System.Text;

namespace SignSvc.Cli.Tests;

public sealed class KeysTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Fact]
    public async Task An_update_that_is_made_of_what_the_key_has_is_for_the_key_as_it_was_read()
    {
        await using var server = StrangeServer.Answering(
            "200 OK", "application/json",
            """{"id":"k","name":"app","purpose":"artifacts","tier":"assured","backend":"software","protection":"software","spec":"ECC_NIST_P256","algorithms":["ES256"],"state":"enabled","tags":{"signsvc.dev/set":"default"},"versions":[],"etag":"17"}""");
        using var asked = new CommandLine().Set("SIGNSVC_URL", server.Url).Set("SIGNSVC_TOKEN", "any");

        (await asked.RunAsync("keys", "update", "app", "--tag", "env=prod")).Ended(0);

        Assert.Equal(2, server.Requests.Count);
        Assert.StartsWith("PATCH /v1/keys/k ", server.Requests[1], StringComparison.Ordinal);
        Assert.Contains("If-Match: \"17\"", server.Requests[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_list_has_a_line_for_each_key_and_marks_software()
    {
        var run = (await _signsvc.RunAsync("keys", "list", "--prefix", "release")).Ended(0);

        var lines = run.Text.TrimEnd('\n').Split('\n');
        Assert.Equal(["NAME", "STATE", "PURPOSE", "SPEC", "ALGORITHM", "TIER", "PROTECTION", "VERSION", "KID"], Words(lines[0]));
        Assert.StartsWith("release  enabled  artifacts  ECC_NIST_P256  ES256", lines[1], StringComparison.Ordinal);
        Assert.Contains("software !", lines[1], StringComparison.Ordinal);
        Assert.Equal(2, lines.Length);
        Assert.All(lines, line => Assert.Equal(line.TrimEnd(), line));
        Assert.Contains("no HSM", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain('\e', run.Text);
    }

    [Fact]
    public async Task Json_is_exactly_what_the_service_answers()
    {
        var run = (await _signsvc.RunAsync("keys", "show", "release", "--output", "json")).Ended(0);

        Assert.Equal(Encoding.UTF8.GetString(await service.GetAsync("/v1/keys/release")) + "\n", run.Text);
        Assert.Equal("", run.Errors);
    }

    [Fact]
    public async Task A_created_key_has_what_was_asked_for()
    {
        var made = (await _signsvc.RunAsync(
            "keys", "create", "made-1", "--spec", "RSA_2048", "--algorithm", "PS256", "--algorithm", "RS512",
            "--owner", "team a", "--tag", "env=prod", "--tag", "x=a=b", "-o", "json")).Ended(0).Json;

        Assert.Equal("made-1", made.GetProperty("name").GetString());
        Assert.Equal("[\"PS256\",\"RS512\"]", made.GetProperty("algorithms").GetRawText());
        Assert.Equal("team a", made.GetProperty("owner").GetString());
        Assert.Equal("a=b", made.GetProperty("tags").GetProperty("x").GetString());
        var shown = (await _signsvc.RunAsync("keys", "show", "made-1")).Ended(0);
        Assert.Contains("env=prod", shown.Text, StringComparison.Ordinal);
        Assert.Contains(made.GetProperty("versions")[0].GetProperty("kid").GetString()!, shown.Text, StringComparison.Ordinal);
        Assert.Contains("warning: protection: software", shown.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_is_created_disabled_and_under_aliases_and_its_origin_and_floors_are_shown()
    {
        (await _signsvc.RunAsync("keys", "create", "made-2", "--disabled", "--alias", "made/a", "--alias", "made/b")).Ended(0);
        (await _signsvc.RunAsync("keys", "create", "made-3", "--multi-region")).Ended(3);
        (await _signsvc.RunAsync("keys", "enable", "made-2")).Ended(0);
        (await _signsvc.RunAsync("keys", "rotate", "made-2")).Ended(0);
        Assert.DoesNotMatch(@"(?m)^floors +\S*version", (await _signsvc.RunAsync("keys", "show", "made/a")).Ended(0).Text);
        (await _signsvc.RunAsync("keys", "update", "made-2", "--min-signing-version", "2")).Ended(0);
        (await _signsvc.RunAsync("keys", "create", "made-4", "--origin", "imported")).Ended(0);

        var shown = (await _signsvc.RunAsync("keys", "show", "made/b")).Ended(0).Text;
        Assert.Matches("(?m)^aliases +made/a, made/b$", shown);
        Assert.Matches("(?m)^floors +signs from version 2, verifies from version 1$", shown);
        Assert.Matches("(?m)^origin +generated$", shown);
        Assert.Matches("(?m)^origin +imported$", (await _signsvc.RunAsync("keys", "show", "made-4")).Ended(0).Text);
    }

    [Fact]
    public async Task A_page_says_how_to_go_on()
    {
        var first = (await _signsvc.RunAsync("keys", "list", "--limit", "1")).Ended(0);

        var after = first.Errors.Split("--after ")[1].Trim();
        var next = (await _signsvc.RunAsync("keys", "list", "--limit", "1", "--after", after, "--output", "json")).Ended(0);
        Assert.NotEqual(after, next.Json.GetProperty("keys")[0].GetProperty("name").GetString(), StringComparer.Ordinal);
    }

    [Fact]
    public async Task The_public_key_is_the_same_in_every_format()
    {
        var pem = (await _signsvc.RunAsync("keys", "public-key", "release")).Ended(0);
        var der = (await _signsvc.RunAsync("keys", "public-key", "release", "--format", "der", "--key-version", "1")).Ended(0);
        var jwk = (await _signsvc.RunAsync("keys", "public-key", "release", "--output", "json")).Ended(0);
        (await _signsvc.RunAsync("keys", "public-key", "release", "--output-file", "key.pem")).Ended(0);

        using var key = ECDsa.Create();
        key.ImportFromPem(pem.Text);
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), der.Output);
        Assert.Equal("P-256", jwk.Json.GetProperty("crv").GetString());
        Assert.Equal(pem.Output, await File.ReadAllBytesAsync(_signsvc.Folder.At("key.pem"), TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("..")]
    [InlineData("")]
    public async Task A_name_that_would_be_another_address_is_not_sent(string name)
    {
        var run = (await _signsvc.RunAsync("keys", "show", name)).Ended(2);

        Assert.Contains("is no name of a key", run.Errors, StringComparison.Ordinal);
    }

    private static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
