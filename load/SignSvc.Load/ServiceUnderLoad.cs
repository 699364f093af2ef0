using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Text;

namespace SignSvc.Load;

/// <summary>A service process of our own, on a data folder of its own, on loopback.</summary>
public sealed class ServiceUnderLoad : IAsyncDisposable
{
    private const string Ready = "SignSvc serves ";

    private readonly Process _process;
    private readonly string _folder;
    private readonly HttpClient _http;

    private ServiceUnderLoad(Process process, string folder, Uri address)
    {
        _process = process;
        _folder = folder;
        _http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 1024, UseProxy = false }) { BaseAddress = address };
        _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(
            "Bearer", File.ReadAllText(Path.Combine(folder, "bootstrap.credential")));
    }

    public TimeSpan StartToFirstSignature { get; private set; }

    public static HttpRequestMessage Sign() => Post(
        "/v1/keys/release/sign",
        $$"""{"digest":"{{Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32))}}","algorithm":"ES256"}""");

    public static HttpRequestMessage Token() => Post(
        "/v1/tokens", """{"profile":"default","subject":"build-42","audience":"api://deploy","lifetimeSeconds":300,"claims":{"env":"prod"}}""");

    public static HttpRequestMessage TokenBatch() => Post("/v1/tokens/batch", BatchJson);

    public static HttpRequestMessage KeySet() => new(HttpMethod.Get, "/.well-known/jwks.json");

    public static async Task<ServiceUnderLoad> StartAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("signsvc-load-").FullName;
        var started = time.GetTimestamp();
        var process = Process.Start(new ProcessStartInfo("dotnet", [ServiceAssembly()])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            Environment =
            {
                ["SIGNSVC_DATA"] = folder,
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                ["SignSvc__Grpc__Url"] = "http://127.0.0.1:0",
                ["SignSvc__PrintBootstrapCredential"] = "false",
            },
        })!;
        var line = "";
        while (!line.StartsWith(Ready, StringComparison.Ordinal))
            line = await process.StandardOutput.ReadLineAsync(cancellationToken) ?? throw new InvalidOperationException("The service did not start.");
        var address = new Uri(line[Ready.Length..line.IndexOf(';', StringComparison.Ordinal)]);
        _ = process.StandardOutput.ReadToEndAsync(cancellationToken);

        var service = new ServiceUnderLoad(process, folder, address);
        await service.SendAsync(Sign, cancellationToken);
        service.StartToFirstSignature = time.GetElapsedTime(started);
        return service;
    }

    public async Task<Round> RunAsync(
        string name, Func<HttpRequestMessage> request, LoadOptions options, CancellationToken cancellationToken)
    {
        await CallAsync(request, options with { Seconds = 1 }, cancellationToken);
        _process.Refresh();
        var cpuBefore = _process.TotalProcessorTime;
        var started = Stopwatch.GetTimestamp();
        var (latencies, failures) = await CallAsync(request, options, cancellationToken);
        var elapsed = Stopwatch.GetElapsedTime(started);
        _process.Refresh();
        var cpu = _process.TotalProcessorTime - cpuBefore;
        latencies.Sort();
        var signatures = latencies.Count * (request == TokenBatch ? 1000L : 1L);
        return new Round(name, latencies.Count, signatures, failures, elapsed, cpu, At(latencies, 0.50), At(latencies, 0.99));
    }

    public long ResidentBytes()
    {
        _process.Refresh();
        return _process.WorkingSet64;
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private static readonly string BatchJson =
        $$"""{"profile":"default","items":[{{string.Join(',', Enumerable.Range(0, 1000).Select(i => $$"""{"subject":"build-{{i}}","audience":"api://deploy"}"""))}}]}""";

    private static HttpRequestMessage Post(string path, string json) =>
        new(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") };

    private static double At(List<double> sorted, double share) =>
        sorted.Count == 0 ? double.NaN : sorted[Math.Min(sorted.Count - 1, (int)(sorted.Count * share))];

    private static string ServiceAssembly()
    {
        var own = AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar);
        var configuration = Path.GetFileName(Path.GetDirectoryName(own)!);
        return Path.GetFullPath(Path.Combine(own, "../../../../../src/SignSvc/bin", configuration, "net10.0", "SignSvc.dll"));
    }

    private async Task<(List<double> Milliseconds, long Failures)> CallAsync(
        Func<HttpRequestMessage> request, LoadOptions options, CancellationToken cancellationToken)
    {
        var end = Stopwatch.GetTimestamp() + (options.Seconds * Stopwatch.Frequency);
        var callers = Enumerable.Range(0, options.Connections).Select(async _ =>
        {
            var latencies = new List<double>();
            var failures = 0L;
            while (Stopwatch.GetTimestamp() < end)
            {
                var sent = Stopwatch.GetTimestamp();
                if (await SendAsync(request, cancellationToken))
                    latencies.Add(Stopwatch.GetElapsedTime(sent).TotalMilliseconds);
                else
                    failures++;
            }

            return (latencies, failures);
        });
        var results = await Task.WhenAll(callers);
        return (results.SelectMany(r => r.latencies).ToList(), results.Sum(r => r.failures));
    }

    private async Task<bool> SendAsync(Func<HttpRequestMessage> request, CancellationToken cancellationToken)
    {
        using var message = request();
        using var response = await _http.SendAsync(message, cancellationToken);
        await response.Content.CopyToAsync(Stream.Null, cancellationToken);
        return response.StatusCode is HttpStatusCode.OK or HttpStatusCode.Created;
    }
}
