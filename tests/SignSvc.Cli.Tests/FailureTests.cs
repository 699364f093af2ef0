using System.Diagnostics;

namespace SignSvc.Cli.Tests;

public sealed class FailureTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Theory]
    [InlineData("frobnicate")]
    [InlineData("keys")]
    [InlineData("sign")]
    [InlineData("keys", "list", "--output", "xml")]
    [InlineData("keys", "list", "--timeout", "0")]
    [InlineData("keys", "list", "--url", "ftp://signsvc.example")]
    [InlineData("keys", "list", "--url", "http://user:secret@signsvc.example")]
    [InlineData("keys", "create", "x", "--tag", "novalue")]
    [InlineData("sign", "no-such-file")]
    [InlineData("sign", "/")]
    [InlineData("sign", "/proc/self/cmdline", "--algorithm", "HS256")]
    [InlineData("sign", "/proc/self/cmdline", "--format", "raw", "--output", "json")]
    [InlineData("verify", "/proc/self/cmdline", "--signature", "no-such-file")]
    [InlineData("token", "issue", "--claim", "n:={")]
    [InlineData("token", "issue", "--claim", "a=1", "--claim", "a=2")]
    [InlineData("token", "issue", "--lifetime", "soon")]
    [InlineData("audit", "search", "--digest", "sha256:zz")]
    [InlineData("credentials", "create", "x")]
    [InlineData("completion", "fish")]
    public async Task Wrong_usage_ends_with_2_and_one_line_and_what_to_do(params string[] arguments)
    {
        var run = (await _signsvc.RunAsync(arguments)).Ended(2);

        Assert.StartsWith("signsvc: ", run.Errors, StringComparison.Ordinal);
        // What there is to choose from stands on lines of its own.
        var lines = run.Errors.TrimEnd('\n').Split('\n');
        Assert.InRange(lines.Count(l => !l.StartsWith("         '", StringComparison.Ordinal)), 1, 2);
        Assert.All(lines.Skip(1), l => Assert.StartsWith("         ", l, StringComparison.Ordinal));
        Assert.DoesNotContain("??", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", run.Errors, StringComparison.Ordinal);
        Assert.Equal("", run.Text);
    }

    [Theory]
    [InlineData("{\n\"mediaType\": }", "it is not JSON from line 2, position 14 on.")]
    [InlineData("", "it is not JSON from line 1, position 1 on.")]
    [InlineData("[]", "it lacks a member that a bundle of a signature by a key has, or is no object.")]
    [InlineData("""{"mediaType":7}""", "what it has at $.mediaType does not belong there, or lacks a member.")]
    public async Task What_is_no_bundle_is_said_in_words_of_the_file(string content, string reason)
    {
        var bundle = _signsvc.Folder.Write("p.json", content);
        var file = _signsvc.Folder.Write("artifact", "any");

        var run = (await _signsvc.RunAsync("verify-blob", file, "--bundle", bundle)).Ended(2);

        Assert.Equal($"signsvc: {bundle} is no Sigstore bundle: {reason}\n", run.Errors);
    }

    [Fact]
    public async Task What_does_not_exist_is_refused_with_3()
    {
        var run = (await _signsvc.RunAsync("keys", "show", "nobody")).Ended(3);

        Assert.Matches(@"^signsvc: .*\(not-found, audit local-[0-9]+\)\n", run.Errors);
        Assert.Contains("signsvc keys list", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_is_not_there_ends_with_4()
    {
        // Port 1 of the loopback: nobody listens there, and binding it needs root.
        var run = (await _signsvc.RunAsync("keys", "list", "--url", "http://127.0.0.1:1")).Ended(4);

        Assert.StartsWith("signsvc: http://127.0.0.1:1 cannot be reached: Connection refused", run.Errors, StringComparison.Ordinal);
        Assert.Contains("--url", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_cannot_answer_now_ends_with_4_and_says_when_to_come_back()
    {
        await using var busy = StrangeServer.Refusing(503, "overloaded", "Too much at once.", "The queue is full.", "Retry-After: 7\r\n");

        var run = (await _signsvc.RunAsync("keys", "list", "--url", busy.Url)).Ended(4);

        Assert.Contains("Too much at once. The queue is full. (overloaded, audit local-7)", run.Errors, StringComparison.Ordinal);
        Assert.Contains("try again in 7 s", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_broken_service_ends_with_4_and_the_trace_of_its_log()
    {
        await using var broken = StrangeServer.Refusing(500, "internal", "Something is wrong with the service.", "See the log.");

        var run = (await _signsvc.RunAsync("keys", "list", "--url", broken.Url)).Ended(4);

        Assert.Contains("0af7651916cd43dd8448eb211c80319c", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Text_of_others_does_not_steer_the_terminal()
    {
        await using var hostile = StrangeServer.Refusing(400, "invalid-request", "No.", @"\u001b[2J\u0007gone");

        var run = (await _signsvc.RunAsync("keys", "list", "--url", hostile.Url)).Ended(3);

        Assert.Contains("?[2J?gone", run.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("200 OK")]
    [InlineData("502 Bad Gateway")]
    public async Task What_is_not_the_service_is_told_apart(string status)
    {
        await using var other = StrangeServer.Answering(status, "text/html", "<html>hello</html>");

        var run = (await _signsvc.RunAsync("keys", "list", "--url", other.Url)).Ended(4);

        Assert.Contains("Is this the URL of the service?", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_credential_does_not_follow_a_redirect()
    {
        await using var target = StrangeServer.Silent();
        await using var redirecting = StrangeServer.Answering("302 Found", "text/plain", "", $"Location: {target.Url}/\r\n");

        (await _signsvc.RunAsync("keys", "list", "--url", redirecting.Url)).Ended(4);

        Assert.Empty(target.Requests);
    }

    [Fact]
    public async Task A_service_that_does_not_answer_in_time_ends_with_4()
    {
        await using var silent = StrangeServer.Silent();

        var run = (await _signsvc.RunAsync("keys", "list", "--url", silent.Url, "--timeout", "1")).Ended(4);

        Assert.Contains("did not answer within 1 s", run.Errors, StringComparison.Ordinal);
        Assert.Contains("--timeout", run.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task An_interrupted_command_ends_with_130(string signal)
    {
        await using var silent = StrangeServer.Silent();
        using var process = _signsvc.Start("keys", "list", "--url", silent.Url);
        await silent.Asked.WaitAsync(TestContext.Current.CancellationToken);

        using (var kill = Process.Start("kill", [$"-{signal}", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]))
            await kill.WaitForExitAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);

        Assert.Equal(130, process.ExitCode);
        Assert.Equal("signsvc: Interrupted.\n", await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Help_documents_every_exit_code()
    {
        var help = (await _signsvc.RunAsync("--help")).Ended(0);

        Assert.All(["0", "1", "2", "3", "4", "130"], code => Assert.Matches($"(?m)^ +{code} +[a-z]", help.Text));
    }

    [Fact]
    public async Task Bash_completes_commands_and_values()
    {
        var bin = Directory.CreateDirectory(_signsvc.Folder.At("bin")).FullName;
        await File.WriteAllTextAsync(Path.Combine(bin, "signsvc"), $"#!/bin/sh\nexec dotnet '{BuiltPrograms.Cli}' \"$@\"\n", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(Path.Combine(bin, "signsvc"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var script = (await _signsvc.RunAsync("completion", "bash")).Ended(0).Text;

        Assert.Equal(["keys"], await CompleteAsync("signsvc ke"));
        Assert.Equal(
            [
                "cancel-deletion", "create", "delete", "disable", "enable", "import", "import-parameters", "list", "public-key", "revoke-version",
                "rewrap", "rotate", "show", "timeline", "update", "versions",
            ],
            (await CompleteAsync("signsvc keys ")).Where(w => w[0] is >= 'a' and <= 'z'),
            StringComparer.Ordinal);
        Assert.Equal(["json", "table", "yaml"], (await CompleteAsync("signsvc keys list --output ")).Where(w => w[0] is >= 'a' and <= 'z'), StringComparer.Ordinal);

        async Task<string[]> CompleteAsync(string line)
        {
            var words = string.Join(' ', line.Split(' ').Select(w => $"'{w}'"));
            var start = new ProcessStartInfo("bash", ["--norc", "-c", $"{script}\nCOMP_LINE='{line}' COMP_POINT={line.Length} COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}}-1))\n_signsvc signsvc\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""])
            {
                UseShellExecute = false,
                RedirectStandardOutput = true,
            };
            start.Environment["PATH"] = $"{bin}:{Environment.GetEnvironmentVariable("PATH")}";
            using var bash = Process.Start(start)!;
            var output = await bash.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            return output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        }
    }
}
