using System.Text.Json;

namespace SignSvc.Clients.Tests.Running;

/// <summary><c>sigstore-kms-signsvc</c> as it is published for users. The script publishes it again only where its sources have changed.</summary>
internal static class Plugin
{
    private static readonly Lazy<Task<string>> Published = new(PublishAsync);

    /// <summary>The folder to put first on PATH.</summary>
    public static Task<string> FolderAsync() => Published.Value;

    public static async Task<string> SignsvcAsync() => Path.Combine(await FolderAsync(), "signsvc");

    /// <summary>What cosign and signsvc find in their environment: the service and whoever calls it.</summary>
    public static IReadOnlyDictionary<string, string> Environment(string plugin, RunningService service, string token, string home) =>
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["PATH"] = $"{plugin}:{System.Environment.GetEnvironmentVariable("PATH")}",
            ["SIGNSVC_URL"] = service.Url,
            ["SIGNSVC_TOKEN"] = token,
            ["XDG_CACHE_HOME"] = Path.Combine(home, "cache"),
            ["XDG_CONFIG_HOME"] = Path.Combine(home, "config"),
            ["COSIGN_PASSWORD"] = "",
        };

    /// <summary>One call of the plugin protocol, as cosign makes it.</summary>
    /// <param name="token">Null: the administrator's.</param>
    public static async Task<JsonElement> CallAsync(
        RunningService service, string home, string method, object arguments, string key, byte[]? input = null, int hashFunc = 5, string? token = null)
    {
        var call = new Dictionary<string, object>(StringComparer.Ordinal)
        {
            ["initOptions"] = new { protocolVersion = "v1", keyResourceID = key, hashFunc, rpcOptions = new { keyVersion = "", remoteVerification = false } },
            ["methodName"] = method,
            [method] = arguments,
        };
        var ended = await OutsideProgram.RunAsync(
            Path.Combine(await FolderAsync(), "sigstore-kms-signsvc"), ["v1", JsonSerializer.Serialize(call)], home,
            Environment(await FolderAsync(), service, token ?? service.Token, home), input, cancellationToken: TestContext.Current.CancellationToken);
        Assert.True(ended.Output.Length > 0, $"{ended}");
        return JsonElement.Parse(ended.Output);
    }

    private static async Task<string> PublishAsync()
    {
        var folder = Path.Combine(Checkout.Root, ".tools", "plugin");
        var ended = await OutsideProgram.RunAsync(
            Path.Combine(Checkout.Root, "deploy", "cosign", "publish.sh"), [folder], Checkout.Root,
            // The user's own home: there the packages are.
            new Dictionary<string, string>(StringComparer.Ordinal) { ["HOME"] = System.Environment.GetFolderPath(System.Environment.SpecialFolder.UserProfile) },
            limit: TimeSpan.FromMinutes(10), cancellationToken: CancellationToken.None);
        return ended.Succeeded ? folder : throw new InvalidOperationException($"{ended}");
    }
}
