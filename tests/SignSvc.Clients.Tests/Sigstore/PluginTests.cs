using System.Security.Cryptography;
using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>What <c>sigstore-kms-signsvc</c> does beside signing and verifying, for which <see cref="CosignMatrixTests"/> has every combination.</summary>
public sealed class PluginTests(RunningService service)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("cosign-2.5")]
    [InlineData("cosign-3.1")]
    public async Task A_key_that_is_disabled_or_unknown_says_so(string cosign)
    {
        using var run = await CosignCase.OpenAsync(service, cosign, "ECC_NIST_P256");
        await service.PostAsync($"/v1/keys/{run.Key}/disable", new { }, Cancellation);
        using var unknown = await CosignCase.OpenForAsync(service, cosign, "nobody-knows-it", publicKey: "");

        AssertRefused(await run.SignBlobAsync(await run.BlobAsync("app")), $"{run.Key} is disabled.");
        AssertRefused(await unknown.SignBlobAsync(await unknown.BlobAsync("app")), "There is no such key.");
    }

    [Fact]
    public async Task A_curve_that_cosign_does_not_verify_is_refused_in_words()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-2.5", "ECC_NIST_P384");

        AssertRefused(
            await run.SignBlobAsync(await run.BlobAsync("app")),
            $"{run.Key} is an ECC_NIST_P384 key and signs SHA384 digests; cosign asks for SHA256.");
    }

    [Fact]
    public async Task A_service_that_is_not_there_says_so()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P256");
        var file = await run.BlobAsync("app");
        var environment = new Dictionary<string, string>(Plugin.Environment(await Plugin.FolderAsync(), service, service.Token, run.Home), StringComparer.Ordinal)
        {
            // Reserved by RFC 6335: nothing listens.
            ["SIGNSVC_URL"] = "http://127.0.0.1:1",
        };

        var ended = await OutsideProgram.RunAsync(
            Checkout.Tool("cosign-3.1"), ["public-key", "--key", $"signsvc://{run.Key}"], run.Home, environment, cancellationToken: Cancellation);

        Assert.NotEmpty(file);
        AssertRefused(ended, "http://127.0.0.1:1 cannot be reached");
    }

    [Fact]
    public async Task A_key_that_cosign_makes_signs_and_is_not_made_twice()
    {
        var key = $"made-{RandomNumberGenerator.GetHexString(12, lowercase: true)}";
        using var run = await CosignCase.OpenForAsync(service, "cosign-3.1", key, publicKey: "");

        AssertDone(await run.RunAsync("generate-key-pair", "--kms", $"signsvc://{key}"));
        Assert.Equal(await service.GetTextAsync($"/v1/keys/{key}/public-key", Cancellation), await File.ReadAllTextAsync(run.At("cosign.pub"), Cancellation));
        AssertRefused(await run.RunAsync("generate-key-pair", "--kms", $"signsvc://{key}"), $"There is a key {key} already.");
        File.Move(run.At("cosign.pub"), run.PublicKey, overwrite: true);
        var file = await run.BlobAsync("app");
        AssertDone(await run.SignBlobAsync(file));
        AssertDone(await run.VerifyBlobAsync(file, proofOf: file));
    }

    /// <summary>cosign 3 says SHA-256 of the SHA-384 digest that it sends.</summary>
    [Fact]
    public async Task The_hash_is_that_of_the_digest_s_length()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P384");
        var message = RandomNumberGenerator.GetBytes(1000);
        var arguments = new { signOptions = new { messageOptions = new { digest = SHA384.HashData(message) } } };

        var answer = await Plugin.CallAsync(service, run.Home, "signMessage", arguments, run.Key, message);

        using var key = ECDsa.Create();
        key.ImportFromPem(await File.ReadAllTextAsync(run.PublicKey, Cancellation));
        var signature = answer.GetProperty("signMessage").GetProperty("signature").GetBytesFromBase64();
        Assert.True(key.VerifyData(message, signature, HashAlgorithmName.SHA384, DSASignatureFormat.Rfc3279DerSequence));
    }

    [Fact]
    public async Task A_digest_of_another_message_is_not_signed()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P256");
        var arguments = new { signOptions = new { messageOptions = new { digest = SHA256.HashData("evil"u8) } } };

        var answer = await Plugin.CallAsync(service, run.Home, "signMessage", arguments, run.Key, "good"u8.ToArray());

        Assert.Equal("cosign's digest is not that of the message it sent: nothing was signed.", answer.GetProperty("errorMessage").GetString());
        Assert.Empty(await SignaturesOnRecordAsync(run.Key));
    }

    [Fact]
    public async Task After_a_rotation_the_cached_public_key_gives_no_signature_that_it_does_not_verify()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P256");
        var sign = new { signOptions = new { messageOptions = new { digest = (string?)null } } };
        var before = await PublicKeyAsync(run);
        await service.PostAsync($"/v1/keys/{run.Key}/rotate", new { }, Cancellation);

        Assert.Equal(before, await PublicKeyAsync(run));
        var refused = await Plugin.CallAsync(service, run.Home, "signMessage", sign, run.Key, "app"u8.ToArray());
        var signed = await Plugin.CallAsync(service, run.Home, "signMessage", sign, run.Key, "app"u8.ToArray());

        Assert.Contains("was rotated while cosign was signing", refused.GetProperty("errorMessage").GetString(), StringComparison.Ordinal);
        Assert.True(signed.TryGetProperty("signMessage", out _), signed.GetRawText());
        Assert.NotEqual(before, await PublicKeyAsync(run));
    }

    [Fact]
    public async Task The_cosign_after_a_rotation_signs_at_once_with_the_new_version()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P256");
        var folder = Path.Combine(run.Home, "cache", "signsvc", "public-keys");
        var (before, after) = (await run.BlobAsync("before"), await run.BlobAsync("after"));
        AssertDone(await run.SignBlobAsync(before));
        // What the first cosign left is a minute old by now, and is not kept.
        var entry = Assert.Single(Directory.GetFiles(folder));
        File.SetLastWriteTimeUtc(entry, File.GetLastWriteTimeUtc(entry) - TimeSpan.FromMinutes(1));

        await service.PostAsync($"/v1/keys/{run.Key}/rotate", new { }, Cancellation);
        AssertDone(await run.SignBlobAsync(after));

        var next = await run.WriteAsync("next.pub", await service.GetTextAsync($"/v1/keys/{run.Key}/public-key", Cancellation));
        Assert.NotEqual(await File.ReadAllTextAsync(run.PublicKey, Cancellation), await File.ReadAllTextAsync(next, Cancellation), StringComparer.Ordinal);
        AssertDone(await run.VerifyBlobAsync(after, proofOf: after, next));
        AssertDone(await run.VerifyBlobAsync(before, proofOf: before));
        Assert.False((await run.VerifyBlobAsync(after, proofOf: after)).Succeeded);
        Assert.NotEqual(entry, Assert.Single(Directory.GetFiles(folder)), StringComparer.Ordinal);
    }

    [Fact]
    public async Task A_cache_that_others_can_write_is_not_read()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P256");
        var genuine = await PublicKeyAsync(run);
        var folder = Path.Combine(run.Home, "cache", "signsvc", "public-keys");
        var entry = Assert.Single(Directory.GetFiles(folder));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(entry));
        var text = await File.ReadAllTextAsync(entry, Cancellation);
        var forged = JsonSerializer.Serialize(new { pem = "forged", until = JsonElement.Parse(text).GetProperty("until").GetInt64() });
        await File.WriteAllTextAsync(entry, forged, Cancellation);

        Assert.Equal("forged"u8.ToArray(), await PublicKeyAsync(run));
        File.SetUnixFileMode(folder, File.GetUnixFileMode(folder) | UnixFileMode.OtherWrite);
        Assert.Equal(genuine, await PublicKeyAsync(run));
    }

    [Fact]
    public async Task The_protocol_s_other_questions_are_answered()
    {
        using var run = await CosignCase.OpenAsync(service, "cosign-3.1", "ECC_NIST_P256");

        var algorithm = await Plugin.CallAsync(service, run.Home, "defaultAlgorithm", new { }, run.Key);
        var algorithms = await Plugin.CallAsync(service, run.Home, "supportedAlgorithms", new { }, run.Key);
        var unknown = await Plugin.CallAsync(service, run.Home, "decrypt", new { }, run.Key);

        Assert.Equal("ecdsa-p256", algorithm.GetProperty("defaultAlgorithm").GetProperty("defaultAlgorithm").GetString());
        Assert.Contains("rsa-3072", algorithms.GetProperty("supportedAlgorithms").GetProperty("supportedAlgorithms").EnumerateArray().Select(a => a.GetString()), StringComparer.Ordinal);
        Assert.Contains("does not know the method 'decrypt'", unknown.GetProperty("errorMessage").GetString(), StringComparison.Ordinal);
    }

    private async Task<byte[]> PublicKeyAsync(CosignCase run)
    {
        var answer = await Plugin.CallAsync(service, run.Home, "publicKey", new { publicKeyOptions = new { } }, run.Key);
        return answer.GetProperty("publicKey").GetProperty("publicKeyPEM").GetBytesFromBase64();
    }

    private async Task<JsonElement[]> SignaturesOnRecordAsync(string key)
    {
        var text = await service.GetTextAsync($"/v1/audit?key={key}&action=keys:Sign", Cancellation);
        return JsonElement.Parse(text).GetProperty("records").EnumerateArray().ToArray();
    }

    private static void AssertDone(Ended ended) => Assert.True(ended.Succeeded, $"{ended}");

    private static void AssertRefused(Ended ended, string reason) =>
        Assert.True(!ended.Succeeded && ended.Errors.Contains(reason, StringComparison.OrdinalIgnoreCase), $"{ended}");
}
