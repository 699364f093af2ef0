using System.Diagnostics;
using Amazon.Runtime;
using SignSvc.Backends.AwsKms.Tests.Moto;
using SignSvc.Tests.Shared;

[assembly: AssemblyFixture(typeof(MotoServer))]

namespace SignSvc.Backends.AwsKms.Tests.Moto;

/// <summary>The unmodified <c>moto_server</c>, in a process of its own, started when a test first asks for it.</summary>
public sealed class MotoServer : IAsyncDisposable
{
    public const string Region = "eu-central-1";

    /// <summary>It imports all of boto before it serves.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Lazy<Task<Uri>> _uri;
    private Process? _process;

    public MotoServer() => _uri = new Lazy<Task<Uri>>(StartAsync);

    public Task<Uri> UriAsync() => _uri.Value;

    /// <summary>The backend as it is, in moto's one account.</summary>
    public async Task<AwsKmsBackend> OpenAsync(Action<AwsKmsOptions>? change = null)
    {
        // It looks for the primes of a long RSA key while the call waits.
        var options = new AwsKmsOptions { Region = Region, Installation = "moto", ServiceUrl = await UriAsync(), CallTimeoutMilliseconds = 120_000 };
        change?.Invoke(options);
        return AwsKmsBackend.Open("aws-kms", options, new MemoryIntents(), TimeProvider.System, new BasicAWSCredentials("any", "any"));
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is null)
            return;
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task<Uri> StartAsync()
    {
        var uri = new Uri($"http://127.0.0.1:{FreePort.Next()}/");
        _process = Process.Start(new ProcessStartInfo(Find(), ["-H", "127.0.0.1", "-p", $"{uri.Port}"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var from = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                using var answer = await client.GetAsync(uri);
                return uri;
            }
            catch (HttpRequestException) when (!_process.HasExited && TimeProvider.System.GetElapsedTime(from) < Patience)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
            }
        }
    }

    /// <summary>The one that tests/install-tools.sh installed, or the machine's.</summary>
    private static string Find()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "SignSvc.sln")))
            root = root.Parent;
        var tools = Environment.GetEnvironmentVariable("SIGNSVC_TOOLS") is { Length: > 0 } named ? named : Path.Combine(root?.FullName ?? "", ".tools");
        return (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')
            .Prepend(Path.Combine(tools, "moto", "bin"))
            .Select(folder => Path.Combine(folder, "moto_server"))
            .FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException("moto_server is missing: run tests/install-tools.sh, or pip install 'moto[server]==5.2.1'");
    }
}
