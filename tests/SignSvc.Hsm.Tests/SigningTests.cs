using System.Security.Cryptography;
using SignSvc.Signing.Keys;

namespace SignSvc.Hsm.Tests;

/// <summary>One service on one token, for the tests that break neither.</summary>
public sealed class ServiceOnToken : IAsyncLifetime
{
    public HsmTokens Tokens { get; private set; } = null!;

    public ServiceProcess Service { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Tokens = await HsmTokens.MakeAsync("service");
        Service = await ServiceProcess.StartAsync(Tokens.Service());
        await Service.UntilTokenIsReadyAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Service.DisposeAsync();
        await Tokens.DisposeAsync();
    }
}

/// <summary>Keys in a token, made, adopted and used through the service and by other programs on the same token.</summary>
public sealed class SigningTests(ServiceOnToken fixture) : IClassFixture<ServiceOnToken>
{
    private const string InstallOpenSsl = "apt-get install -y openssl";
    private const string InstallEngine = "apt-get install -y openssl libengine-pkcs11-openssl";
    private const string InstallSignCode = "apt-get install -y osslsigncode";

    private readonly ServiceProcess _service = fixture.Service;
    private readonly HsmTokens _tokens = fixture.Tokens;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private static string Engine => Programs.RequireFile(
        InstallEngine, "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so", "/usr/lib/aarch64-linux-gnu/engines-3/pkcs11.so");

    public static TheoryData<string> Specs() => [.. KeySpec.All.Select(s => s.Name)];

    [Theory]
    [MemberData(nameof(Specs))]
    public async Task A_key_in_the_token_signs_what_openssl_verifies(string specName)
    {
        var spec = KeySpec.Parse(specName);
        var name = $"made-{specName.ToLowerInvariant().Replace('_', '-')}";
        var made = await _service.CreateAsync(name, spec);
        Assert.True(made.Code == 201, made.ToString());
        Assert.Equal("pkcs11", made["backend"]);
        Assert.Equal("software", made["protection"]);
        Assert.Contains("protection: software", made["warnings"], StringComparison.Ordinal);
        Assert.Contains(await _service.CkaIdAsync(name), await _tokens.ToolAsync("--list-objects", "--type", "privkey"), StringComparison.Ordinal);

        await File.WriteAllBytesAsync(_tokens.At($"{name}.pem"), await _service.PublicKeyAsync(name, "pem"), Cancel);
        foreach (var algorithm in spec.Algorithms)
        {
            var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
            var signed = await _service.SignAsync(name, algorithm, digest);
            Assert.True(signed.Code == 200, signed.ToString());
            Assert.Equal("software", signed["protection"]);
            var signature = Convert.FromBase64String(signed["signature"]);
            await _service.AssertVerifiesAsync(name, algorithm, digest, signature);
            await VerifyWithOpenSslAsync(name, algorithm, digest, signature);
        }
    }

    [Theory]
    [InlineData("EC:prime256v1", "ECC_NIST_P256", "ad01", "id:ad01", "outside ad01")]
    [InlineData("rsa:3072", "RSA_3072", "ad02", "outside ad02", "id:ad02")]
    public async Task A_key_that_pkcs11_tool_made_is_adopted_once_by_its_id_or_label_and_signs(
        string type, string specName, string id, string reference, string otherName)
    {
        var spec = KeySpec.Parse(specName);
        var name = $"outside-{id}";
        await _tokens.ToolAsync("--keypairgen", "--key-type", type, "--id", id, "--label", $"outside {id}", "--usage-sign");
        var adopted = await _service.CreateAsync(name, spec, $",\"adopt\":\"{reference}\"");
        Assert.True(adopted.Code == 201, adopted.ToString());
        Assert.Equal("adopted", adopted.Json.GetProperty("versions")[0].GetProperty("origin").GetString());
        foreach (var algorithm in spec.Algorithms)
            await _service.SignAndVerifyAsync(name, algorithm);

        var second = await _service.CreateAsync($"second-{id}", spec, $",\"adopt\":\"{otherName}\"");
        Assert.True(second.Code == 400 && second.ToString().Contains(name, StringComparison.Ordinal), second.ToString());
    }

