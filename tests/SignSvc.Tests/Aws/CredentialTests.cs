using System.Net;
using System.Net.Sockets;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Emulation;

namespace SignSvc.Tests.Aws;

/// <summary>
/// Credentials from wherever AWS users keep them. To the emulator an access key of 12 digits is one of that account, so
/// the account in which a key was made says whose credentials were used.
/// </summary>
public sealed class CredentialTests : IAsyncLifetime
{
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("signsvc-credentials-");
    private KmsEmulator _kms = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _kms = await KmsEmulator.StartAsync(cancellationToken: Cancel);
        _kms.Quotas.Enforced = false;
    }

    public async ValueTask DisposeAsync()
    {
        await _kms.DisposeAsync();
        _home.Delete(recursive: true);
    }

    [Fact]
    public Task From_the_environment() => MustMakeItsKeyInAsync("200000000001", new()
    {
        ["AWS_ACCESS_KEY_ID"] = "200000000001",
        ["AWS_SECRET_ACCESS_KEY"] = "any",
        ["AWS_SESSION_TOKEN"] = "session",
    });

    [Fact]
    public Task From_a_profile_that_the_settings_name() => MustMakeItsKeyInAsync("200000000002", new()
    {
        ["AWS_SHARED_CREDENTIALS_FILE"] = Write("credentials", "[default]\naws_access_key_id = 200000000009\naws_secret_access_key = any\n[signer]\naws_access_key_id = 200000000002\naws_secret_access_key = any\n"),
        ["SignSvc__Backends__AwsKms__default__Profile"] = "signer",
    });

    [Fact]
    public Task From_the_profile_of_AWS_PROFILE() => MustMakeItsKeyInAsync("200000000003", new()
    {
        ["AWS_SHARED_CREDENTIALS_FILE"] = Write("credentials", "[builds]\naws_access_key_id = 200000000003\naws_secret_access_key = any\n"),
        ["AWS_PROFILE"] = "builds",
    });

    /// <summary>As EKS puts it into a pod: IAM roles for service accounts.</summary>
    [Fact]
    public Task From_a_web_identity() => MustMakeItsKeyInAsync("200000000004", new()
    {
        ["AWS_WEB_IDENTITY_TOKEN_FILE"] = Write("token", "eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl"),
        ["AWS_ROLE_ARN"] = "arn:aws:iam::200000000004:role/signsvc",
        ["AWS_ROLE_SESSION_NAME"] = "signsvc",
        ["AWS_REGION"] = AwsService.Region,
        ["AWS_ENDPOINT_URL_STS"] = _kms.Uri.ToString(),
    });

    [Fact]
    public async Task From_the_role_of_a_container()
    {
        await using var server = new CredentialServer("200000000005");
        await MustMakeItsKeyInAsync("200000000005", new()
        {
            ["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = new Uri(server.Uri, "container").ToString(),
            ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = Write("token", CredentialServer.ContainerToken),
        });
        Assert.Contains("GET /container", server.Answered, StringComparer.Ordinal);
    }

    [Fact]
    public async Task From_the_role_of_an_instance()
    {
        await using var server = new CredentialServer("200000000006");
        await MustMakeItsKeyInAsync("200000000006", new()
        {
            ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = server.Uri.ToString().TrimEnd('/'),
            ["AWS_EC2_METADATA_DISABLED"] = "false",
        });
        Assert.Contains("PUT /latest/api/token", server.Answered, StringComparer.Ordinal);
    }

    [Fact]
    public Task From_a_role_assumed_with_those_of_the_environment() => MustMakeItsKeyInAsync("200000000007", new()
    {
        ["AWS_ACCESS_KEY_ID"] = "200000000001",
        ["AWS_SECRET_ACCESS_KEY"] = "any",
        ["SignSvc__Backends__AwsKms__default__RoleArn"] = "arn:aws:iam::200000000007:role/signsvc",
        ["SignSvc__Backends__AwsKms__default__RoleExternalId"] = "agreed",
    });

    [Fact]
    public async Task Without_any_the_refusal_says_so_and_nothing_is_made()
    {
        await using var service = await StartAsync(new() { ["AWS_EC2_METADATA_DISABLED"] = "true" });
        var answer = await service.Client.PostJsonAsync("/v1/keys", NewKey);
        answer.MustBeProblem(503, "backend-unavailable");
        Assert.Contains("No AWS credentials", answer["detail"], StringComparison.Ordinal);
        Assert.Equal(0, _kms.Calls["CreateKey"].Received);
    }

    /// <summary>What is asked of the proxy is where the calls would go.</summary>
    [Theory]
    [InlineData("us-east-1", "UseFipsEndpoint", "kms-fips.us-east-1.amazonaws.com:443")]
    [InlineData("us-gov-west-1", "UseFipsEndpoint", "kms-fips.us-gov-west-1.amazonaws.com:443")]
    [InlineData("eu-central-1", "UseDualStackEndpoint", "kms.eu-central-1.api.aws:443")]
    [InlineData("eu-central-1", "", "kms.eu-central-1.amazonaws.com:443")]
    public async Task Calls_go_to_the_endpoint_of_the_Region_that_the_settings_ask_for(string region, string option, string endpoint)
    {
        using var proxy = new TcpListener(IPAddress.Loopback, 0);
        proxy.Start();
        var asked = FirstConnectAsync(proxy);
        var environment = new Variables
        {
            ["AWS_ACCESS_KEY_ID"] = "200000000001",
            ["AWS_SECRET_ACCESS_KEY"] = "any",
            ["HTTPS_PROXY"] = $"http://127.0.0.1:{((IPEndPoint)proxy.LocalEndpoint).Port}",
            ["SignSvc__Backends__AwsKms__default__Region"] = region,
            ["SignSvc__Backends__AwsKms__default__Installation"] = "test",
        };
        if (option.Length > 0)
            environment[$"SignSvc__Backends__AwsKms__default__{option}"] = "true";
        await using var service = await ServiceProcess.StartAsync(new ServiceOptions { Environment = Bare(environment) });
        var answer = service.Client.PostJsonAsync("/v1/keys", NewKey);
        Assert.Equal($"CONNECT {endpoint} HTTP/1.1", await asked);
        Assert.True((await answer).Code >= 500);
    }

    private const string NewKey = """{"name":"made","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"ECC_NIST_P256"}""";

    private async Task MustMakeItsKeyInAsync(string account, Variables environment)
    {
        await using var service = await StartAsync(environment);
        await service.Client.MustPostAsync(201, "/v1/keys", NewKey);
        await service.Client.MustPostAsync(200, "/v1/keys/made/sign", """{"message":"AAAA"}""");
        using var view = new AmazonKeyManagementServiceClient(
            new BasicAWSCredentials(account, "any"),
            new AmazonKeyManagementServiceConfig { ServiceURL = _kms.Uri.ToString(), AuthenticationRegion = AwsService.Region });
        Assert.Single((await view.ListKeysAsync(new ListKeysRequest(), Cancel)).Keys);
    }

    private Task<ServiceProcess> StartAsync(Variables environment)
    {
        environment["SignSvc__Backends__AwsKms__default__Region"] = AwsService.Region;
        environment["SignSvc__Backends__AwsKms__default__Installation"] = "test";
        environment["SignSvc__Backends__AwsKms__default__ServiceUrl"] = _kms.Uri.ToString();
        return ServiceProcess.StartAsync(new ServiceOptions { Environment = Bare(environment) });
    }

    /// <summary>Nothing of this machine's user is found.</summary>
    private Variables Bare(Variables environment)
    {
        environment["HOME"] = _home.FullName;
        environment.TryAdd("AWS_EC2_METADATA_DISABLED", "true");
        return environment;
    }

    private string Write(string name, string content)
    {
        var path = Path.Combine(_home.FullName, name);
        File.WriteAllText(path, content);
        return path;
    }

    /// <summary>Reads the request line of the first connection, and refuses that and all others.</summary>
    private static async Task<string?> FirstConnectAsync(TcpListener proxy)
    {
        using var first = await proxy.AcceptTcpClientAsync(Cancel);
        using var reader = new StreamReader(first.GetStream());
        var line = await reader.ReadLineAsync(Cancel);
        proxy.Stop();
        return line;
    }

    private sealed class Variables() : Dictionary<string, string>(StringComparer.Ordinal);
}
