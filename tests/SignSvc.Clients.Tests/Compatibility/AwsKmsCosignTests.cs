using System.Security.Cryptography;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>cosign as it comes, with <c>--key awskms:///alias/…</c> and an endpoint of SignSvc.</summary>
public sealed class AwsKmsCosignTests(RunningService service)
{
    public static MatrixTheoryData<string, string> Cases => new(["cosign-2.5", "cosign-3.1"], ["ECC_NIST_P256", "RSA_3072"]);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Cosign_signs_a_blob_and_verifies_it_with_the_exported_public_key(string cosign, string spec)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var name = $"kms-{cosign}-{spec.ToLowerInvariant()}";
        await service.PostAsync("/v1/keys", new { name, purpose = "artifacts", spec }, cancellation);
        var access = await AccessKeyOf.NewAsync(service, "signer");
        using var home = new TemporaryHome();
        var file = Path.Combine(home.Folder, "app.tar.gz");
        var content = RandomNumberGenerator.GetBytes(100_000);
        await File.WriteAllBytesAsync(file, content, cancellation);
        await File.WriteAllTextAsync(Path.Combine(home.Folder, "key.pub"), await service.GetTextAsync($"/v1/keys/{name}/public-key", cancellation), cancellation);

        var isOld = cosign is "cosign-2.5";
        if (!isOld)
        {
            MustSucceed(await CosignAsync(cosign, home, access, "signing-config", "create", "--out", "sc.json"));
            MustSucceed(await CosignAsync(cosign, home, access, "trusted-root", "create", "--out", "tr.json"));
        }

        string[] sign = isOld
            ? ["--tlog-upload=false", "--output-signature", "app.sig"]
            : ["--signing-config", "sc.json", "--trusted-root", "tr.json", "--bundle", "app.json"];
        string[] proof = isOld ? ["--signature", "app.sig"] : ["--bundle", "app.json"];
        MustSucceed(await CosignAsync(cosign, home, access, ["sign-blob", "--yes", "--key", $"awskms:///alias/{name}", .. sign, file]));
        foreach (var key in (string[])["key.pub", $"awskms:///alias/{name}"])
            MustSucceed(await CosignAsync(cosign, home, access, ["verify-blob", "--key", key, "--insecure-ignore-tlog", .. proof, file]));

        content[^1] ^= 1;
        await File.WriteAllBytesAsync(file, content, cancellation);
        var tampered = await CosignAsync(cosign, home, access, ["verify-blob", "--key", "key.pub", "--insecure-ignore-tlog", .. proof, file]);
        Assert.False(tampered.Succeeded, $"{tampered}");

        var stranger = await AccessKeyOf.NewAsync(service, "auditor");
        var refused = await CosignAsync(cosign, home, stranger, ["sign-blob", "--yes", "--key", $"awskms:///alias/{name}", .. sign, file]);
        Assert.Contains("AccessDeniedException: You are not allowed to do this", refused.Errors, StringComparison.Ordinal);
    }

    private static void MustSucceed(Ended ended) => Assert.True(ended.Succeeded, $"{ended}");

    private Task<Ended> CosignAsync(string cosign, TemporaryHome home, AccessKeyOf access, params string[] arguments) => OutsideProgram.RunAsync(
        Checkout.Tool(cosign), arguments, home.Folder, cancellationToken: TestContext.Current.CancellationToken, environment: access.Environment(service));
}
