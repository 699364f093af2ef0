using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Artifacts;

/// <summary>
/// <c>cosign verify-blob</c> with the exported public key, offline: a signature file and a Sigstore bundle. cosign 3
/// calls <c>--signature</c> deprecated and still takes it.
/// </summary>
public sealed class CosignTests(RunningService service)
{
    public static MatrixTheoryData<string, string, string> Cases => new(
        ["cosign-2.5", "cosign-3.1"], ["ECC_NIST_P256", "RSA_3072"], ["signature", "bundle"]);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_signed_file_verifies_and_with_a_flipped_bit_does_not(string cosign, string spec, string form)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var algorithm = spec is "RSA_3072" ? "RS256" : "ES256";
        var key = $"{cosign}-{form}-{spec.ToLowerInvariant()}";
        await service.PostAsync("/v1/keys", new { name = key, purpose = "artifacts", spec, algorithms = new[] { algorithm } }, cancellation);
        using var signed = await SignedFile.MakeAsync(service, key, algorithm, cancellation);
        var proof = await WriteProofAsync(signed, form, signed.Signature, cancellation);
        var alteredProof = await WriteProofAsync(signed, form, signed.AlteredSignature, cancellation);

        var good = await VerifyAsync(cosign, signed, form, proof, signed.File);
        Assert.True(good.Succeeded && good.Errors.Contains("Verified OK", StringComparison.Ordinal), $"{good}");
        AssertRefused(await VerifyAsync(cosign, signed, form, proof, signed.AlteredFile));
        AssertRefused(await VerifyAsync(cosign, signed, form, alteredProof, signed.File));
    }

    /// <summary>What cosign gets beside the file: base64 of the signature, or a bundle.</summary>
    private static async Task<string> WriteProofAsync(
        SignedFile signed, string form, byte[] signature, CancellationToken cancellationToken)
    {
        var file = Path.Combine(signed.Folder, Path.GetRandomFileName());
        await File.WriteAllTextAsync(
            file,
            form is "bundle"
                ? SigstoreBundle.Of(await File.ReadAllTextAsync(signed.PublicKey, cancellationToken), signed.Digest, signature)
                : Convert.ToBase64String(signature),
            cancellationToken);
        return file;
    }

    private static async Task<Ended> VerifyAsync(string cosign, SignedFile signed, string form, string proof, string file)
    {
        var isOld = cosign is "cosign-2.5";
        string[] options = (form, isOld) switch
        {
            ("signature", _) => ["--signature", proof],
            (_, true) => ["--new-bundle-format", "--trusted-root", await EmptyTrustedRootAsync(cosign, signed), "--bundle", proof],
            _ => ["--bundle", proof],
        };
        return await RunAsync(cosign, signed, ["verify-blob", "--key", signed.PublicKey, "--insecure-ignore-tlog", .. options, file]);
    }

    /// <summary>Without one, cosign 2.5 asks the public Sigstore service for its roots.</summary>
    private static async Task<string> EmptyTrustedRootAsync(string cosign, SignedFile signed)
    {
        var file = Path.Combine(signed.Folder, "trusted-root.json");
        var made = await RunAsync(cosign, signed, ["trusted-root", "create", "--out", file]);
        Assert.True(made.Succeeded, $"{made}");
        return file;
    }

    private static Task<Ended> RunAsync(string cosign, SignedFile signed, string[] arguments) =>
        OutsideProgram.RunAsync(
            Checkout.Tool(cosign), arguments, signed.Folder, cancellationToken: TestContext.Current.CancellationToken);

    /// <summary>Refused for the signature itself: Go's two words for it.</summary>
    private static void AssertRefused(Ended ended) =>
        Assert.True(
            !ended.Succeeded
            && (ended.Errors.Contains("invalid signature when validating ASN.1 encoded signature", StringComparison.Ordinal)
                || ended.Errors.Contains("crypto/rsa: verification error", StringComparison.Ordinal)),
            $"{ended}");
}
