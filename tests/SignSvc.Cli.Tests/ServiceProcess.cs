using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;

[assembly: AssemblyFixture(typeof(SignSvc.Cli.Tests.ServiceProcess))]

namespace SignSvc.Cli.Tests;

/// <summary>One real service for all tests: its own process, port and data folder.</summary>
public sealed partial class ServiceProcess : IAsyncLifetime
{
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();
    private Process? _process;

    public string Url { get; private set; } = "";

    public string Data => _folder.At("data");

    public string Token => File.ReadAllText(Path.Combine(Data, "bootstrap.credential")).Trim();

    public async ValueTask InitializeAsync()
    {
        var start = new ProcessStartInfo("dotnet", [BuiltPrograms.Service]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["SignSvc__Grpc__Url"] = "http://127.0.0.1:0";
        start.Environment["SIGNSVC_DATA"] = Data;
        _process = Process.Start(start)!;
        var errors = _process.StandardError.ReadToEndAsync();
        using var timeout = new CancellationTokenSource(StartTimeout);
        while (await _process.StandardOutput.ReadLineAsync(timeout.Token) is { } line)
        {
            if (ServesLine().Match(line) is { Success: true } match)
            {
                Url = match.Groups["url"].Value;
                _ = _process.StandardOutput.ReadToEndAsync(CancellationToken.None);
                return;
            }
        }

        throw new InvalidOperationException($"The service did not start: {await errors}");
    }

    /// <summary>Asks the service itself, past the command line.</summary>
    public async Task<byte[]> GetAsync(string path)
    {
        using var http = new HttpClient();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
        return await http.GetByteArrayAsync(new Uri(Url + path), TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _folder.Dispose();
    }

    [GeneratedRegex("^SignSvc serves (?<url>http://[^ ;]+)", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ServesLine();
}
