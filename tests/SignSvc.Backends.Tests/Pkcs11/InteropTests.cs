using System.Security.Cryptography;
using SignSvc.Backends.Pkcs11;
using SignSvc.Backends.Pkcs11.Cryptoki;
using SignSvc.Backends.Pkcs11.Keys;
using SignSvc.Signing;
using SignSvc.Signing.Backends;
using SignSvc.Signing.Keys;

namespace SignSvc.Backends.Tests.Pkcs11;

/// <summary>Keys go both ways between SignSvc and other programs that speak PKCS#11, on the same token.</summary>
[Collection(SoftHsm.Collection)]
public sealed class InteropTests
{
    private const string InstallOpenSc = "apt-get install -y opensc";
    private const string InstallEngine = "apt-get install -y openssl libengine-pkcs11-openssl";
    private static readonly string[] Engines =
    [
        "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so", "/usr/lib/aarch64-linux-gnu/engines-3/pkcs11.so",
    ];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("EC:prime256v1", "ECC_NIST_P256", "aa01")]
    [InlineData("EC:secp384r1", "ECC_NIST_P384", "aa02")]
    [InlineData("EC:secp521r1", "ECC_NIST_P521", "aa03")]
    [InlineData("rsa:2048", "RSA_2048", "aa04")]
    public async Task A_key_that_pkcs11_tool_made_is_adopted_by_id_and_by_label(string type, string spec, string id)
    {
        using var backend = await OpenAsync();
        await ToolAsync("--keypairgen", "--key-type", type, "--id", id, "--label", $"made outside {id}", "--usage-sign");
        var request = new KeyPairRequest("adopted", 1, "adopted", KeySpec.Parse(spec), KeyPurpose.Artifacts);

        foreach (var reference in new[] { $"id:{id}", $"made outside {id}", $"label:made outside {id}" })
        {
            var pair = await backend.AdoptAsync(request, reference, Cancel);
            Assert.Equal($"id:{id}", pair.Handle);
            Assert.Equal(Protection.Hsm, pair.Protection);
            foreach (var algorithm in request.Spec.Algorithms)
                await SignAsync(backend, pair, algorithm);
        }

        Assert.Contains(await backend.ListAsync(Cancel), k => string.Equals(k.Reference, $"id:{id}", StringComparison.Ordinal) && k.PublicKey!.Spec == request.Spec && k.CanSign);
    }

    [Theory]
    [InlineData("ES256")]
    [InlineData("ES384")]
    [InlineData("RS256")]
    public async Task A_key_that_we_made_signs_for_pkcs11_tool(string algorithmName)
    {
        var rsa = SigningAlgorithm.Parse(algorithmName).Family == KeyFamily.Rsa;
        var algorithm = SigningAlgorithm.Parse(algorithmName);
        using var backend = await OpenAsync();
        var pair = await CreateAsync(backend, KeySpec.All.First(s => s.CanSignWith(algorithm)));
        var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
        var folder = Directory.CreateTempSubdirectory("signsvc-interop-").FullName;
        var (input, output) = (Path.Combine(folder, "in"), Path.Combine(folder, "out"));
        byte[] digestInfo = [.. Convert.FromHexString("3031300d060960864801650304020105000420"), .. digest];
        await File.WriteAllBytesAsync(input, rsa ? digestInfo : digest, Cancel);

        await ToolAsync("--sign", "--mechanism", rsa ? "RSA-PKCS" : "ECDSA", "--id", pair.Handle["id:".Length..], "-i", input, "-o", output);

        var signature = await File.ReadAllBytesAsync(output, Cancel);
        Assert.True(pair.PublicKey.Verify(algorithm, digest, signature));
        if (rsa)
            Assert.Equal(signature, (await backend.SignAsync(ActiveVersion.Of(pair), algorithm, digest, Cancel)).Value);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_key_that_we_made_signs_for_openssl_with_its_pkcs11_engine()
    {
        Programs.RequireFile(InstallEngine, Engines);
        using var backend = await OpenAsync();
        var pair = await CreateAsync(backend, KeySpec.P256);
        var folder = Directory.CreateTempSubdirectory("signsvc-interop-").FullName;
        var configuration = Path.Combine(folder, "openssl.cnf");
        await File.WriteAllTextAsync(
            configuration,
            "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n"
            + $"[pkcs11]\nengine_id = pkcs11\ndynamic_path = {Array.Find(Engines, File.Exists)}\nMODULE_PATH = {SoftHsm.Module}\nPIN = {SoftHsm.Pin}\ninit = 0\n",
            Cancel);
        var (input, output) = (Path.Combine(folder, "in"), Path.Combine(folder, "out"));
        var message = RandomNumberGenerator.GetBytes(1_000);
        await File.WriteAllBytesAsync(input, message, Cancel);
        var id = string.Concat(Convert.FromHexString(pair.Handle["id:".Length..]).Select(b => $"%{b:X2}"));

        await Programs.RunAsync(
            InstallEngine, "env", $"OPENSSL_CONF={configuration}", "openssl", "dgst", "-sha256", "-engine", "pkcs11", "-keyform", "engine",
            "-sign", $"pkcs11:token=interop;id={id};type=private", "-out", output, input);

        Assert.True(EcdsaEncoding.TryFromDer(await File.ReadAllBytesAsync(output, Cancel), 32, out var signature));
        Assert.True(pair.PublicKey.Verify(SigningAlgorithm.ES256, SHA256.HashData(message), signature));
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task A_key_we_made_is_labelled_and_keeps_its_attributes()
    {
        using var backend = await OpenAsync();
        var pair = await backend.CreateAsync(new KeyPairRequest("k-77", 3, "release", KeySpec.P256, KeyPurpose.Artifacts), Cancel);
        Assert.Equal("id:" + Convert.ToHexStringLower(SHA256.HashData(pair.PublicKey.Spki.Span)[..20]), pair.Handle);
        Assert.Equal(Protection.Hsm, pair.Protection);
        var shown = await ToolAsync("--list-objects", "--type", "privkey", "--id", pair.Handle["id:".Length..]);
        Assert.Contains("label:      signsvc/k-77/3", shown, StringComparison.Ordinal);
        Assert.Contains("Usage:      sign\n", shown, StringComparison.Ordinal);
        Assert.Contains("Access:     sensitive, always sensitive, never extractable, local", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_whose_attributes_do_not_hold_counts_as_software()
    {
        using var backend = await OpenAsync();
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4));
        await ToolAsync("--keypairgen", "--key-type", "EC:prime256v1", "--id", id, "--usage-sign", "--extractable");
        var adopted = await backend.AdoptAsync(FaultyToken.Request, $"id:{id}", Cancel);
        Assert.Equal(Protection.Software, adopted.Protection);
    }

    [Fact]
    public async Task A_key_from_outside_or_on_a_token_that_is_no_hardware_counts_as_software()
    {
        using var outside = ECDsa.Create(KeySpec.P256.Curve);
        using var backend = await OpenAsync();
        Assert.Equal(Protection.Software, (await backend.ImportAsync(FaultyToken.Request, outside.ExportPkcs8PrivateKey(), Cancel)).Protection);

        var options = await SoftHsm.OptionsAsync("interop");
        options.TrustAsHardware = false;
        using var honest = new Pkcs11Backend(options, TimeProvider.System);
        Assert.Equal(Protection.Software, (await CreateAsync(honest, KeySpec.P256)).Protection);
        Assert.Equal(Protection.Software, honest.Protection);
    }

    [Fact]
    public async Task A_key_that_must_not_sign_or_shows_a_foreign_public_key_is_not_adopted()
    {
        using var backend = await OpenAsync();
        MakeKeyThatMustNotSign([0xbb, 0x01]);
        var decrypts = await Assert.ThrowsAsync<SigningException>(() => backend.AdoptAsync(FaultyToken.Request, "id:bb01", Cancel));
        Assert.Equal(SigningFault.InvalidRequest, decrypts.Fault);
        Assert.Contains("CKA_SIGN", decrypts.Message, StringComparison.Ordinal);

        // Two pairs; the public key of the first goes, that of the second takes its CKA_ID.
        await ToolAsync("--keypairgen", "--key-type", "EC:prime256v1", "--id", "bb02", "--usage-sign");
        await ToolAsync("--keypairgen", "--key-type", "EC:prime256v1", "--id", "bb03", "--usage-sign");
        await ToolAsync("--delete-object", "--type", "pubkey", "--id", "bb02");
        await ToolAsync("--set-id", "bb02", "--type", "pubkey", "--id", "bb03");
        var foreign = await Assert.ThrowsAsync<SigningException>(() => backend.AdoptAsync(FaultyToken.Request, "id:bb02", Cancel));
        Assert.Equal(SigningFault.InvalidRequest, foreign.Fault);
        Assert.Contains("another key's", foreign.Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// Connected before another program looks: SoftHSM2 rewrites the token's file at a login, and whoever reads it at that
    /// moment sees no token.
    /// </summary>
    private static async Task<Pkcs11Backend> OpenAsync()
    {
        var backend = new Pkcs11Backend(await SoftHsm.OptionsAsync("interop"), TimeProvider.System);
        await backend.ConnectAsync(Cancel);
        return backend;
    }

    /// <summary>pkcs11-tool leaves CKA_SIGN to the token, and SoftHSM2 sets it.</summary>
    private static void MakeKeyThatMustNotSign(byte[] id)
    {
        using var publicKey = new Template()
            .With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true)
            .With(CK_ATTRIBUTE_TYPE.CKA_ID, id)
            .With(CK_ATTRIBUTE_TYPE.CKA_EC_PARAMS, TokenPublicKey.EcParams(KeySpec.P256));
        using var privateKey = new Template()
            .With(CK_ATTRIBUTE_TYPE.CKA_TOKEN, value: true)
            .With(CK_ATTRIBUTE_TYPE.CKA_ID, id)
            .With(CK_ATTRIBUTE_TYPE.CKA_SIGN, value: false);
        SoftHsm.InSession("interop", session => session.GenerateKeyPair(CK_MECHANISM_TYPE.CKM_EC_KEY_PAIR_GEN, publicKey, privateKey));
    }

    private static async Task SignAsync(Pkcs11Backend backend, BackendKeyPair pair, SigningAlgorithm algorithm)
    {
        var digest = RandomNumberGenerator.GetBytes(algorithm.DigestLength);
        var signature = await backend.SignAsync(ActiveVersion.Of(pair), algorithm, digest, Cancel);
        Assert.True(pair.PublicKey.Verify(algorithm, digest, signature.Value));
    }

    private static Task<BackendKeyPair> CreateAsync(Pkcs11Backend backend, KeySpec spec) =>
        backend.CreateAsync(new KeyPairRequest("interop", 1, "interop", spec, KeyPurpose.Artifacts), Cancel);

    private static Task<string> ToolAsync(params string[] arguments) => Programs.RunAsync(
        InstallOpenSc, "pkcs11-tool",
        ["--module", SoftHsm.Module, "--token-label", "interop", "--login", "--pin", SoftHsm.Pin, .. arguments]);
}
