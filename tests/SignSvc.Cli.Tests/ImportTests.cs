using System.Security.Cryptography;

namespace SignSvc.Cli.Tests;

/// <summary>Private keys from outside, by the command line alone.</summary>
public sealed class ImportTests(RunningService service) : IDisposable
{
    private readonly CommandLine _signsvc = new(service);

    public void Dispose() => _signsvc.Dispose();

    [Theory]
    [InlineData("pkcs8", "ECC_NIST_P256", null)]
    [InlineData("sec1", "ECC_NIST_P384", "RSA_OAEP_SHA_256")]
    [InlineData("der", "ECC_NIST_P521", "RSA_OAEP_SHA_256")]
    [InlineData("pkcs1", "RSA_2048", null)]
    public async Task A_key_of_any_usual_form_is_wrapped_sent_and_signs(string form, string spec, string? algorithm)
    {
        var name = $"imported-{form}";
        using AsymmetricAlgorithm owner = spec switch
        {
            "RSA_2048" => RSA.Create(2048),
            "ECC_NIST_P256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
            "ECC_NIST_P384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
            _ => ECDsa.Create(ECCurve.NamedCurves.nistP521),
        };
        (await _signsvc.RunAsync("keys", "create", name, "--spec", spec, "--origin", "imported")).Ended(0);
        string[] wrapping = algorithm is null ? [] : ["--algorithm", algorithm];

        var imported = (await _signsvc.RunAsync(["keys", "import", name, "--key-file", Write(form, owner), "-o", "json", .. wrapping])).Ended(0).Json;

        Assert.Equal("active imported", $"{imported.GetProperty("versions")[0].GetProperty("state")} {imported.GetProperty("versions")[0].GetProperty("origin")}");
        var published = (await _signsvc.RunAsync("keys", "public-key", name, "--format", "der")).Ended(0);
        Assert.Equal(owner.ExportSubjectPublicKeyInfo(), published.Output);
        (await _signsvc.RunAsync("sign", _signsvc.Folder.Write("a.txt", "a"), "--key", name)).Ended(0);
    }

    [Fact]
    public async Task What_was_wrapped_elsewhere_is_sent_as_it_is_and_once()
    {
        using var owner = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        (await _signsvc.RunAsync("keys", "create", "imported-wrapped", "--origin", "imported")).Ended(0);
        var parameters = (await _signsvc.RunAsync("keys", "import-parameters", "imported-wrapped", "-o", "json")).Ended(0);
        var file = _signsvc.Folder.Write("parameters.json", parameters.Text);

        // On a machine without the service.
        var wrapped = _signsvc.Folder.At("wrapped.bin");
        using (var offline = new CommandLine())
        {
            (await offline.RunAsync(
                "keys", "import", "imported-wrapped", "--key-file", Write("pkcs8", owner), "--parameters", file, "--wrap-only", wrapped)).Ended(0);
        }

        var imported = (await _signsvc.RunAsync("keys", "import", "imported-wrapped", "--wrapped", wrapped, "--parameters", file)).Ended(0);
        Assert.Contains("active", imported.Text, StringComparison.Ordinal);
        var again = (await _signsvc.RunAsync("keys", "import", "imported-wrapped", "--wrapped", wrapped, "--parameters", file)).Ended(3);
        Assert.Contains("was used already", again.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_imported_is_refused_before_it_leaves_this_machine()
    {
        using var owner = RSA.Create(2048);
        var encrypted = _signsvc.Folder.Write("encrypted.pem", owner.ExportEncryptedPkcs8PrivateKeyPem("secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        (await _signsvc.RunAsync("keys", "create", "imported-refused", "--spec", "RSA_2048", "--origin", "imported")).Ended(0);
        (string Reason, string[] Arguments)[] refusals =
        [
            ("--key-file, or wrapped material", []),
            ("is encrypted", ["--key-file", encrypted]),
            ("holds no private key", ["--key-file", _signsvc.Folder.Write("public.pem", owner.ExportSubjectPublicKeyInfoPem())]),
            ("cannot be wrapped", ["--key-file", Write("pkcs8", owner), "--algorithm", "RSA_OAEP_SHA_256"]),
            ("belongs to its parameters", ["--wrapped", encrypted]),
            ("is not what", ["--wrapped", encrypted, "--parameters", _signsvc.Folder.Write("empty.json", "{}")]),
        ];
        foreach (var (reason, arguments) in refusals)
        {
            var run = (await _signsvc.RunAsync(["keys", "import", "imported-refused", .. arguments])).Ended(2);
            Assert.Contains(reason, run.Errors, StringComparison.Ordinal);
            Assert.DoesNotContain("BEGIN", run.Errors, StringComparison.Ordinal);
        }
    }

    private string Write(string form, AsymmetricAlgorithm key)
    {
        if (form is "der")
        {
            File.WriteAllBytes(_signsvc.Folder.At("key.der"), key.ExportPkcs8PrivateKey());
            return _signsvc.Folder.At("key.der");
        }

        return _signsvc.Folder.Write("key.pem", (form, key) switch
        {
            ("sec1", ECDsa ec) => ec.ExportECPrivateKeyPem(),
            ("pkcs1", RSA rsa) => rsa.ExportRSAPrivateKeyPem(),
            _ => key.ExportPkcs8PrivateKeyPem(),
        });
    }
}
