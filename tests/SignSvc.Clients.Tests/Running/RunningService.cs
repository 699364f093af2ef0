using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using SignSvc.Clients.Tests.Guides;
using SignSvc.Emulation;

[assembly: AssemblyFixture(typeof(SignSvc.Clients.Tests.Running.RunningService))]

namespace SignSvc.Clients.Tests.Running;

/// <summary>
/// The built service as a process of its own, with the backends <c>software</c>, <c>aws-kms</c> (the stand-in for AWS KMS) and
/// <c>pkcs11</c> (SoftHSM2). One serves all tests of this project.
/// </summary>
public sealed class RunningService : IAsyncLifetime
{
    /// <summary>The service's account at AWS; every secret fits.</summary>
    public const string KmsAccount = "111122223333";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-clients-");
    private KmsEmulator? _kms;
    private ServiceProcess? _process;

    /// <summary>Scheme, host and port, without a slash at the end: also the issuer of its tokens.</summary>
    public string Url => Process.Url.GetLeftPart(UriPartial.Authority);

    /// <summary>The administrator's bearer token.</summary>
    public string Token => Process.AdminToken.Trim();

    /// <summary>Speaks as the administrator of the first start.</summary>
    public HttpClient Admin => Process.Client;

    /// <summary>Makes the tokens of the pipelines that the guides let in.</summary>
    internal PipelineIssuer Issuer { get; } = new();

    /// <summary>Of the stand-in for AWS KMS.</summary>
    public string KmsUrl => (_kms ?? throw new InvalidOperationException("The stand-in for AWS KMS has not started yet.")).Uri.ToString();

    private ServiceProcess Process => _process ?? throw new InvalidOperationException("The service has not started yet.");

    private string TokenConfiguration => Path.Combine(_folder.FullName, "softhsm2.conf");

    public async ValueTask InitializeAsync()
    {
        await MakeTokenAsync();
        _kms = await KmsEmulator.StartAsync(new KmsEmulatorOptions(), TestContext.Current.CancellationToken);
        _kms.Quotas.Enforced = false;
        _process = await ServiceProcess.StartAsync(new ServiceOptions
        {
            Environment = new Dictionary<string, string>(await Issuer.SettingsAsync(_folder.FullName), StringComparer.Ordinal)
            {
                ["SignSvc__PrintBootstrapCredential"] = "false",
                ["SOFTHSM2_CONF"] = TokenConfiguration,
                ["SignSvc__Backends__Pkcs11__ModulePath"] = Checkout.SoftHsm,
                // Far above what a signature takes.
                ["SignSvc__Backends__Pkcs11__OperationDeadlineMilliseconds"] = "30000",
                ["SignSvc__Backends__Pkcs11__Tokens__0__Label"] = "clients",
                ["SignSvc__Backends__Pkcs11__Tokens__0__PinFile"] = Path.Combine(_folder.FullName, "pin"),
                ["AWS_ACCESS_KEY_ID"] = KmsAccount,
                ["AWS_SECRET_ACCESS_KEY"] = "any",
                ["SignSvc__Backends__AwsKms__default__Region"] = "eu-central-1",
                ["SignSvc__Backends__AwsKms__default__Installation"] = "clients",
                ["SignSvc__Backends__AwsKms__default__ServiceUrl"] = _kms.Uri.ToString(),
                // Management is unhurried by default.
                ["SignSvc__Backends__AwsKms__default__QuotaPerSecond__MANAGEMENT"] = "100",
            },
        });
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        if (_kms is not null)
            await _kms.DisposeAsync();
        Issuer.Dispose();
        _folder.Delete(recursive: true);
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

    /// <summary>A SoftHSM2 token of this service's own, for the backend pkcs11.</summary>
    private async Task MakeTokenAsync()
    {
        const string pin = "123456";
        var tokens = _folder.CreateSubdirectory("tokens");
        await File.WriteAllTextAsync(Path.Combine(_folder.FullName, "pin"), pin);
        await File.WriteAllTextAsync(
            TokenConfiguration, $"directories.tokendir = {tokens.FullName}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n");
        var made = await OutsideProgram.RunAsync(
            Checkout.SoftHsmUtil, ["--init-token", "--free", "--label", "clients", "--pin", pin, "--so-pin", "87654321"], _folder.FullName,
            environment: new Dictionary<string, string>(StringComparer.Ordinal) { ["SOFTHSM2_CONF"] = TokenConfiguration });
        if (!made.Succeeded)
            throw new InvalidOperationException($"{made}");
    }
}
