using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Artifacts;

/// <summary><c>openssl dgst -verify</c> with the exported public key: every key spec with every algorithm.</summary>
public sealed class OpenSslTests(RunningService service)
{
    [Theory]
    [InlineData("ECC_NIST_P256", "ES256")]
    [InlineData("ECC_NIST_P384", "ES384")]
    [InlineData("ECC_NIST_P521", "ES512")]
    [InlineData("RSA_2048", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    [InlineData("RSA_3072", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    [InlineData("RSA_4096", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512")]
    public async Task A_signed_file_verifies_and_with_a_flipped_bit_does_not(string spec, params string[] algorithms)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var key = $"openssl-{spec.ToLowerInvariant()}";
        await service.PostAsync("/v1/keys", new { name = key, purpose = "artifacts", tier = "assured", spec, algorithms }, cancellation);
        foreach (var algorithm in algorithms)
        {
            using var signed = await SignedFile.MakeAsync(service, key, algorithm, cancellation);

            var good = await VerifyAsync(signed, algorithm, signed.SignatureFile, signed.File);
            Assert.True(good.Succeeded && good.Output.Contains("Verified OK", StringComparison.Ordinal), $"{good}");
            AssertRefused(await VerifyAsync(signed, algorithm, signed.SignatureFile, signed.AlteredFile));
            AssertRefused(await VerifyAsync(signed, algorithm, signed.AlteredSignatureFile, signed.File));
        }
    }

    [Fact]
    public async Task A_message_that_the_service_hashes_verifies_like_a_digest()
    {
        var cancellation = TestContext.Current.CancellationToken;
        using var signed = await SignedFile.MakeAsync(service, "release", "ES256", cancellation);
        var message = await File.ReadAllBytesAsync(signed.File, cancellation);
        var answer = await service.PostAsync("/v1/keys/release/sign", new { message, algorithm = "ECDSA_SHA_256" }, cancellation);
        await File.WriteAllBytesAsync(signed.SignatureFile, answer.GetProperty("signature").GetBytesFromBase64(), cancellation);

        var good = await VerifyAsync(signed, "ES256", signed.SignatureFile, signed.File);
        Assert.True(good.Succeeded, $"{good}");
        AssertRefused(await VerifyAsync(signed, "ES256", signed.SignatureFile, signed.AlteredFile));
    }

    /// <summary>PSS with a salt of exactly the hash's length (RFC 7518 section 3.5) and MGF1 over the same hash.</summary>
    private static Task<Ended> VerifyAsync(SignedFile signed, string algorithm, string signature, string file)
    {
        var hash = $"sha{algorithm[2..]}";
        string[] padding = algorithm.StartsWith("PS", StringComparison.Ordinal)
            ? ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest", "-sigopt", $"rsa_mgf1_md:{hash}"]
            : [];
        return OutsideProgram.RunAsync(
            Checkout.OpenSsl, ["dgst", $"-{hash}", "-verify", signed.PublicKey, .. padding, "-signature", signature, file],
            signed.Folder, cancellationToken: TestContext.Current.CancellationToken);
    }

    /// <summary>Refused for the signature itself, not because openssl could not read its input.</summary>
    private static void AssertRefused(Ended ended) =>
        Assert.True(ended.ExitCode == 1 && ended.Output.Contains("Verification failure", StringComparison.OrdinalIgnoreCase), $"{ended}");
}
