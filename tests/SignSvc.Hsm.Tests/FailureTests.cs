using System.Diagnostics;
using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Hsm.Tests;

/// <summary>What callers see while the token, its PIN or its module is wrong, and afterwards.</summary>
public sealed class FailureTests
{
    private static readonly TimeSpan RecoveryLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <summary>For what has no limit of its own; reached only where something hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_the_token_is_away_assured_keys_are_unavailable_and_tokens_go_on()
    {
        await using var tokens = await HsmTokens.MakeAsync("removable");
        var module = await tokens.MakeRemovableAsync();
        await using var service = await ServiceProcess.StartAsync(tokens.Service(("Backends__Pkcs11__ModulePath", module.Path)));
        await service.CreateAsync("release-hsm", KeySpec.P256);
        await service.MakeVolumeKeyAsync();
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        await service.AssertIssuesAsync();
        await SaysAsync(service, "The token removable is connected", 1);

        module.Pull();
        var refused = await UntilAsync(service, 503, Patience);
        Assert.Equal("urn:signsvc:problem:backend-unavailable", refused["type"]);
        Assert.Contains("removable", refused["detail"], StringComparison.Ordinal);
        Assert.Equal(503, (await service.SignAsync("release-hsm", SigningAlgorithm.ES256, new byte[32])).Code);
        // The volume key was unwrapped before; the software key never needed the token.
        await service.AssertIssuesAsync();
        await service.SignAndVerifyAsync("release", SigningAlgorithm.ES256);
        Assert.Equal(200, (await service.As(token: null).GetJsonAsync("/.well-known/jwks.json")).Code);
        Assert.Equal(200, (await service.As(token: null).GetJsonAsync("/healthz/live")).Code);
        // The node is ready for the other keys, and says what is away.
        Assert.Equal("unavailable", await service.TokenStateAsync());
        await SaysAsync(service, "The token removable is connected", 1);
        await SaysAsync(service, "The token removable is away, and what needs it is refused: ", 1);

        module.PutBack();
        await UntilAsync(service, 200, RecoveryLimit);
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        Assert.Equal("ready", await service.TokenStateAsync());
        await SaysAsync(service, "The token removable was lost and is connected again", 1);
        await SaysAsync(service, "The token removable is away, and what needs it is refused: ", 1);
    }

    [Fact]
    public async Task An_item_with_a_time_of_its_own_does_not_wait_longer_for_a_token_that_hangs()
    {
        await using var tokens = await HsmTokens.MakeAsync("hanging");
        var module = await tokens.MakeRemovableAsync();
        await using var service = await ServiceProcess.StartAsync(tokens.Service(("Backends__Pkcs11__ModulePath", module.Path)));
        await service.CreateAsync("release-hsm", KeySpec.P256);
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);

