using System.Text.Json;
using System.Text.RegularExpressions;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>What a client shows when something is wrong stands in docs/compatibility.md, and is what it shows.</summary>
public sealed partial class FaultTableTests(RunningService service)
{
    private static readonly object Sign = new { signOptions = new { messageOptions = new { digest = (string?)null } } };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_refusal_is_shown_as_the_table_says()
    {
        var revokedSignature = await MakeKeysAsync();
        var signer = await AccessKeyOf.NewAsync(service, "operator", "signer");
        var auditor = await AccessKeyOf.NewAsync(service, "auditor");
        using var home = new TemporaryHome();

        var cases = await PythonShowsAsync(home, signer, auditor, revokedSignature);
        var plugin = await PluginShowsAsync(home, signer, auditor, revokedSignature);
        var rows = cases.EnumerateObject()
            .Select(c => $"| {c.Name} | {Text(c.Value, "aws")} | {Text(c.Value, "vault")} | {plugin.GetValueOrDefault(c.Name, "–")} |").ToArray();
        var page = await File.ReadAllTextAsync(Path.Combine(Checkout.Root, "docs", "compatibility.md"), Cancellation);
        Assert.True(rows.All(r => page.Contains(r, StringComparison.Ordinal)), $"docs/compatibility.md has to say:\n{string.Join('\n', rows)}");
        Assert.Empty(plugin.Keys.Except(cases.EnumerateObject().Select(c => c.Name), StringComparer.Ordinal));

        await CosignShowsAsync(home, signer, "nobody", cases.GetProperty("There is no such key"));
        await CosignShowsAsync(home, signer, "app-disabled", cases.GetProperty("The key is disabled"));
        await CosignShowsAsync(home, signer, "app-approved", cases.GetProperty("Others have to approve it"));
        await CosignShowsAsync(home, auditor, "app", cases.GetProperty("The caller may not sign"));
        await CosignShowsAsync(home, signer with { Secret = "wrong" }, "app", cases.GetProperty("The secret is wrong, or the request was altered"));
        await CosignShowsAsync(home, signer with { Id = "SSVAAAAAAAAAAAAAAAAA" }, "app", cases.GetProperty("The access key or token is unknown, revoked or expired"));
        await AwsCliShowsAsync(home, signer, "app-disabled", cases.GetProperty("The key is disabled"));
        await AwsCliShowsAsync(home, signer, "app-approved", cases.GetProperty("Others have to approve it"));
        await AwsCliShowsAsync(home, auditor, "app", cases.GetProperty("The caller may not sign"));
    }

    /// <returns>A signature by a version that was revoked afterwards.</returns>
    private async Task<string> MakeKeysAsync()
    {
        foreach (var name in (string[])["app", "app-disabled", "app-pending", "app-revoked", "app-approved"])
            await service.PostAsync("/v1/keys", new { name, purpose = "artifacts", spec = "ECC_NIST_P256" }, Cancellation);
        var signed = await service.PostAsync("/v1/keys/app-revoked/sign", new { message = "m"u8.ToArray() }, Cancellation);
        await service.PostAsync("/v1/keys/app-revoked/versions/1/revoke", new { reason = "compromised" }, Cancellation);
        await service.PostAsync("/v1/keys/app-disabled/disable", new { }, Cancellation);
        using var deleted = await service.Admin.DeleteAsync("/v1/keys/app-pending", Cancellation);
        Assert.True(deleted.IsSuccessStatusCode);
        // A rule that its only approver could not take back is refused.
        await service.PostAsync("/v1/credentials", new { name = "approver", roles = new[] { "admin" } }, Cancellation);
        await service.PutAsync(
            "/v1/approval-rules/app-approved",
            new { resources = new[] { "key/app-approved" }, actions = new[] { "keys:Sign" }, required = 1, approvers = new[] { "credential:*" } }, Cancellation);
        return signed.GetProperty("signature").GetString()!;
    }

    /// <summary>boto3 and hvac.</summary>
    private async Task<JsonElement> PythonShowsAsync(TemporaryHome home, AccessKeyOf signer, AccessKeyOf auditor, string revokedSignature)
    {
        var shown = await OutsideProgram.RunAsync(
            Checkout.Python, [Checkout.Script("Compatibility", "faults.py")], home.Folder, cancellationToken: Cancellation,
            environment: new Dictionary<string, string>(signer.Environment(service), StringComparer.Ordinal)
            {
                ["AUDITOR_ACCESS_KEY_ID"] = auditor.Id,
                ["AUDITOR_SECRET_ACCESS_KEY"] = auditor.Secret,
                ["AUDITOR_TOKEN"] = auditor.Token,
                ["REVOKED_SIGNATURE"] = revokedSignature,
            });
        Assert.True(shown.Succeeded, $"{shown}");
        return JsonElement.Parse(shown.Output);
    }

