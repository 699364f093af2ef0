using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace SignSvc.Operations.Tests;

/// <summary>
/// Whatever keeps the service from serving is said in a few lines, with what it is and what to do, and exit code 1; never
/// by a stack trace, on either stream. What can be known beforehand leaves no data folder behind.
/// </summary>
public sealed class StartFaultTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("signsvc-start-fault-").FullName;
    private readonly TcpListener _taken = new(IPAddress.Loopback, 0);
    private readonly int _free = FreePort.Next();

    public StartFaultTests()
    {
        _taken.Start();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=signsvc", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        Write("certificate.pem", certificate.ExportCertificatePem());
        Write("other.key", other.ExportPkcs8PrivateKeyPem());
        File.WriteAllBytes(In("certificate.p12"), certificate.Export(X509ContentType.Pkcs12, "right"));
        Write("garbage", "garbage\n");
        Write("comma.json", "{\n  \"SignSvc\": {\n    \"Node\": \"a\",,\n  }\n}\n");
        Write("cut.json", "{\n  \"SignSvc\": {\n");
        Write("twice.json", """{"SignSvc":{"Node":"a","Node":"b"}}""");
        Write("list.json", "[1]");
    }

    public static TheoryData<string, string[], string[]> KnownBeforehand() => new()
    {
        { "", ["ASPNETCORE_URLS=http://127.0.0.1:TAKEN"], ["ASPNETCORE_URLS: http://127.0.0.1:TAKEN is in use", "ss -ltnp sport = :TAKEN"] },
        { "", ["ASPNETCORE_URLS=http://*:TAKEN"], ["http://*:TAKEN is in use"] },
        { "", ["ASPNETCORE_URLS=http://localhost:TAKEN"], ["http://localhost:TAKEN is in use"] },
        { "tour FOLDER/garbage", ["ASPNETCORE_URLS=http://127.0.0.1:TAKEN"], ["is in use"] },
        { "", ["SignSvc__Grpc__Url=http://127.0.0.1:TAKEN"], ["SignSvc__Grpc__Url: http://127.0.0.1:TAKEN is in use"] },
        { "", ["ASPNETCORE_URLS=http://203.0.113.7:FREE"], ["is no address of this machine", "ip address"] },
        { "", ["ASPNETCORE_URLS=nonsense"], ["'nonsense' is not an address"] },
        { "", ["ASPNETCORE_URLS=;"], ["names no address"] },
        { "", ["ASPNETCORE_URLS=http://unix:FOLDER/none/socket"], ["FOLDER/none/socket", "its folder is not there"] },
        { "", ["ASPNETCORE_URLS=http://unix:FOLDER/garbage"], ["FOLDER/garbage is there already and is no socket"] },
        { "", ["SignSvc__Kubernetes__Socket=FOLDER/none/socket"], ["SignSvc__Kubernetes__Socket: FOLDER/none/socket", "its folder is not there"] },
        { "", ["ASPNETCORE_URLS=", "Kestrel__Endpoints__A__Url=nonsense"], ["Kestrel__Endpoints__A__Url: 'nonsense' is not an address"] },
        { "", ["SignSvc__KnownBadKeysFile=FOLDER/garbage"], ["FOLDER/garbage cannot be used: line 1"] },
        { "", ["SignSvc__Access__ClientCertificates__CaFile=FOLDER/garbage"], ["CaFile holds no self-signed certificate"] },
        { "", ["SignSvc__Access__ClientCertificates__CaFile=FOLDER/certificate.pem", "SignSvc__Access__ClientCertificates__CrlFile=FOLDER/garbage"], ["revocation list"] },
        { "", ["OTEL_EXPORTER_OTLP_ENDPOINT=nonsense"], ["OTEL_EXPORTER_OTLP_ENDPOINT"] },
        { "", ["SignSvc__Telemetry__OtlpEndpoint=http://127.0.0.1:9", "SignSvc__Telemetry__OtlpHeadersFile=FOLDER/garbage"], ["OtlpHeadersFile holds name=value"] },
        { "", ["SignSvc__Store__Postgres=Host=db;Password=secret;word"], ["Store:Postgres cannot be read"] },
        { "", ["SIGNSVC_SETTINGS=FOLDER/none.json"], ["SIGNSVC_SETTINGS", "FOLDER/none.json"] },
        { "tour", [], ["tour needs a file"] },
        { "--chek", [], ["--chek is not known here", "usage: SignSvc"] },
    };

    /// <summary>What <c>--check</c> has to say just as a start does.</summary>
    public static TheoryData<string[], string[]> Settings() => new()
    {
        { ["ASPNETCORE_URLS=https://127.0.0.1:FREE"], ["https://127.0.0.1:FREE needs a certificate", "Kestrel__Certificates__Default__Path"] },
        { ["SignSvc__Grpc__Url=https://127.0.0.1:FREE"], ["SignSvc__Grpc__Url: https://127.0.0.1:FREE needs a certificate"] },
        { ["ASPNETCORE_URLS=", "Kestrel__Endpoints__A__Url=https://127.0.0.1:FREE"], ["Kestrel__Endpoints__A__Url: https://127.0.0.1:FREE needs a certificate"] },
        { ["Kestrel__Certificates__Default__Path=FOLDER/certificate.pem", "Kestrel__Certificates__Default__KeyPath=FOLDER/other.key"], ["FOLDER/certificate.pem cannot be served", "KeyPath"] },
        { ["Kestrel__Certificates__Default__Path=FOLDER/certificate.p12", "Kestrel__Certificates__Default__Password=wrong"], ["FOLDER/certificate.p12 cannot be served", "Password"] },
        { ["ASPNETCORE_URLS=http://127.0.0.1:FREE", "SignSvc__Grpc__Url=http://localhost:FREE"], ["SignSvc__Grpc__Url: http://localhost:FREE and ASPNETCORE_URLS: http://127.0.0.1:FREE are the same address"] },
        { ["ASPNETCORE_URLS=http://*:FREE;http://127.0.0.1:FREE"], ["are the same address"] },
        { ["ASPNETCORE_URLS=http://127.0.0.1:FREE", "Kestrel__Endpoints__A__Url=http://0.0.0.0:FREE"], ["Kestrel__Endpoints__A__Url: http://0.0.0.0:FREE and ASPNETCORE_URLS"] },
        { ["ASPNETCORE_URLS=http://unix:FOLDER/s", "SignSvc__Kubernetes__Socket=FOLDER/s"], ["SignSvc__Kubernetes__Socket", "are the same address"] },
        { ["SIGNSVC_SETTINGS=FOLDER/comma.json"], ["FOLDER/comma.json", "line 3, position 17"] },
        { ["SIGNSVC_SETTINGS=FOLDER/cut.json"], ["FOLDER/cut.json", "line 3, position 1"] },
        { ["SIGNSVC_SETTINGS=FOLDER/twice.json"], ["FOLDER/twice.json", "duplicate key 'SignSvc:Node'"] },
        { ["SIGNSVC_SETTINGS=FOLDER/list.json"], ["FOLDER/list.json", "must be an object"] },
        {
            ["SignSvc__Backends__Pkcs11__ModulePath=FOLDER/garbage", "SignSvc__Backends__Pkcs11__Tokens__0__Label=a", "SignSvc__Backends__Pkcs11__Tokens__0__PinFile=FOLDER/no-pin"],
            ["The PKCS#11 module FOLDER/garbage cannot be loaded", "Backends:Pkcs11:Tokens:0:PinFile: FOLDER/no-pin: cannot be read."]
        },
    };

    public static TheoryData<string, string[], string[]> MetLater() => new()
    {
        { "", ["SignSvc__Store__Postgres=Host=127.0.0.1;Port=9;Database=signsvc;Username=signsvc"], ["The connection to the database", "signsvc at 127.0.0.1, port 9", "SignSvc__Store__Postgres"] },
        { "restore FOLDER/garbage", [], ["There is no root key in FOLDER/data"] },
        { "restore --check FOLDER/garbage", [], ["There is no root key in FOLDER/data"] },
        // One that only Kestrel knows of, when everything else has been started.
        { "", ["ASPNETCORE_URLS=", "Kestrel__Endpoints__A__Url=https://127.0.0.1:FREE", "Kestrel__Endpoints__A__Certificate__Path=FOLDER/garbage"], ["SignSvc does not know this fault", "SIGNSVC_START_TRACE=1"] },
    };

    [Theory]
    [MemberData(nameof(KnownBeforehand))]
    public async Task What_can_be_known_beforehand_is_said_before_anything_is_made(string arguments, string[] settings, string[] words)
    {
        await MustEndAsync(Split(arguments), settings, words);
        Assert.False(Directory.Exists(In("data")));
    }

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task A_check_says_what_a_start_would(string[] settings, string[] words)
    {
        await MustEndAsync(["--check"], settings, words);
        await MustEndAsync([], settings, words);
        Assert.False(Directory.Exists(In("data")));
    }

    [Theory]
    [MemberData(nameof(MetLater))]
    public async Task What_the_start_meets_later_is_said_as_plainly(string arguments, string[] settings, string[] words) =>
        await MustEndAsync(Split(arguments), settings, words);

    [Fact]
    public async Task A_check_warns_of_a_port_in_use_and_calls_the_settings_good()
    {
        var ended = await RunAsync(["--check"], ["ASPNETCORE_URLS=http://127.0.0.1:TAKEN"]);
        Assert.Equal(0, ended.ExitCode);
        Assert.StartsWith("Warning: ", ended.Error, StringComparison.Ordinal);
        Assert.Contains(Filled("http://127.0.0.1:TAKEN is in use"), ended.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Who_asks_for_it_sees_where_an_unknown_fault_came_up()
    {
        var ended = await RunAsync(
            [], ["SIGNSVC_START_TRACE=1", "ASPNETCORE_URLS=", "Kestrel__Endpoints__A__Url=https://127.0.0.1:FREE", "Kestrel__Endpoints__A__Certificate__Path=FOLDER/garbage"]);
        Assert.Equal(1, ended.ExitCode);
        Assert.Contains("   at ", ended.Error, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _taken.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task MustEndAsync(string[] arguments, string[] settings, string[] words)
    {
        var ended = await RunAsync(arguments, settings);
        Assert.True(ended.ExitCode == 1, ended.ToString());
        Assert.StartsWith(Failed(arguments) + "\n", ended.Error, StringComparison.Ordinal);
        foreach (var word in words)
            Assert.Contains(Filled(word), ended.Error, StringComparison.Ordinal);
        Assert.Empty(ended.Output);
        Assert.DoesNotContain("   at ", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", ended.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", ended.Error, StringComparison.Ordinal);
        Assert.InRange(ended.Error.TrimEnd().Split('\n').Length, 2, 12);
    }

    /// <summary>Who did not ask for a start does not hear of one.</summary>
    private static string Failed(string[] arguments) => arguments switch
    {
        ["restore", "--check", ..] => "The backup is not proven whole.",
        ["restore", ..] => "Nothing was restored.",
        ["--check"] => "A start would fail.",
        _ => "SignSvc did not start.",
    };

    private Task<Ended> RunAsync(string[] arguments, string[] settings)
    {
        // As if nobody had named anything: ports that the system chooses, so that what runs beside this test is no fault.
        string[] all = ["ASPNETCORE_URLS=http://127.0.0.1:0", "SignSvc__Grpc__Url=http://127.0.0.1:0", $"SIGNSVC_DATA={In("data")}", .. settings];
        var environment = all.Select(Filled).Select(s => s.Split('=', 2)).GroupBy(s => s[0], StringComparer.Ordinal).ToDictionary(s => s.Key, s => s.Last()[1], StringComparer.Ordinal);
        return Outside.RunAsync("see README.md", "dotnet", [Outside.Service, .. arguments.Select(Filled)], environment);
    }

    private string Filled(string text) => text
        .Replace("TAKEN", $"{((IPEndPoint)_taken.LocalEndpoint).Port}", StringComparison.Ordinal)
        .Replace("FREE", $"{_free}", StringComparison.Ordinal)
        .Replace("FOLDER", _folder, StringComparison.Ordinal);

    private static string[] Split(string arguments) => arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private string In(string name) => Path.Combine(_folder, name);

    private void Write(string name, string content) => File.WriteAllText(In(name), content);
}
