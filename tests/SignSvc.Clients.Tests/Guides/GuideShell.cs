using System.Security.Cryptography;
using SignSvc.Clients.Tests.Running;

namespace SignSvc.Clients.Tests.Guides;

/// <summary>A folder where a guide's reader works: cosign and signsvc on the PATH, the service and an image of its own in the environment.</summary>
internal sealed class GuideShell : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-guide-");
    private readonly Dictionary<string, string> _environment;

    private GuideShell(RunningService service, string plugin, string image)
    {
        Image = image;
        _environment = new(Plugin.Environment(plugin, service, service.Token, Folder), StringComparer.Ordinal)
        {
            ["PATH"] = $"{At("bin")}:{plugin}:{Environment.GetEnvironmentVariable("PATH")}",
            ["NO_PROXY"] = "127.0.0.1",
        };
        Directory.CreateDirectory(At("bin"));
        Directory.CreateDirectory(At("dist"));
    }

    public string Folder => _folder.FullName;

    /// <summary>By digest.</summary>
    public string Image { get; }

    public string Repository => Image[..Image.IndexOf('@', StringComparison.Ordinal)];

    public string Digest => Image[(Image.IndexOf('@', StringComparison.Ordinal) + 1)..];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<GuideShell> OpenAsync(RunningService service, ImageRegistry registry)
    {
        var shell = new GuideShell(service, await Plugin.FolderAsync(), await registry.PushAsync("team/app", Cancellation));
        shell.UseCosign("cosign-3.1");
        await shell.WriteAsync("release.pub", await service.GetTextAsync("/v1/keys/release/public-key", Cancellation));
        return shell;
    }

    public void Dispose() => _folder.Delete(recursive: true);

    public string At(string name) => Path.Combine(Folder, name);

    public Task WriteAsync(string name, string text) => File.WriteAllTextAsync(At(name), text, Cancellation);

    public Task WriteRandomAsync(string name) => File.WriteAllBytesAsync(At(name), RandomNumberGenerator.GetBytes(10_000), Cancellation);

    /// <summary>Which version the guide's <c>cosign</c> is.</summary>
    public void UseCosign(string version)
    {
        File.Delete(At("bin/cosign"));
        File.CreateSymbolicLink(At("bin/cosign"), Checkout.Tool(version));
    }

    public GuideShell Set(string variable, string? value)
    {
        if (value is null)
            _environment.Remove(variable);
        else
            _environment[variable] = value;
        return this;
    }

    /// <summary>As pipelines run a script: the first command that fails ends it.</summary>
    public Task<Ended> RunAsync(string script) => OutsideProgram.RunAsync(
        "/bin/bash", ["-eo", "pipefail", "-c", script], Folder, _environment, cancellationToken: Cancellation);

    public async Task MustRunAsync(string script)
    {
        var ended = await RunAsync(script);
        Assert.True(ended.Succeeded, $"{ended}");
    }
}
