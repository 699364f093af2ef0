using SignSvc.Clients.Tests.Compatibility;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Sigstore;

/// <summary>One of the two ways by which unmodified cosign comes to the service: what its keys are called there, and what it finds in its environment.</summary>
internal sealed class Door
{
    private readonly string _keyPrefix;
    private readonly Func<string, IReadOnlyDictionary<string, string>> _environment;

    private Door(string keyPrefix, Func<string, IReadOnlyDictionary<string, string>> environment)
    {
        _keyPrefix = keyPrefix;
        _environment = environment;
    }

    /// <param name="name"><c>plugin</c> or <c>awskms</c>.</param>
    public static async Task<Door> OpenAsync(string name, RunningService service, AccessKeyOf caller) =>
        name is "plugin" ? await PluginAsync(service, caller.Token) : AwsKms(service, caller);

    /// <summary><c>sigstore-kms-signsvc</c> on the PATH.</summary>
    public static async Task<Door> PluginAsync(RunningService service, string token)
    {
        var folder = await Plugin.FolderAsync();
        Assert.True(File.Exists(Path.Combine(folder, "sigstore-kms-signsvc")));
        return new Door("signsvc://", home => Plugin.Environment(folder, service, token, home));
    }

    /// <summary>cosign as it comes, with an endpoint.</summary>
    public static Door AwsKms(RunningService service, AccessKeyOf caller) =>
        new("awskms:///alias/", _ => caller.Environment(service));

    public string KeyReference(string key) => _keyPrefix + key;

    /// <param name="home">cosign's own.</param>
    public IReadOnlyDictionary<string, string> Environment(string home) => _environment(home);
}