        await module.HangAsync();
        using var waited = RunningTime.Start();
        var answer = await service.Client.PostJsonAsync(
            "/v1/keys/release-hsm/sign-batch", $$"""{"items":[{"digest":"{{Convert.ToBase64String(new byte[32])}}","timeoutSeconds":0.3}]}""");
        Assert.True(answer.Code == 200, answer.ToString());
        Assert.Equal(
            "urn:signsvc:problem:deadline-exceeded", answer.Json.GetProperty("results")[0].GetProperty("problem").GetProperty("type").GetString());
        // The token itself has 30 s.
        Assert.True(waited.Elapsed < TimeSpan.FromSeconds(3), $"{waited.Elapsed}");
    }

    [Fact]
    public async Task A_start_without_the_token_serves_what_needs_none_and_the_rest_when_it_is_back()
    {
        await using var tokens = await HsmTokens.MakeAsync("removable");
        var module = await tokens.MakeRemovableAsync();
        await using var service = await ServiceProcess.StartAsync(tokens.Service(("Backends__Pkcs11__ModulePath", module.Path)));
        await service.CreateAsync("release-hsm", KeySpec.P256);
        await service.MakeVolumeKeyAsync();
        module.Pull();

        await service.RestartAsync();
        await UntilAsync(service, 503, Patience);
        await service.SignAndVerifyAsync("release", SigningAlgorithm.ES256);
        // Nobody has unwrapped it since the start.
        Assert.Equal(503, (await service.IssueAsync()).Code);
        Assert.Equal(200, (await service.As(token: null).GetJsonAsync("/.well-known/jwks.json")).Code);

        module.PutBack();
        await UntilAsync(service, 200, RecoveryLimit);
        await service.AssertIssuesAsync();
    }

    [Fact]
    public async Task A_key_that_went_from_the_token_is_named_and_harms_no_other()
    {
        await using var tokens = await HsmTokens.MakeAsync("emptied");
        await using var service = await ServiceProcess.StartAsync(tokens.Service());
        await service.CreateAsync("release-hsm", KeySpec.P256);
        await service.CreateAsync("other", KeySpec.P256);
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);

        await tokens.ToolAsync("--delete-object", "--type", "privkey", "--id", await service.CkaIdAsync("release-hsm"));
        var refused = await UntilAsync(service, 409, Patience);
        Assert.Equal("urn:signsvc:problem:key-not-usable", refused["type"]);
        Assert.Contains("no such key", refused["detail"], StringComparison.Ordinal);
        await service.SignAndVerifyAsync("other", SigningAlgorithm.ES256);
    }

    /// <summary>
    /// SoftHSM2 does not report a token whose folder has gone: it shows an empty one, and goes on doing so when the folder
    /// is back, until it is initialised anew.
    /// </summary>
    [Fact]
    public async Task Without_its_folder_SoftHSM2_is_away_while_tokens_go_on_and_is_found_again_by_itself()
    {
        await using var tokens = await HsmTokens.MakeAsync("folder");
        await using var service = await ServiceProcess.StartAsync(tokens.Service());
        await service.CreateAsync("release-hsm", KeySpec.P256);
        await service.MakeVolumeKeyAsync();
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        await service.AssertIssuesAsync();

        Directory.Move(tokens.At("tokens"), tokens.At("elsewhere"));
        var refused = await UntilAsync(service, 503, Patience);
        Assert.Equal("urn:signsvc:problem:backend-unavailable", refused["type"]);
        await service.AssertIssuesAsync();

        Directory.Move(tokens.At("elsewhere"), tokens.At("tokens"));
        await UntilAsync(service, 200, RecoveryLimit);
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        await service.AssertIssuesAsync();
    }

    /// <summary>The module cannot be initialised anew under another token that works.</summary>
    [Fact]
    public async Task A_key_that_went_with_others_in_use_on_a_second_token_disturbs_those_not_at_all()
    {
        await using var tokens = await HsmTokens.MakeAsync("first", "second");
        await tokens.RunAsync("", "pkcs11-tool", "--module", HsmTokens.Module, "--token-label", "second", "--login", "--pin", HsmTokens.Pin,
            "--keypairgen", "--key-type", "EC:prime256v1", "--id", "5ec0", "--usage-sign");
        await using var service = await ServiceProcess.StartAsync(tokens.Service());
        await service.CreateAsync("release-hsm", KeySpec.P256);
        var adopted = await service.CreateAsync("second", KeySpec.P256, ",\"adopt\":\"id:5ec0\"");
        Assert.True(adopted.Code == 201, adopted.ToString());
        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var others = Task.Run(async () =>
        {
            for (; !stop.IsCancellationRequested; await Task.Yield())
                await service.SignAndVerifyAsync("second", SigningAlgorithm.ES256);
        }, Cancel);

        await tokens.ToolAsync("--delete-object", "--type", "privkey", "--id", await service.CkaIdAsync("release-hsm"));
        await UntilAsync(service, 409, Patience);
        await stop.CancelAsync();
        await others;
    }

    [Fact]
    public async Task With_a_wrong_PIN_only_keys_in_the_token_are_unavailable_until_the_right_one_is_there()
    {
        await using var tokens = await HsmTokens.MakeAsync("pin");
        await File.WriteAllTextAsync(tokens.PinFile, "000000\n", Cancel);
        await using var service = await ServiceProcess.StartAsync(tokens.Service());

        var refused = await service.CreateAsync("release-hsm", KeySpec.P256);
        Assert.InRange(refused.Code, 502, 503);
        Assert.Contains("PIN", refused["detail"], StringComparison.Ordinal);
        await service.SignAndVerifyAsync("release", SigningAlgorithm.ES256);

        await File.WriteAllTextAsync(tokens.PinFile, HsmTokens.Pin + "\n", Cancel);
        var waited = Stopwatch.StartNew();
        while ((await service.CreateAsync("release-hsm", KeySpec.P256)).Code != 201)
        {
            Assert.True(waited.Elapsed < Patience, "The right PIN is not taken.");
            await Task.Delay(Poll, TimeProvider.System, Cancel);
        }

        await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
        Assert.DoesNotContain(HsmTokens.Pin, service.Output + service.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/no/such/module.so", "Backends:Pkcs11: ModulePath: no such file: /no/such/module.so")]
    [InlineData("/dev/null", "The PKCS#11 module /dev/null cannot be loaded: ")]
    public async Task A_module_that_is_none_stops_the_start_with_a_clear_message(string path, string expected)
    {
        await using var tokens = await HsmTokens.MakeAsync();
        var options = tokens.Service(
            ("Backends__Pkcs11__ModulePath", path), ("Backends__Pkcs11__Tokens__0__Label", "any"), ("Backends__Pkcs11__Tokens__0__PinFile", tokens.PinFile));
        var ended = await ServiceProcess.RefuseToStartAsync(options with { Data = tokens.At("data") });
        Assert.Equal(1, ended.ExitCode);
        Assert.StartsWith("SignSvc did not start.", ended.Error, StringComparison.Ordinal);
        Assert.Contains(expected, ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_hardware_is_demanded_a_software_token_is_refused_unless_it_is_trusted()
    {
        await using var tokens = await HsmTokens.MakeAsync("hard");
        await using (var service = await ServiceProcess.StartAsync(tokens.Service(("RequireHardware", "true"))))
        {
            var refused = await service.CreateAsync("release-hsm", KeySpec.P256);
            Assert.True(refused.Code == 400, refused.ToString());
            Assert.Equal("urn:signsvc:problem:hardware-required", refused["type"]);
        }

        await using var trusting = await ServiceProcess.StartAsync(
            tokens.Service(("RequireHardware", "true"), ("Backends__Pkcs11__TrustAsHardware", "true")));
        var made = await trusting.CreateAsync("release-hsm", KeySpec.P256);
        Assert.True(made.Code == 201, made.ToString());
        Assert.Equal("hsm", made["protection"]);
        Assert.Equal("hsm", (await trusting.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256))["protection"]);
    }

    [Fact]
    public async Task A_key_on_two_tokens_signs_on_when_one_loses_it()
    {
        await using var tokens = await HsmTokens.MakeAsync("twin-a", "twin-b");
        using var outside = ECDsa.Create(KeySpec.P256.Curve);
        await File.WriteAllTextAsync(tokens.At("twin.pem"), outside.ExportPkcs8PrivateKeyPem(), Cancel);
        foreach (var label in new[] { "twin-a", "twin-b" })
            await tokens.ImportAsync(label, tokens.At("twin.pem"), "c10e");
        await using var service = await ServiceProcess.StartAsync(tokens.Service());
        var adopted = await service.CreateAsync("release-hsm", KeySpec.P256, ",\"adopt\":\"id:c10e\"");
        Assert.True(adopted.Code == 201, adopted.ToString());
        for (var i = 0; i < 20; i++)
            await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);

        await tokens.ToolAsync("--delete-object", "--type", "privkey", "--id", "c10e");
        for (var i = 0; i < 20; i++)
            await service.SignAndVerifyAsync("release-hsm", SigningAlgorithm.ES256);
    }

    private static async Task SaysAsync(ServiceProcess service, string text, int times)
    {
        var waited = Stopwatch.StartNew();
        while (service.Output.Split(text).Length - 1 < times)
        {
            Assert.True(waited.Elapsed < Patience, $"The log does not say: {text}");
            await Task.Delay(Poll, TimeProvider.System, Cancel);
        }

        Assert.Equal(times, service.Output.Split(text).Length - 1);
    }

    /// <summary>Signs until the service answers so; every signature on the way is a right one.</summary>
    private static async Task<JsonAnswer> UntilAsync(ServiceProcess service, int code, TimeSpan limit)
    {
        using var waited = RunningTime.Start();
        while (true)
        {
            var digest = RandomNumberGenerator.GetBytes(32);
            var answer = await service.SignAsync("release-hsm", SigningAlgorithm.ES256, digest);
            if (answer.Code == 200)
                await service.AssertVerifiesAsync("release-hsm", SigningAlgorithm.ES256, digest, Convert.FromBase64String(answer["signature"]));
            if (answer.Code == code)
            {
                TestContext.Current.TestOutputHelper?.WriteLine($"{code} after {waited.Elapsed.TotalMilliseconds} ms");
                return answer;
            }

            Assert.True(waited.Elapsed < limit, $"After {waited.Elapsed} still {answer}");
            await Task.Delay(Poll, TimeProvider.System, Cancel);
        }
    }
}
