using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Callers.Tests;

/// <summary>A service that serves TLS and trusts the client certificates of one CA, by files that tests may change.</summary>
public sealed class MtlsService : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-mtls-").FullName;
    private ServiceProcess? _process;

    public TestAuthority Root { get; } = new("CN=Root");

    /// <summary>Nobody's but the server's own certificate is of this one.</summary>
    public TestAuthority Other { get; } = new("CN=Other root");

    public ServiceProcess Process => _process!;

    public string CaFile => Path.Combine(_folder, "ca.pem");

    public string CrlFile => Path.Combine(_folder, "crl.pem");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var server = Path.Combine(_folder, "server.pfx");
        var certificate = Other.Issue(new CertificateWish { Subject = "CN=localhost", Dns = ["localhost"], Usages = ["1.3.6.1.5.5.7.3.1"] });
        await File.WriteAllBytesAsync(server, certificate.Export(X509ContentType.Pkcs12), Cancellation);
        await File.WriteAllTextAsync(CaFile, Root.Pem, Cancellation);
        await File.WriteAllTextAsync(CrlFile, Root.RevocationList(TimeSpan.FromHours(1)), Cancellation);
        var environment = CallersService.Variables(
            ("ClientCertificates:CaFile", CaFile), ("ClientCertificates:CrlFile", CrlFile),
            ("ClientCertificates:Roles:0:Role", "Signer"),
            ("ClientCertificates:Roles:0:When:0:Claim", "spiffe.id"), ("ClientCertificates:Roles:0:When:0:Values:0", "spiffe://acme.example/ns/ci/*"));
        environment["ASPNETCORE_URLS"] = "https://127.0.0.1:0";
        environment["SignSvc__Grpc__Url"] = "";
        environment["Kestrel__Certificates__Default__Path"] = server;
        environment["Kestrel__Certificates__Default__Password"] = "";
        _process = await ServiceProcess.StartAsync(new ServiceOptions { Environment = environment });
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    public HttpClient Client(X509Certificate2? certificate, params X509Certificate2[] chain) =>
        new(Handler(certificate, chain)) { BaseAddress = Process.Url };

    public static SocketsHttpHandler Handler(X509Certificate2? certificate, params X509Certificate2[] chain)
    {
        var handler = new SocketsHttpHandler { UseProxy = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, server, _, _) => server is X509Certificate2 { Subject: "CN=localhost" };
        if (certificate is not null)
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(certificate, [.. chain], offline: true);
        return handler;
    }

    public static async Task UntilAsync(HttpClient client, int status)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while ((await client.GetJsonAsync("/v1/whoami")).Code != status)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, patience.Token);
    }

    public async Task UntilLoggedAsync(string words)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!Process.Output.Contains(words, StringComparison.Ordinal))
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, patience.Token);
    }
}