    [Fact]
    public async Task What_is_not_there_or_of_another_spec_is_not_adopted()
    {
        await _tokens.ToolAsync("--keypairgen", "--key-type", "EC:secp384r1", "--id", "ad09", "--usage-sign");
        Assert.Equal(404, (await _service.CreateAsync("nothing", KeySpec.P256, ",\"adopt\":\"id:0bad\"")).Code);
        Assert.Equal(400, (await _service.CreateAsync("other", KeySpec.P256, ",\"adopt\":\"id:ad09\"")).Code);
        Assert.Equal(404, (await _service.Client.GetJsonAsync("/v1/keys/other")).Code);
    }

    [Theory]
    [InlineData("ECC_NIST_P256", "ES256")]
    [InlineData("RSA_2048", "RS256")]
    public async Task A_key_of_the_service_signs_for_pkcs11_tool_and_the_service_verifies_it(string specName, string algorithmName)
    {
        var (spec, algorithm) = (KeySpec.Parse(specName), SigningAlgorithm.Parse(algorithmName));
        var isRsa = spec.Family == KeyFamily.Rsa;
        var name = $"tool-{algorithmName.ToLowerInvariant()}";
        await _service.CreateAsync(name, spec);
        var digest = RandomNumberGenerator.GetBytes(32);
        var (input, output) = (_tokens.At($"{name}.in"), _tokens.At($"{name}.out"));
        byte[] digestInfo = [.. Convert.FromHexString("3031300d060960864801650304020105000420"), .. digest];
        await File.WriteAllBytesAsync(input, isRsa ? digestInfo : digest, Cancel);

        await _tokens.ToolAsync(
            ["--sign", "--mechanism", isRsa ? "RSA-PKCS" : "ECDSA", "--id", await _service.CkaIdAsync(name), "-i", input, "-o", output,
            .. isRsa ? Array.Empty<string>() : ["--signature-format", "openssl"]]);

        var signature = await File.ReadAllBytesAsync(output, Cancel);
        await _service.AssertVerifiesAsync(name, algorithm, digest, signature);
        if (isRsa)
            Assert.Equal(signature, Convert.FromBase64String((await _service.SignAsync(name, algorithm, digest))["signature"]));
    }

    [Fact]
    public async Task A_key_of_the_service_signs_for_openssl_with_its_pkcs11_engine()
    {
        await _service.CreateAsync("engine", KeySpec.P256);
        var (input, output) = (_tokens.At("engine.in"), _tokens.At("engine.out"));
        var message = RandomNumberGenerator.GetBytes(1_000);
        await File.WriteAllBytesAsync(input, message, Cancel);

        await OpenSslWithEngineAsync("dgst", "-sha256", "-engine", "pkcs11", "-keyform", "engine", "-sign", await UriAsync("engine"), "-out", output, input);

        await _service.AssertVerifiesAsync("engine", SigningAlgorithm.ES256, SHA256.HashData(message), await File.ReadAllBytesAsync(output, Cancel));
    }

