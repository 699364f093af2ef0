using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;

[assembly: AssemblyFixture(typeof(SignSvc.Clients.Tests.Running.RunningService))]

namespace SignSvc.Clients.Tests.Running;

/// <summary>The built service on a data folder of its own and a free port. One serves all tests of this project.</summary>
public sealed partial class RunningService : IAsyncLifetime
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _data = Directory.CreateTempSubdirectory("signsvc-clients-");
    private Process? _process;

    /// <summary>Scheme, host and port, without a slash at the end: also the issuer of its tokens.</summary>
    public string Url { get; private set; } = "";

    /// <summary>The administrator's bearer token.</summary>
    public string Token { get; private set; } = "";

    /// <summary>Speaks as the administrator of the first start.</summary>
    public HttpClient Admin { get; } = new();

    public async ValueTask InitializeAsync()
    {
        await MakeTokenAsync();
        var start = new ProcessStartInfo("dotnet", [Checkout.Service])
        {
            UseShellExecute = false,
            WorkingDirectory = _data.FullName,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment =
            {
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
                ["SignSvc__Grpc__Url"] = "http://127.0.0.1:0",
                ["SIGNSVC_DATA"] = Path.Combine(_data.FullName, "data"),
                ["SignSvc__PrintBootstrapCredential"] = "false",
                ["SOFTHSM2_CONF"] = TokenConfiguration,
                ["SignSvc__Backends__Pkcs11__ModulePath"] = Checkout.SoftHsm,
                ["SignSvc__Backends__Pkcs11__Tokens__0__Label"] = "clients",
                ["SignSvc__Backends__Pkcs11__Tokens__0__PinFile"] = Path.Combine(_data.FullName, "pin"),
            },
        };
        _process = Process.Start(start)!;
        try
        {
            Url = await ReadAddressAsync(_process);
        }
        catch
        {
            _process.Kill(entireProcessTree: true);
            throw;
        }

        // Pipes that nobody reads fill up and stop the writer.
        _ = _process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        _ = _process.StandardError.BaseStream.CopyToAsync(Stream.Null);

        Token = (await File.ReadAllTextAsync(Path.Combine(_data.FullName, "data", "bootstrap.credential"))).Trim();
        Admin.BaseAddress = new Uri(Url);
        Admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", Token);
    }

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        if (_process is not null)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _data.Delete(recursive: true);
    }

    public Task<JsonElement> PostAsync(string path, object body, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Post, path, body, cancellationToken);

    public Task<JsonElement> PutAsync(string path, object body, CancellationToken cancellationToken) =>
        SendAsync(HttpMethod.Put, path, body, cancellationToken);

    public Task<string> GetTextAsync(string path, CancellationToken cancellationToken) => Admin.GetStringAsync(path, cancellationToken);

    private async Task<JsonElement> SendAsync(HttpMethod method, string path, object body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Content = JsonContent.Create(body);
        using var response = await Admin.SendAsync(request, cancellationToken);
        var text = await response.Content.ReadAsStringAsync(cancellationToken);
        if (response.StatusCode is not (HttpStatusCode.OK or HttpStatusCode.Created))
            throw new HttpRequestException($"{method} {path} answered {response.StatusCode}: {text}");
        return JsonElement.Parse(text);
    }

    private string TokenConfiguration => Path.Combine(_data.FullName, "softhsm2.conf");

    /// <summary>A SoftHSM2 token of this service's own, for the backend pkcs11.</summary>
    private async Task MakeTokenAsync()
    {
        const string pin = "123456";
        var tokens = _data.CreateSubdirectory("tokens");
        await File.WriteAllTextAsync(Path.Combine(_data.FullName, "pin"), pin);
        await File.WriteAllTextAsync(
            TokenConfiguration, $"directories.tokendir = {tokens.FullName}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");
        var made = await OutsideProgram.RunAsync(
            Checkout.SoftHsmUtil, ["--init-token", "--free", "--label", "clients", "--pin", pin, "--so-pin", "87654321"], _data.FullName,
            environment: new Dictionary<string, string>(StringComparer.Ordinal) { ["SOFTHSM2_CONF"] = TokenConfiguration });
        if (!made.Succeeded)
            throw new InvalidOperationException($"{made}");
    }

    private static async Task<string> ReadAddressAsync(Process process)
    {
        using var limit = new CancellationTokenSource(StartLimit);
        while (await process.StandardOutput.ReadLineAsync(limit.Token) is { } line)
        {
            if (Serves().Match(line) is { Success: true } serves)
                return serves.Groups["url"].Value;
        }

        throw new InvalidOperationException($"The service did not start: {await process.StandardError.ReadToEndAsync(limit.Token)}");
    }

    [GeneratedRegex(@"^SignSvc serves (?<url>http://127\.0\.0\.1:\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Serves();
}
