using System.Text.Json;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>npm's <c>@sigstore/bundle</c> and <c>@sigstore/verify</c>, which find the key by the bundle's hint alone.</summary>
internal static class JavaScriptVerifier
{
    /// <param name="artifact">The file that the bundle is of; null: the bundle holds a statement.</param>
    public static async Task MustAcceptAsync(CosignCase run, string bundle, string? artifact)
    {
        var (verdict, ended) = await VerifyAsync(run, bundle, artifact);
        Assert.True(verdict.GetProperty("accepted").GetBoolean(), $"{ended}");
    }

    /// <summary>Refused for its signature, not because it could not be read.</summary>
    public static async Task MustRefuseAsync(CosignCase run, string bundle, string? artifact)
    {
        var (verdict, ended) = await VerifyAsync(run, bundle, artifact);
        Assert.False(verdict.GetProperty("accepted").GetBoolean(), $"{ended}");
        Assert.Contains("SIGNATURE", verdict.GetProperty("reason").GetString(), StringComparison.OrdinalIgnoreCase);
    }

    private static async Task<(JsonElement Verdict, Ended Ended)> VerifyAsync(CosignCase run, string bundle, string? artifact)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var line = JsonSerializer.Serialize(new
        {
            id = "bundle",
            bundle = JsonElement.Parse(await File.ReadAllTextAsync(bundle, cancellation)),
            publicKey = await File.ReadAllTextAsync(run.PublicKey, cancellation),
            artifact = artifact is null ? null : await File.ReadAllBytesAsync(artifact, cancellation),
        });
        var ended = await OutsideProgram.RunAsync(Checkout.Node, [Checkout.Script("node", "verify-bundles.mjs")], run.Home, line, cancellation);
        Assert.True(ended.Succeeded, $"{ended}");
        return (JsonElement.Parse(ended.Output), ended);
    }
}
