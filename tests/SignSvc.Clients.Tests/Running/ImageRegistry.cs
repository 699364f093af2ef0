using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

[assembly: AssemblyFixture(typeof(SignSvc.Clients.Tests.Running.ImageRegistry))]

namespace SignSvc.Clients.Tests.Running;

/// <summary>Debian's docker-registry on a free port, with a folder of its own. One serves all tests.</summary>
public sealed class ImageRegistry : IAsyncLifetime
{
    private const string Program = "/usr/bin/docker-registry";
    private const string ManifestType = "application/vnd.oci.image.manifest.v1+json";
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
        Address = $"127.0.0.1:{FreePort()}";
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

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, port: 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