    /// <summary>Any assembly is a PE file.</summary>
    [Fact]
    public async Task A_key_of_the_service_signs_a_PE_file_for_osslsigncode()
    {
        await _service.CreateAsync("authenticode", KeySpec.Rsa3072);
        var (certificate, signed) = (_tokens.At("code.crt"), _tokens.At("signed.dll"));
        await OpenSslWithEngineAsync(
            "req", "-new", "-x509", "-sha256", "-days", "30", "-engine", "pkcs11", "-keyform", "engine", "-key", await UriAsync("authenticode"),
            "-subj", "/CN=SignSvc test", "-addext", "extendedKeyUsage=codeSigning", "-out", certificate);
        using var authority = System.Security.Cryptography.X509Certificates.X509CertificateLoader.LoadCertificateFromFile(certificate);
        Assert.Equal(await _service.PublicKeyAsync("authenticode"), authority.PublicKey.ExportSubjectPublicKeyInfo());

        await _tokens.RunAsync(
            InstallSignCode, "osslsigncode", "sign", "-pkcs11engine", Engine, "-pkcs11module", HsmTokens.Module, "-pass", HsmTokens.Pin,
            "-key", await UriAsync("authenticode"), "-certs", certificate, "-h", "sha256", "-in", typeof(KeySpec).Assembly.Location, "-out", signed);
        var verified = await _tokens.RunAsync(InstallSignCode, "osslsigncode", "verify", "-CAfile", certificate, "-in", signed);
        Assert.Contains("Signature verification: ok", verified, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rotated_key_signs_with_its_new_version_and_verifies_with_both()
    {
        await _service.CreateAsync("rotating", KeySpec.P256);
        var digest = RandomNumberGenerator.GetBytes(32);
        var before = await _service.SignAsync("rotating", SigningAlgorithm.ES256, digest);

        var rotated = await _service.Client.PostJsonAsync("/v1/keys/rotating/rotate");
        Assert.True(rotated.Code == 200, rotated.ToString());
        var after = await _service.SignAndVerifyAsync("rotating", SigningAlgorithm.ES256);
        Assert.Equal(("1", "2"), (before["version"], after["version"]));
        Assert.NotEqual(before["kid"], after["kid"], StringComparer.Ordinal);
        await _service.AssertVerifiesAsync("rotating", SigningAlgorithm.ES256, digest, Convert.FromBase64String(before["signature"]));
        Assert.Contains(await _service.CkaIdAsync("rotating"), await _tokens.ToolAsync("--list-objects", "--type", "privkey"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_volume_key_is_wrapped_by_a_key_that_stays_in_the_token()
    {
        await _service.MakeVolumeKeyAsync();
        await _service.AssertIssuesAsync();

        var secrets = await _tokens.ToolAsync("--list-objects", "--type", "secrkey");
        Assert.Contains("signsvc-wrapping", secrets, StringComparison.Ordinal);
        Assert.Contains("never extractable", secrets, StringComparison.Ordinal);
        // A fresh start has to unwrap it anew.
        await _service.RestartAsync();
        await _service.AssertIssuesAsync();
    }

    private async Task VerifyWithOpenSslAsync(string name, SigningAlgorithm algorithm, byte[] digest, byte[] signature)
    {
        var (input, output) = (_tokens.At($"{name}.digest"), _tokens.At($"{name}.signature"));
        await File.WriteAllBytesAsync(input, digest, Cancel);
        await File.WriteAllBytesAsync(output, signature, Cancel);
        string[] padding = algorithm.Name.StartsWith("PS", StringComparison.Ordinal)
            ? ["-pkeyopt", "rsa_padding_mode:pss", "-pkeyopt", "rsa_pss_saltlen:digest"]
            : [];
        var answer = await Programs.RunAsync(
            InstallOpenSsl, "openssl",
            ["pkeyutl", "-verify", "-pubin", "-inkey", _tokens.At($"{name}.pem"), "-in", input, "-sigfile", output,
            "-pkeyopt", $"digest:sha{algorithm.DigestLength * 8}", .. padding]);
        Assert.Contains("Signature Verified Successfully", answer, StringComparison.Ordinal);
    }

    private async Task OpenSslWithEngineAsync(params string[] arguments)
    {
        var configuration = _tokens.At($"{Path.GetRandomFileName()}.cnf");
        await File.WriteAllTextAsync(
            configuration,
            "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n"
            + $"[pkcs11]\nengine_id = pkcs11\ndynamic_path = {Engine}\nMODULE_PATH = {HsmTokens.Module}\nPIN = {HsmTokens.Pin}\ninit = 0\n"
            + "[req]\ndistinguished_name = dn\n[dn]\n",
            Cancel);
        await _tokens.RunAsync(InstallEngine, "env", [$"OPENSSL_CONF={configuration}", "openssl", .. arguments]);
    }

    private async Task<string> UriAsync(string key)
    {
        var id = string.Concat(Convert.FromHexString(await _service.CkaIdAsync(key)).Select(b => $"%{b:X2}"));
        return $"pkcs11:token=service;id={id};type=private";
    }
}
