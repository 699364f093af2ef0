using System.Text.Json;
using System.Text.RegularExpressions;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>What a client shows when something is wrong stands in docs/compatibility.md, and is what it shows.</summary>
public sealed partial class FaultTableTests(RunningService service)
{
    [Fact]
    public async Task Every_refusal_is_shown_as_the_table_says()
    {
        var cancellation = TestContext.Current.CancellationToken;
        foreach (var name in (string[])["app", "app-disabled", "app-pending", "app-revoked"])
            await service.PostAsync("/v1/keys", new { name, purpose = "artifacts", spec = "ECC_NIST_P256" }, cancellation);
        var signed = await service.PostAsync("/v1/keys/app-revoked/sign", new { message = "m"u8.ToArray() }, cancellation);
        await service.PostAsync("/v1/keys/app-revoked/versions/1/revoke", new { reason = "compromised" }, cancellation);
        await service.PostAsync("/v1/keys/app-disabled/disable", new { }, cancellation);
        using var deleted = await service.Admin.DeleteAsync("/v1/keys/app-pending", cancellation);
        Assert.True(deleted.IsSuccessStatusCode);
        var signer = await AccessKeyOf.NewAsync(service, "operator", "signer");
        var auditor = await AccessKeyOf.NewAsync(service, "auditor");
        using var home = new TemporaryHome();

        var shown = await OutsideProgram.RunAsync(
            Checkout.Python, [Checkout.Script("Compatibility", "faults.py")], home.Folder, cancellationToken: cancellation,
            environment: new Dictionary<string, string>(signer.Environment(service), StringComparer.Ordinal)
            {
                ["AUDITOR_ACCESS_KEY_ID"] = auditor.Id,
                ["AUDITOR_SECRET_ACCESS_KEY"] = auditor.Secret,
                ["AUDITOR_TOKEN"] = auditor.Token,
                ["REVOKED_SIGNATURE"] = signed.GetProperty("signature").GetString()!,
            });
        Assert.True(shown.Succeeded, $"{shown}");
        var cases = JsonElement.Parse(shown.Output);
        var rows = cases.EnumerateObject().Select(c => $"| {c.Name} | {c.Value.GetProperty("aws").GetString()} | {c.Value.GetProperty("vault").GetString()} |").ToArray();
        var page = await File.ReadAllTextAsync(Path.Combine(Checkout.Root, "docs", "compatibility.md"), cancellation);
        Assert.True(rows.All(r => page.Contains(r, StringComparison.Ordinal)), $"docs/compatibility.md has to say:\n{string.Join('\n', rows)}");

        await CosignShowsAsync(home, signer, "nobody", cases.GetProperty("There is no such key"));
        await CosignShowsAsync(home, signer, "app-disabled", cases.GetProperty("The key is disabled"));
        await CosignShowsAsync(home, auditor, "app", cases.GetProperty("The caller may not sign"));
        await CosignShowsAsync(home, signer with { Secret = "wrong" }, "app", cases.GetProperty("The secret is wrong, or the request was altered"));
        await CosignShowsAsync(home, signer with { Id = "SSVAAAAAAAAAAAAAAAAA" }, "app", cases.GetProperty("The access key or token is unknown, revoked or expired"));
        await AwsCliShowsAsync(home, signer, "app-disabled", cases.GetProperty("The key is disabled"));
        await AwsCliShowsAsync(home, auditor, "app", cases.GetProperty("The caller may not sign"));
    }

    private async Task CosignShowsAsync(TemporaryHome home, AccessKeyOf access, string key, JsonElement fault)
    {
        var file = Path.Combine(home.Folder, "app.tar.gz");
        await File.WriteAllTextAsync(file, "m", TestContext.Current.CancellationToken);
        MustShow(fault, await OutsideProgram.RunAsync(
            Checkout.Tool("cosign-2.5"), ["sign-blob", "--yes", "--tlog-upload=false", "--key", $"awskms:///alias/{key}", file], home.Folder,
            cancellationToken: TestContext.Current.CancellationToken, environment: access.Environment(service)));
    }

    private async Task AwsCliShowsAsync(TemporaryHome home, AccessKeyOf access, string key, JsonElement fault) => MustShow(fault, await OutsideProgram.RunAsync(
        Checkout.AwsCli, ["--endpoint-url", service.Url, "kms", "sign", "--key-id", $"alias/{key}", "--message", "AAAA", "--signing-algorithm", "ECDSA_SHA_256"], home.Folder,
        cancellationToken: TestContext.Current.CancellationToken, environment: access.Environment(service)));

    /// <summary>The error's type and its words, wherever the program puts them.</summary>
    private static void MustShow(JsonElement fault, Ended ended)
    {
        var parts = fault.GetProperty("aws").GetString()!.Split("`: ");
        Assert.False(ended.Succeeded, $"{ended}");
        var errors = Arn().Replace(ended.Errors, "ARN");
        Assert.True(errors.Contains(parts[0].TrimStart('`'), StringComparison.Ordinal) && errors.Contains(parts[1], StringComparison.Ordinal), $"{parts[0]} {parts[1]}\n{ended}");
    }

    [GeneratedRegex(@"arn:aws:kms:\S+?/[0-9a-f-]{36}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Arn();
}
