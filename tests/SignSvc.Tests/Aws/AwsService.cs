using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Emulation;

namespace SignSvc.Tests.Aws;

/// <summary>The whole service on an emulator of AWS KMS: one account, eu-central-1, a wrapping key.</summary>
public sealed class AwsService : IAsyncLifetime
{
    public const string Account = "111122223333";
    public const string Region = "eu-central-1";
    public const string Replica = "eu-west-1";

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-aws-");
    private ServiceProcess? _process;

    public KmsEmulator Emulator { get; private set; } = null!;

    public ServiceProcess Process => _process ?? throw new InvalidOperationException("The service has not started yet.");

    public HttpClient Admin => Process.Client;

    /// <summary>AWS's own view, as an administrator of the account has it.</summary>
    public AmazonKeyManagementServiceClient Kms => KmsIn(Region);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        // A port that is its own also while it is down.
        var url = new Uri($"http://127.0.0.1:{FreePort.Next()}");
        Emulator = await KmsEmulator.StartAsync(new KmsEmulatorOptions { Url = url, StateFile = Path.Combine(_folder.FullName, "kms.json") }, Cancel);
        Emulator.Quotas.Enforced = false;
        using var kms = Kms;
        var wrapping = await kms.CreateKeyAsync(new CreateKeyRequest(), Cancel);
        await kms.CreateAliasAsync("alias/signsvc-wrapping", wrapping.KeyMetadata.KeyId, Cancel);
        _process = await ServiceProcess.StartAsync(new ServiceOptions { Environment = Settings(Emulator.Uri) });
    }

    public AmazonKeyManagementServiceClient KmsIn(string region) => new(
        new BasicAWSCredentials(Account, "any"),
        new AmazonKeyManagementServiceConfig { ServiceURL = Emulator.Uri.ToString(), AuthenticationRegion = region });

    /// <summary>Management is unhurried by default; tests make keys by the dozen.</summary>
    public static Dictionary<string, string> Settings(Uri kms) => new(StringComparer.Ordinal)
    {
        ["AWS_ACCESS_KEY_ID"] = Account,
        ["AWS_SECRET_ACCESS_KEY"] = "any",
        ["SignSvc__Backends__AwsKms__default__Region"] = Region,
        ["SignSvc__Backends__AwsKms__default__Installation"] = "test",
        ["SignSvc__Backends__AwsKms__default__ServiceUrl"] = kms.ToString(),
        ["SignSvc__Backends__AwsKms__default__WrappingKey"] = "alias/signsvc-wrapping",
        ["SignSvc__Backends__AwsKms__default__QuotaPerSecond__MANAGEMENT"] = "200",
        ["SignSvc__Backends__AwsKms__default__StateSurveySeconds"] = "1",
        // The emulator looks for the primes of an RSA_4096 key while the call waits: on a busy machine that is not seconds.
        ["SignSvc__Backends__AwsKms__default__CallTimeoutMilliseconds"] = "60000",
        ["SignSvc__Backends__AwsKms__default__ReplicaRegions__0"] = Replica,
        // Another account, by a role of it, with hardly any quota.
        ["SignSvc__Backends__AwsKms__second__Region"] = "us-east-1",
        ["SignSvc__Backends__AwsKms__second__Installation"] = "test",
        ["SignSvc__Backends__AwsKms__second__ServiceUrl"] = kms.ToString(),
        ["SignSvc__Backends__AwsKms__second__RoleArn"] = "arn:aws:iam::444455556666:role/signsvc",
        ["SignSvc__Backends__AwsKms__second__QuotaPerSecond__ECC"] = "5",
    };

    /// <summary>An assured key of its own in the account.</summary>
    public Task<JsonAnswer> MakeKeyAsync(string name, string spec = "ECC_NIST_P256", string more = "") => Admin.MustPostAsync(
        201, "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"{{spec}}"{{more}}}""");

    /// <summary>The emulator's process ends, and another takes its place at the same address with the same keys.</summary>
    public async Task RestartKmsAsync(Func<Task> whileDown)
    {
        var options = Emulator.Options with { Url = Emulator.Uri };
        await Emulator.DisposeAsync();
        await whileDown();
        Emulator = await KmsEmulator.StartAsync(options, Cancel);
        Emulator.Quotas.Enforced = false;
    }

    /// <summary>Signing keys of the account that are enabled: what costs money and can sign.</summary>
    public async Task<List<KeyMetadata>> EnabledKeysAsync()
    {
        using var kms = Kms;
        var found = new List<KeyMetadata>();
        foreach (var key in (await kms.ListKeysAsync(new ListKeysRequest { Limit = 1000 }, Cancel)).Keys)
        {
            var metadata = (await kms.DescribeKeyAsync(key.KeyId, Cancel)).KeyMetadata;
            if (metadata.KeyUsage == KeyUsageType.SIGN_VERIFY && metadata.KeyState == KeyState.Enabled)
                found.Add(metadata);
        }

        return found;
    }

    /// <summary>The KMS key that a version of a key has, by its tags; null: none.</summary>
    public async Task<KeyMetadata> KeyOfAsync(string keyId, int version)
    {
        using var kms = Kms;
        foreach (var key in (await kms.ListKeysAsync(new ListKeysRequest { Limit = 1000 }, Cancel)).Keys)
        {
            var tags = (await kms.ListResourceTagsAsync(new ListResourceTagsRequest { KeyId = key.KeyId }, Cancel)).Tags ?? [];
            if (tags.Exists(t => t is { TagKey: "signsvc:key-id" } && string.Equals(t.TagValue, keyId, StringComparison.Ordinal))
                && tags.Exists(t => t is { TagKey: "signsvc:version" } && string.Equals(t.TagValue, $"{version}", StringComparison.Ordinal)))
                return (await kms.DescribeKeyAsync(key.KeyId, Cancel)).KeyMetadata;
        }

        throw new InvalidOperationException($"KMS has no key for version {version} of {keyId}.");
    }

    /// <summary>Waits for what the service does by itself, at most as long as promised.</summary>
    public static async Task WithinAsync(TimeSpan patience, Func<Task<bool>> holds)
    {
        using var waited = RunningTime.Start();
        while (!await holds())
        {
            Assert.True(waited.Elapsed < patience, $"It was not so within {patience}.");
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancel);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        await Emulator.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