    /// <summary>What cosign shows of the plugin is its error message; see <see cref="Sigstore.PluginTests"/>.</summary>
    private async Task<Dictionary<string, string>> PluginShowsAsync(TemporaryHome home, AccessKeyOf signer, AccessKeyOf auditor, string revokedSignature)
    {
        var verify = new { signature = revokedSignature, verifyOptions = new { rpcOptions = new { remoteVerification = true } } };
        return new(StringComparer.Ordinal)
        {
            ["There is no such key"] = await ShowAsync("nobody", "signMessage", Sign),
            ["The key does not have the algorithm"] = await ShowAsync("app", "signMessage", Sign, hashFunc: 7),
            ["The digest has another length"] = await ShowAsync("app", "signMessage", new { signOptions = new { messageOptions = new { digest = "AAAA" } } }),
            ["The key is disabled"] = await ShowAsync("app-disabled", "signMessage", Sign),
            ["The key is pending deletion"] = await ShowAsync("app-pending", "signMessage", Sign),
            ["The key is for tokens"] = await ShowAsync("tokens", "signMessage", Sign),
            ["The version was revoked (Vault: sign with it; else: verify)"] = await ShowAsync("app-revoked", "verifySignature", verify),
            ["The caller may not sign"] = await ShowAsync("app", "signMessage", Sign, auditor.Token),
            ["Others have to approve it"] = await ShowAsync("app-approved", "signMessage", Sign),
            ["The access key or token is unknown, revoked or expired"] = await ShowAsync("app", "signMessage", Sign, "ssv1_unknown"),
            ["The operation is not served"] = await ShowAsync("app", "decrypt", new { }),
        };

        async Task<string> ShowAsync(string key, string method, object arguments, string? token = null, int hashFunc = 5)
        {
            var answer = await Plugin.CallAsync(service, home.Folder, method, arguments, key, "m"u8.ToArray(), hashFunc, token ?? signer.Token);
            var text = RunsOwn().Replace(answer.GetProperty("errorMessage").GetString()!, "${what} ID");
            return Times().Replace(text, "TIME");
        }
    }

    private async Task CosignShowsAsync(TemporaryHome home, AccessKeyOf access, string key, JsonElement fault)
    {
        var file = Path.Combine(home.Folder, "app.tar.gz");
        await File.WriteAllTextAsync(file, "m", Cancellation);
        MustShow(fault, await OutsideProgram.RunAsync(
            Checkout.Tool("cosign-2.5"), ["sign-blob", "--yes", "--tlog-upload=false", "--key", $"awskms:///alias/{key}", file], home.Folder,
            cancellationToken: Cancellation, environment: access.Environment(service)));
    }

    private async Task AwsCliShowsAsync(TemporaryHome home, AccessKeyOf access, string key, JsonElement fault) => MustShow(fault, await OutsideProgram.RunAsync(
        Checkout.AwsCli, ["--endpoint-url", service.Url, "kms", "sign", "--key-id", $"alias/{key}", "--message", "AAAA", "--signing-algorithm", "ECDSA_SHA_256"], home.Folder,
        cancellationToken: Cancellation, environment: access.Environment(service)));

    /// <summary>The error's type and its words, wherever the program puts them.</summary>
    private static void MustShow(JsonElement fault, Ended ended)
    {
        var parts = Text(fault, "aws").Split("`: ");
        Assert.False(ended.Succeeded, $"{ended}");
        var errors = Times().Replace(RunsOwn().Replace(Arn().Replace(ended.Errors, "ARN"), "${what} ID"), "TIME");
        Assert.True(errors.Contains(parts[0].TrimStart('`'), StringComparison.Ordinal) && errors.Contains(parts[1], StringComparison.Ordinal), $"{parts[0]} {parts[1]}\n{ended}");
    }

    private static string Text(JsonElement fault, string client) => fault.GetProperty(client).GetString()!;

    [GeneratedRegex(@"arn:aws:kms:[\w-]+:\d+:(?:key/[0-9a-f-]{36}|alias/\w+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Arn();

    /// <summary>Audit and approval ids, and the address.</summary>
    [GeneratedRegex(@"(?<what>audit|asked for as|approvals show) [\w-]+", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex RunsOwn();

    [GeneratedRegex(@"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Times();
}
