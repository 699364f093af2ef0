using System.Collections.Concurrent;
using System.Security.Cryptography;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>
/// One cosign of one version at one door of the service, in a home of its own, offline: without a transparency log and
/// with roots that are empty. The two versions say the same in different options.
/// </summary>
internal sealed class CosignCase : IDisposable
{
    /// <summary>What <c>cosign NAME create</c> writes: the same every time, so that it is asked for once.</summary>
    private static readonly ConcurrentDictionary<string, Lazy<Task<string>>> Made = new(StringComparer.Ordinal);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-cosign-");
    private readonly string _cosign;
    private readonly IReadOnlyDictionary<string, string> _environment;

    private CosignCase(string cosign, string key, Door door)
    {
        _cosign = cosign;
        Key = key;
        KeyReference = door.KeyReference(key);
        _environment = door.Environment(Home);
    }

    public string Home => _folder.FullName;

    /// <summary>The key's name at the service.</summary>
    public string Key { get; }

    /// <summary>What <c>--key</c> takes.</summary>
    public string KeyReference { get; }

    /// <summary>As the service exports it.</summary>
    public string PublicKey => At("key.pub");

    public bool IsOld => _cosign is "cosign-2.5";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string[] Offline => IsOld
        ? ["--tlog-upload=false"]
        : ["--signing-config", At("signing-config.json"), "--trusted-root", At("trusted-root.json")];

    /// <summary>With a new key, through the plugin.</summary>
    /// <param name="token">Null: the administrator's.</param>
    public static async Task<CosignCase> OpenAsync(RunningService service, string cosign, string spec, string? token = null)
    {
        var key = $"cosign-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
        var algorithm = spec is "RSA_3072" ? "RS256" : spec is "ECC_NIST_P384" ? "ES384" : "ES256";
        await service.PostAsync("/v1/keys", new { name = key, purpose = "artifacts", tier = "assured", backend = "software", spec, algorithms = new[] { algorithm } }, Cancellation);
        return await OpenForAsync(service, cosign, key, await service.GetTextAsync($"/v1/keys/{key}/public-key", Cancellation), token);
    }

    /// <summary>For a key that is there already, or is not, through the plugin.</summary>
    public static async Task<CosignCase> OpenForAsync(RunningService service, string cosign, string key, string publicKey, string? token = null) =>
        await OpenAtAsync(await Door.PluginAsync(service, token ?? service.Token), cosign, key, publicKey);

    public static async Task<CosignCase> OpenAtAsync(Door door, string cosign, string key, string publicKey)
    {
        var opened = new CosignCase(cosign, key, door);
        await opened.WriteAsync("key.pub", publicKey);
        await opened.WriteAsync("trusted-root.json", await opened.MadeAsync("trusted-root"));
        if (!opened.IsOld)
            await opened.WriteAsync("signing-config.json", await opened.MadeAsync("signing-config"));
        return opened;
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

    /// <summary>Leaves <c>FILE.bundle</c>, and with cosign 2 <c>FILE.sig</c>, too.</summary>
    public Task<Ended> SignBlobAsync(string file) => RunAsync(
    [
        "sign-blob", "--yes", "--key", KeyReference, .. Offline, "--bundle", $"{file}.bundle",
        .. IsOld ? ["--new-bundle-format", "--output-signature", $"{file}.sig"] : Array.Empty<string>(),
        file,
    ]);

    /// <param name="proofOf">The file that was signed.</param>
    public Task<Ended> VerifyBlobAsync(string file, string proofOf, string? key = null) => RunAsync(
    [
        "verify-blob", "--key", key ?? PublicKey, "--insecure-ignore-tlog",
        .. IsOld ? new[] { "--signature", $"{proofOf}.sig" } : ["--bundle", $"{proofOf}.bundle"],
        file,
    ]);

    public Task<Ended> SignImageAsync(string image) => RunAsync(["sign", "--yes", "--key", KeyReference, .. Offline, image]);

    public Task<Ended> VerifyImageAsync(string image) =>
        RunAsync("verify", "--key", PublicKey, "--insecure-ignore-tlog", image);

    public Task<Ended> AttestImageAsync(string image, string predicate) => RunAsync(
        ["attest", "--yes", "--key", KeyReference, .. Offline, "--type", "custom", "--predicate", predicate, image]);

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

    private Task<string> MadeAsync(string name) => Made.GetOrAdd($"{_cosign} {name}", _ => new(() => MakeAsync(name))).Value;

    private async Task<string> MakeAsync(string name)
    {
        var made = await RunAsync(name, "create", "--out", At($"made-{name}"));
        Assert.True(made.Succeeded, $"{made}");
        return await File.ReadAllTextAsync(At($"made-{name}"), Cancellation);
    }
}
