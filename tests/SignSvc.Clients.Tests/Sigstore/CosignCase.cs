using System.Security.Cryptography;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>
/// One cosign of one version with the plugin on its PATH, in a home of its own, offline: without a transparency log and
/// with roots that are empty. The two versions say the same in different options.
/// </summary>
internal sealed class CosignCase : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-cosign-");
    private readonly string _cosign;
    private readonly IReadOnlyDictionary<string, string> _environment;

    private CosignCase(string cosign, string key, Func<string, IReadOnlyDictionary<string, string>> environment)
    {
        _cosign = cosign;
        Key = key;
        _environment = environment(_folder.FullName);
    }

    public string Home => _folder.FullName;

    /// <summary>The key's name at the service.</summary>
    public string Key { get; }

    /// <summary>As the service exports it.</summary>
    public string PublicKey => At("key.pub");

    public bool IsOld => _cosign is "cosign-2.5";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="token">Null: the administrator's.</param>
    public static async Task<CosignCase> OpenAsync(RunningService service, string cosign, string spec, string? token = null, string backend = "software")
    {
        var key = $"cosign-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
        var algorithm = spec is "RSA_3072" ? "RS256" : spec is "ECC_NIST_P384" ? "ES384" : "ES256";
        await service.PostAsync("/v1/keys", new { name = key, purpose = "artifacts", tier = "assured", backend, spec, algorithms = new[] { algorithm } }, Cancellation);
        return await OpenForAsync(service, cosign, key, await service.GetTextAsync($"/v1/keys/{key}/public-key", Cancellation), token);
    }

    public void Dispose() => _folder.Delete(recursive: true);

    public string At(string name) => Path.Combine(Home, name);

    public async Task<string> WriteAsync(string name, string text)
    {
        await File.WriteAllTextAsync(At(name), text, Cancellation);
        return At(name);
    }

    /// <summary>A file of random bytes.</summary>
    public async Task<string> BlobAsync(string name, int length = 100_000)
    {
        await File.WriteAllBytesAsync(At(name), RandomNumberGenerator.GetBytes(length), Cancellation);
        return At(name);
    }

    public Task<Ended> SignBlobAsync(string file) => IsOld
        ? RunAsync("sign-blob", "--yes", "--key", $"signsvc://{Key}", "--tlog-upload=false", "--output-signature", $"{file}.sig", file)
        : RunAsync(["sign-blob", "--yes", "--key", $"signsvc://{Key}", .. Offline, "--bundle", $"{file}.bundle", file]);

    /// <param name="proofOf">The file that was signed.</param>
    public Task<Ended> VerifyBlobAsync(string file, string proofOf, string? key = null) => RunAsync(
    [
        "verify-blob", "--key", key ?? PublicKey, "--insecure-ignore-tlog",
        .. IsOld ? new[] { "--signature", $"{proofOf}.sig" } : ["--bundle", $"{proofOf}.bundle"],
        file,
    ]);

    public Task<Ended> SignImageAsync(string image) => RunAsync(
        ["sign", "--yes", "--key", $"signsvc://{Key}", .. IsOld ? ["--tlog-upload=false"] : Offline, image]);

    public Task<Ended> VerifyImageAsync(string image) =>
        RunAsync("verify", "--key", PublicKey, "--insecure-ignore-tlog", image);

    public Task<Ended> AttestImageAsync(string image, string predicate) => RunAsync(
    [
        "attest", "--yes", "--key", $"signsvc://{Key}", .. IsOld ? ["--tlog-upload=false"] : Offline,
        "--type", "custom", "--predicate", predicate, image,
    ]);

    public Task<Ended> VerifyImageAttestationAsync(string image, string type = "custom") =>
        RunAsync("verify-attestation", "--key", PublicKey, "--insecure-ignore-tlog", "--type", type, image);

    /// <param name="bundle">Made by anybody.</param>
    public Task<Ended> VerifyBundleAsync(string file, string bundle, string? type = null) => RunAsync(
    [
        type is null ? "verify-blob" : "verify-blob-attestation", "--key", PublicKey, "--insecure-ignore-tlog",
        .. type is null ? [] : new[] { "--type", type },
        .. IsOld ? ["--new-bundle-format", "--trusted-root", At("trusted-root.json")] : Array.Empty<string>(),
        "--bundle", bundle, file,
    ]);

    public Task<Ended> RunAsync(params string[] arguments) =>
        OutsideProgram.RunAsync(Checkout.Tool(_cosign), arguments, Home, _environment, cancellationToken: Cancellation);

    private string[] Offline => ["--signing-config", At("signing-config.json"), "--trusted-root", At("trusted-root.json")];

    /// <summary>For a key that is there already, or is not.</summary>
    public static async Task<CosignCase> OpenForAsync(RunningService service, string cosign, string key, string publicKey, string? token = null)
    {
        var plugin = await Plugin.FolderAsync();
        Assert.True(File.Exists(Path.Combine(plugin, "sigstore-kms-signsvc")));
        var opened = new CosignCase(cosign, key, home => Plugin.Environment(plugin, service, token ?? service.Token, home));
        await opened.WriteAsync("key.pub", publicKey);
        Assert.True((await opened.RunAsync("trusted-root", "create", "--out", opened.At("trusted-root.json"))).Succeeded);
        if (!opened.IsOld)
            Assert.True((await opened.RunAsync("signing-config", "create", "--out", opened.At("signing-config.json"))).Succeeded);
        return opened;
    }
}
