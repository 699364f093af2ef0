using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>
/// Unmodified cosign signs by every way there is, and anybody verifies with the exported public key. One class for each
/// backend, so that they run beside each other.
/// </summary>
public abstract class CosignMatrixTests(RunningService service, ImageRegistry registry, MatrixCallers callers, string backend)
{
    public static MatrixTheoryData<string, string, string, string> Cells => new(
        ["cosign-2.5", "cosign-3.1"], ["plugin", "awskms"], ["blob", "image", "attestation"], ["ECC_NIST_P256", "RSA_3072"]);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task What_is_signed_verifies_what_is_tampered_with_does_not_and_a_stranger_reads_why(
        string cosign, string door, string artifact, string spec)
    {
        var key = await callers.KeyAsync(service, backend, spec);
        var publicKey = await service.GetTextAsync($"/v1/keys/{key}/public-key", Cancellation);
        using var run = await CosignCase.OpenAtAsync(await Door.OpenAsync(door, service, await callers.SignerAsync(service)), cosign, key, publicKey);
        using var stranger = await CosignCase.OpenAtAsync(await Door.OpenAsync(door, service, await callers.StrangerAsync(service)), cosign, key, publicKey);
        var signed = await SignedArtifact.NewAsync(artifact, run, registry);

        AssertDone(await signed.SignAsync(run));
        Assert.All(await signed.VerifyAsync(), AssertDone);
        AssertTampered(await signed.VerifyTamperedAsync());
        AssertRefused(await signed.SignAsync(stranger));
        foreach (var (bundle, of) in await signed.BundlesAsync())
            await JavaScriptVerifier.MustAcceptAsync(run, bundle, of);
        if (door is "plugin" && signed.Digest is { } digest)
            await AssertOnRecordAsync(key, artifact is "image" ? "container" : "attestation", digest);
    }

    private static void AssertDone(Ended ended) => Assert.True(ended.Succeeded, $"{ended}");

    /// <summary>cosign's and Go's words for a signature that is another's; nothing else may be wrong.</summary>
    private static void AssertTampered(Ended ended)
    {
        string[] reasons =
        [
            "invalid signature", "crypto/rsa: verification error", "invalid or missing digest in claim", "missing or incorrect digest",
            "no matching attestations", "no matching signatures", "digest mismatch", "does not match",
        ];
        Assert.True(!ended.Succeeded && reasons.Any(r => ended.Errors.Contains(r, StringComparison.OrdinalIgnoreCase)), $"{ended}");
    }

    private static void AssertRefused(Ended ended) => Assert.True(
        !ended.Succeeded && ended.Errors.Contains("You are not allowed to do this, or it does not exist.", StringComparison.Ordinal), $"{ended}");

    /// <summary>The plugin has read the artifact from what is signed.</summary>
    private async Task AssertOnRecordAsync(string key, string type, string digest)
    {
        var text = await service.GetTextAsync($"/v1/audit?key={key}&action=keys:Sign&outcome=allowed", Cancellation);
        var artifacts = JsonElement.Parse(text).GetProperty("records").EnumerateArray()
            .Where(r => r.TryGetProperty("context", out var context) && context.TryGetProperty("artifact", out _))
            .Select(r => r.GetProperty("context").GetProperty("artifact")).ToArray();
        Assert.Contains(artifacts, a => Is(a, "type", type) && Is(a, "digest", digest));

        static bool Is(JsonElement artifact, string member, string value) =>
            artifact.TryGetProperty(member, out var found) && found.ValueEquals(value);
    }
}

public sealed class SoftwareCosignTests(RunningService service, ImageRegistry registry, MatrixCallers callers)
    : CosignMatrixTests(service, registry, callers, "software"), IClassFixture<MatrixCallers>;

public sealed class AwsKmsCosignTests(RunningService service, ImageRegistry registry, MatrixCallers callers)
    : CosignMatrixTests(service, registry, callers, "aws-kms"), IClassFixture<MatrixCallers>;

public sealed class Pkcs11CosignTests(RunningService service, ImageRegistry registry, MatrixCallers callers)
    : CosignMatrixTests(service, registry, callers, "pkcs11"), IClassFixture<MatrixCallers>;
