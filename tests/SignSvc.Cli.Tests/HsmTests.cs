using SignSvc.Backends.Tests;

namespace SignSvc.Cli.Tests;

/// <summary><c>signsvc hsm</c> on a SoftHSM2 token of its own; no service is asked.</summary>
public sealed class HsmTests : IAsyncLifetime
{
    private const string Install = "apt-get install -y softhsm2";
    private const string InstallOpenSc = "apt-get install -y opensc";
    private const string Pin = "123456";

    private readonly CommandLine _signsvc = new();

    private static string Module => Programs.RequireFile(
        Install, "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so");

    private string PinFile => _signsvc.Folder.At("pin");

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(_signsvc.Folder.At("tokens"));
        _signsvc.Folder.Write("pin", Pin + "\n");
        _signsvc.Set("SOFTHSM2_CONF", _signsvc.Folder.Write(
            "softhsm2.conf", $"directories.tokendir = {_signsvc.Folder.At("tokens")}\nobjectstore.backend = file\nlog.level = ERROR\n"));
        await AddTokenAsync("first");
    }

    public ValueTask DisposeAsync()
    {
        _signsvc.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Slots_shows_the_tokens_and_the_module()
    {
        var run = (await HsmAsync("slots")).Ended(0);
        Assert.StartsWith("SLOT", run.Text, StringComparison.Ordinal);
        Assert.Matches("(?m)^[0-9]+ +first +[0-9a-f]+ +SoftHSM v2 .* no +yes +yes +ok +yes$", run.Text);
        Assert.Contains("PKCS#11 2.40", run.Errors, StringComparison.Ordinal);

        var json = (await HsmAsync("slots", "-o", "json")).Ended(0).Json;
        Assert.Contains(json.GetProperty("slots").EnumerateArray(), s => s.GetProperty("label").ValueEquals("first") && !s.GetProperty("isHardware").GetBoolean());
    }

    [Fact]
    public async Task Mechanisms_have_their_PKCS11_names()
    {
        var run = (await HsmAsync("mechanisms")).Ended(0);
        Assert.Matches("(?m)^CKM_ECDSA +[0-9]+ +[0-9]+$", run.Text);
        Assert.Matches("(?m)^CKM_RSA_PKCS_PSS +[0-9]+ +[0-9]+$", run.Text);
    }

    [Fact]
    public async Task Keys_shows_what_can_be_adopted()
    {
        await ToolAsync("--keypairgen", "--key-type", "EC:prime256v1", "--id", "ab01", "--label", "there before", "--usage-sign");
        var run = (await HsmAsync("keys", "--pin-file", PinFile)).Ended(0);
        Assert.Matches("(?m)^id:ab01 +there before +ECC_NIST_P256 +yes +software !", run.Text);

        _signsvc.Set("HSM_PIN", Pin);
        var key = Assert.Single((await HsmAsync("keys", "--pin-env", "HSM_PIN", "-o", "json")).Ended(0).Json.GetProperty("keys").EnumerateArray());
        Assert.Equal("id:ab01", key.GetProperty("reference").GetString());
        Assert.Equal(43, key.GetProperty("kid").GetString()!.Length);
    }

    [Fact]
    public async Task A_token_that_fits_is_said_to_fit_with_the_settings_that_use_it()
    {
        var run = (await HsmAsync("check", "--pin-file", PinFile)).Ended(0);
        foreach (var what in new[] { "makes RSA keys", "makes EC keys", "signs ES256", "signs PS512", "wraps volume keys", "logs in", "opens a session beside the login's" })
            Assert.Matches($"(?m)^{what} +ok ", run.Text);
        Assert.Matches(@"(?m)^slot is hardware \(else keys say software\) +missing +no ", run.Text);
        Assert.EndsWith(
            $"""
            SignSvc__Backends__Pkcs11__ModulePath={Module}
            SignSvc__Backends__Pkcs11__Tokens__0__Label=first
            SignSvc__Backends__Pkcs11__Tokens__0__PinFile={PinFile}

            """,
            run.Text,
            StringComparison.Ordinal);
        Assert.Contains("The token fits.", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain(Pin, run.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_PIN_the_login_is_not_tried_and_said_so()
    {
        var run = (await HsmAsync("check")).Ended(0);
        Assert.Matches("(?m)^logs in +not tried +yes +.*--pin-file", run.Text);
        Assert.DoesNotContain("The token fits.", run.Errors, StringComparison.Ordinal);
        Assert.Contains("not everything that is required was tried", run.Errors, StringComparison.Ordinal);
        Assert.Contains("Tokens__0__PinFile=/run/secrets/hsm-pin", run.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_that_refuses_the_PIN_does_not_fit()
    {
        var wrong = _signsvc.Folder.Write("wrong", "000000");
        var run = (await HsmAsync("check", "--pin-file", wrong)).Ended(1);
        Assert.Matches("(?m)^logs in +missing +yes +.*PIN", run.Text);
        Assert.Contains("does not fit", run.Errors, StringComparison.Ordinal);
        Assert.Contains("count low", (await HsmAsync("slots")).Ended(0).Text, StringComparison.Ordinal);

        Assert.Contains("PIN", (await HsmAsync("keys", "--pin-file", wrong)).Ended(4).Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_of_several_tokens_has_to_be_chosen()
    {
        await AddTokenAsync("second");
        Assert.Contains("first (serial ", (await HsmAsync("mechanisms")).Ended(2).Errors, StringComparison.Ordinal);
        Assert.Contains("no such token", (await HsmAsync("mechanisms", "--token", "third")).Ended(2).Errors, StringComparison.Ordinal);
        (await HsmAsync("mechanisms", "--token", "second")).Ended(0);
        Assert.Contains("Tokens__0__Label=second", (await HsmAsync("check", "--token", "second")).Ended(0).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_no_module_or_no_PIN_ends_with_2()
    {
        string[][] wrong =
        [
            ["slots"], ["slots", "--module", "/no/such/module.so"], ["slots", "--module", PinFile],
            ["keys", "--module", Module, "--pin-file", "no-such-file"], ["keys", "--module", Module, "--pin-env", "NO_SUCH_VARIABLE"],
            ["keys", "--module", Module, "--pin-file", PinFile, "--pin-env", "HOME"], ["keys", "--module", Module, "--pin", Pin],
        ];
        foreach (var arguments in wrong)
        {
            var run = (await _signsvc.RunAsync(["hsm", .. arguments])).Ended(2);
            Assert.StartsWith("signsvc: ", run.Errors, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", run.Errors, StringComparison.Ordinal);
            Assert.Equal("", run.Text);
        }
    }

    [Fact]
    public async Task A_module_that_hangs_is_not_waited_for_for_ever()
    {
        var source = _signsvc.Folder.Write("hanging.c", """
            #include <unistd.h>
            static unsigned long hang(void) { for (;;) pause(); }
            static struct { unsigned char major, minor; unsigned long (*f[68])(void); } list = { 2, 40, { hang } };
            unsigned long C_GetFunctionList(void **out) { *out = &list; return 0; }
            """);
        var module = _signsvc.Folder.At("hanging.so");
        await Programs.RunAsync("apt-get install -y gcc libc6-dev", "gcc", "-shared", "-fPIC", "-o", module, source);
        var run = (await _signsvc.RunAsync(["hsm", "check", "--module", module])).Ended(4);
        Assert.Contains("did not answer within 30 s", run.Errors, StringComparison.Ordinal);
    }

    private Task<Run> HsmAsync(string command, params string[] arguments) =>
        _signsvc.RunAsync(["hsm", command, "--module", Module, .. arguments]);

    private Task<string> AddTokenAsync(string label) =>
        RunAsync(Install, "softhsm2-util", "--init-token", "--free", "--label", label, "--pin", Pin, "--so-pin", "87654321");

    private Task<string> ToolAsync(params string[] arguments) =>
        RunAsync(InstallOpenSc, "pkcs11-tool", ["--module", Module, "--token-label", "first", "--login", "--pin", Pin, .. arguments]);

    private Task<string> RunAsync(string install, string program, params string[] arguments) =>
        Programs.RunAsync(install, "env", [$"SOFTHSM2_CONF={_signsvc.Folder.At("softhsm2.conf")}", program, .. arguments]);
}
