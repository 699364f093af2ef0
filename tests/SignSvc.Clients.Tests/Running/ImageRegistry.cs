using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

[assembly: AssemblyFixture(typeof(SignSvc.Clients.Tests.Running.ImageRegistry))]

namespace SignSvc.Clients.Tests.Running;

/// <summary>Debian's docker-registry on a free port, with a folder of its own. One serves all tests.</summary>
public sealed class ImageRegistry : IAsyncLifetime
{
    private const string Program = "/usr/bin/docker-registry";
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";
    private const string IndexType = "application/vnd.oci.image.index.v1+json";
    private const string ConfigType = "application/vnd.oci.image.config.v1+json";

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("signsvc-registry-");
    private readonly HttpClient _http = new();
    private Process? _process;

    /// <summary>Host and port.</summary>
    public string Address { get; private set; } = "";

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Program))
            throw new FileNotFoundException($"{Program} is missing: run tests/install-tools.sh");
        Address = $"127.0.0.1:{FreePort.Next()}";
        var config = Path.Combine(_data.FullName, "config.yml");
        await File.WriteAllTextAsync(config, $$"""
            version: 0.1
            log:
              level: error
            storage:
              filesystem:
                rootdirectory: {{_data.FullName}}/images
            http:
              addr: {{Address}}
            """);
        _process = Process.Start(new ProcessStartInfo(Program, ["serve", config])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        _ = _process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        _ = _process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        using var limit = new CancellationTokenSource(StartLimit);
        while (!await AnswersAsync(limit.Token))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, limit.Token);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        if (_process is not null)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _data.Delete(recursive: true);
    }

    /// <summary>Pushes an image without layers, different from all others.</summary>
    /// <returns>Its reference by digest.</returns>
    public async Task<string> PushAsync(string repository, CancellationToken cancellationToken)
    {
        var config = Encoding.UTF8.GetBytes(
            $$$"""{"architecture":"amd64","os":"linux","author":"{{{RandomNumberGenerator.GetHexString(16)}}}","rootfs":{"type":"layers","diff_ids":[]},"config":{}}""");
        var manifest = Encoding.UTF8.GetBytes(
            $$$"""{"schemaVersion":2,"mediaType":"{{{ManifestType}}}","config":{"mediaType":"{{{ConfigType}}}","digest":"{{{DigestOf(config)}}}","size":{{{config.Length}}}},"layers":[]}""");
        var root = $"http://{Address}/v2/{repository}";
        using var begun = await _http.PostAsync(new Uri($"{root}/blobs/uploads/"), content: null, cancellationToken);
        begun.EnsureSuccessStatusCode();
        var upload = new UriBuilder(new Uri(new Uri(root), begun.Headers.Location!));
        upload.Query = $"{upload.Query}&digest={Uri.EscapeDataString(DigestOf(config))}".TrimStart('?', '&');
        await PutAsync(upload.Uri, config, "application/octet-stream", cancellationToken);
        await PutAsync(new Uri($"{root}/manifests/{DigestOf(manifest)}"), manifest, ManifestType, cancellationToken);
        return $"{Address}/{repository}@{DigestOf(manifest)}";
    }

    /// <summary>
    /// Gives one image what was signed of another: everything that cosign finds by the image's digest (<c>sha256-….sig</c>,
    /// <c>.att</c>, and the tag that stands for the referrers API).
    /// </summary>
    public async Task CopySignaturesAsync(string image, string other, CancellationToken cancellationToken)
    {
        var copied = 0;
        foreach (var suffix in (string[])["", ".sig", ".att"])
        {
            if (await FindAsync(TagOf(image, suffix), cancellationToken) is not { } found)
                continue;
            await PutAsync(TagOf(other, suffix), found.Content, found.Type, cancellationToken);
            copied++;
        }

        Assert.NotEqual(0, copied);
    }

    /// <summary>The Sigstore bundles that refer to an image.</summary>
    public async Task<IReadOnlyList<string>> BundlesOfAsync(string image, CancellationToken cancellationToken)
    {
        var bundles = new List<string>();
        if (await FindAsync(TagOf(image), cancellationToken) is not { } index)
            return bundles;
        foreach (var manifest in JsonElement.Parse(index.Content).GetProperty("manifests").EnumerateArray())
        {
            var read = await FindAsync(ManifestOf(image, manifest.GetProperty("digest").GetString()!), cancellationToken);
            var layer = JsonElement.Parse(read!.Value.Content).GetProperty("layers")[0];
            Assert.StartsWith("application/vnd.dev.sigstore.bundle", layer.GetProperty("mediaType").GetString(), StringComparison.Ordinal);
            var blob = new Uri($"{RepositoryOf(image)}/blobs/{layer.GetProperty("digest").GetString()}");
            bundles.Add(await _http.GetStringAsync(blob, cancellationToken));
        }

        return bundles;
    }

    /// <summary>The tag of the referrers of an image, where a registry has no API for them.</summary>
    private static Uri TagOf(string image, string suffix = "") =>
        ManifestOf(image, image[(image.IndexOf('@', StringComparison.Ordinal) + 1)..].Replace(':', '-') + suffix);

    private static Uri ManifestOf(string image, string reference) => new($"{RepositoryOf(image)}/manifests/{reference}");

    private static string RepositoryOf(string image)
    {
        var (host, path) = (image.IndexOf('/', StringComparison.Ordinal), image.IndexOf('@', StringComparison.Ordinal));
        return $"http://{image[..host]}/v2/{image[(host + 1)..path]}";
    }

    private async Task<(byte[] Content, string Type)?> FindAsync(Uri manifest, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, manifest);
        foreach (var type in (string[])[ManifestType, IndexType])
            request.Headers.Accept.ParseAdd(type);
        using var response = await _http.SendAsync(request, cancellationToken);
        return response.StatusCode == HttpStatusCode.NotFound
            ? null
            : (await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(cancellationToken), response.Content.Headers.ContentType!.MediaType!);
    }

    private static string DigestOf(byte[] content) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(content))}";

    private async Task PutAsync(Uri address, byte[] content, string type, CancellationToken cancellationToken)
    {
        using var body = new ByteArrayContent(content) { Headers = { ContentType = new MediaTypeHeaderValue(type) } };
        using var response = await _http.PutAsync(address, body, cancellationToken);
        Assert.True(response.IsSuccessStatusCode, $"PUT {address}: {response.StatusCode} {await response.Content.ReadAsStringAsync(cancellationToken)}");
    }

    private async Task<bool> AnswersAsync(CancellationToken cancellationToken)
    {
        if (_process!.HasExited)
            throw new InvalidOperationException($"docker-registry ended with {_process.ExitCode}.");
        try
        {
            using var response = await _http.GetAsync(new Uri($"http://{Address}/v2/"), cancellationToken);
            return response.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
