using System.Globalization;
using Amazon.KeyManagementService;
using Amazon.KeyManagementService.Model;
using Amazon.Runtime;
using SignSvc.Emulation;

namespace SignSvc.Tests.Aws;

/// <summary>Two nodes on one PostgreSQL and one account: what has to be done in AWS, one of them does.</summary>
public sealed class AwsClusterTests : IAsyncLifetime
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-aws-cluster-");
    private readonly List<ServiceProcess> _nodes = [];
    private KmsEmulator _kms = null!;
    private PostgresCluster _database = null!;
    private string _databaseName = "";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _kms = await KmsEmulator.StartAsync(cancellationToken: Cancel);
        _kms.Quotas.Enforced = false;
        using var account = new AmazonKeyManagementServiceClient(
            new BasicAWSCredentials(AwsService.Account, "any"),
            new AmazonKeyManagementServiceConfig { ServiceURL = _kms.Uri.ToString(), AuthenticationRegion = AwsService.Region });
        var wrapping = await account.CreateKeyAsync(new CreateKeyRequest(), Cancel);
        await account.CreateAliasAsync("alias/signsvc-wrapping", wrapping.KeyMetadata.KeyId, Cancel);
        _kms.Calls.Reset();
        _database = await PostgresCluster.CreateAsync(Cancel);
        _databaseName = await _database.CreateDatabaseAsync(Cancel);
        var connection = _database.ConnectionString(_databaseName);
        for (var i = 0; i < 2; i++)
        {
            var data = Directory.CreateDirectory(Path.Combine(_folder.FullName, $"{i}")).FullName;
            foreach (var secret in i == 0 ? [] : new[] { "root.key", "bootstrap.credential" })
            {
                File.Copy(Path.Combine(_folder.FullName, "0", secret), Path.Combine(data, secret));
                File.SetUnixFileMode(Path.Combine(data, secret), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            var environment = AwsService.Settings(_kms.Uri);
            environment.Remove("SignSvc__Backends__AwsKms__default__ReplicaRegions__0");
            environment["SignSvc__Store__Postgres"] = connection;
            environment["SignSvc__Node"] = $"node-{i}";
            _nodes.Add(await ServiceProcess.StartAsync(new ServiceOptions { Data = data, Environment = environment }));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
            await node.DisposeAsync();
        await _database.DisposeAsync();
        await _kms.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Changes_made_on_any_node_are_mirrored_once_by_the_holder_of_the_lease()
    {
        const int Keys = 6;
        for (var i = 0; i < Keys; i++)
            await MakeKeyAsync(_nodes[i % 2], $"mirrored-{i}");

        await AwsService.WithinAsync(Soon, () => Task.FromResult(_kms.Calls["CreateAlias"].Succeeded >= Keys));
        // A key whose creation was refused, and begun again, was disabled as well.
        var before = _kms.Calls["DisableKey"].Received;
        for (var i = 0; i < Keys; i++)
        {
            // By the other node than made it, once that knows of it.
            var other = _nodes[(i + 1) % 2];
            await AwsService.WithinAsync(Soon, async () => (await other.Client.PostJsonAsync($"/v1/keys/mirrored-{i}/disable")).Code == 200);
        }

        await AwsService.WithinAsync(Soon, () => Task.FromResult(_kms.Calls["DisableKey"].Succeeded >= before + Keys));
        // Time enough for a second node to do it again.
        await Task.Delay(TimeSpan.FromSeconds(8), TimeProvider.System, Cancel);
        Assert.Equal(Keys, _kms.Calls["CreateAlias"].Received);
        Assert.Equal(before + Keys, _kms.Calls["DisableKey"].Received);

        var records = (await _nodes[0].Client.MustGetAsync("/v1/audit?action=keys:Mirror&limit=100")).Json.GetProperty("records").EnumerateArray().ToArray();
        Assert.True(records.Length >= Keys, $"{records.Length} records");
        // An id is NODE-SEQUENCE.
        Assert.Single(records.Select(r => r.GetProperty("auditId").GetString()!).Select(id => id[..id.LastIndexOf('-')]).Distinct(StringComparer.Ordinal));
        // The wrapping key's rotation is looked after by one node, too.
        await AwsService.WithinAsync(Soon, () => Task.FromResult(_kms.Calls["EnableKeyRotation"].Succeeded > 0));
        Assert.Equal(1, _kms.Calls["EnableKeyRotation"].Received);
    }

    /// <summary>The clock of leases is the database's: their minutes pass by setting their ends back.</summary>
    [Fact]
    public async Task A_dead_node_s_mirroring_goes_to_the_other_when_its_lease_ends_and_not_before()
    {
        await MakeKeyAsync(_nodes[0], "inherited");
        await AwsService.WithinAsync(Soon, () => Task.FromResult(_kms.Calls["CreateAlias"].Succeeded == 1));
        var before = _kms.Calls["DisableKey"].Received;
        var mirror = await HolderAsync("mirror");
        var dead = _nodes[int.Parse(mirror[^1..], CultureInfo.InvariantCulture)];
        var heir = _nodes.Single(n => n != dead);
        await dead.KillAsync();

        await AwsService.WithinAsync(Soon, async () => (await heir.Client.PostJsonAsync("/v1/keys/inherited/disable")).Code == 200);
        // It asks every five seconds.
        await Task.Delay(TimeSpan.FromSeconds(11), TimeProvider.System, Cancel);
        Assert.Equal(before, _kms.Calls["DisableKey"].Received);
        Assert.Equal(mirror, await HolderAsync("mirror"));
        Assert.Equal("t", await LeasesAsync("SELECT until BETWEEN clock_timestamp() AND clock_timestamp() + interval '3 minutes' FROM signsvc.leases WHERE name = 'mirror/aws-kms'"));

        await EndLeasesAsync();
        await AwsService.WithinAsync(Soon, () => Task.FromResult(_kms.Calls["DisableKey"].Succeeded == before + 1));
        Assert.NotEqual(mirror, await HolderAsync("mirror"), StringComparer.Ordinal);
        // What was in line already is not done again.
        Assert.Equal(1, _kms.Calls["CreateAlias"].Received);
    }

    [Fact]
    public async Task A_dead_node_s_upkeep_goes_to_the_other_when_its_lease_ends_and_not_before()
    {
        // It took the lease when it was alone.
        await AwsService.WithinAsync(Soon, async () => await HolderAsync("upkeep") is "node-0");
        await _nodes[0].KillAsync();
        // The other asks every fifteen seconds.
        await Task.Delay(TimeSpan.FromSeconds(20), TimeProvider.System, Cancel);
        Assert.Equal("node-0", await HolderAsync("upkeep"));

        await EndLeasesAsync();
        await AwsService.WithinAsync(Soon, async () => await HolderAsync("upkeep") is "node-1");
    }

    private static async Task MakeKeyAsync(ServiceProcess node, string name)
    {
        var made = await node.Client.PostUntilServedAsync(
            "/v1/keys", $$"""{"name":"{{name}}","purpose":"artifacts","tier":"assured","backend":"aws-kms","spec":"ECC_NIST_P256"}""");
        Assert.True(made.Code is 201 or 409, $"{made}");
    }

    private Task<string> EndLeasesAsync() => LeasesAsync("UPDATE signsvc.leases SET until = until - interval '5 minutes'");

    private Task<string> HolderAsync(string duty) => LeasesAsync($"SELECT holder FROM signsvc.leases WHERE name = '{duty}/aws-kms'");

    private async Task<string> LeasesAsync(string sql) => (await _database.ExecuteAsync(_databaseName, sql, Cancel)).Trim();
}
