using System.Text.Json;

namespace SignSvc.Operations.Tests;

/// <summary>Two nodes on one PostgreSQL are exchanged in turn while callers sign.</summary>
public sealed class UpgradeTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-upgrade-");
    private readonly ServiceProcess[] _nodes = new ServiceProcess[2];
    private PostgresCluster _database = null!;
    private string _name = "";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Token => File.ReadAllText(Path.Combine(_folder.FullName, "0", "bootstrap.credential"));

    public async ValueTask InitializeAsync()
    {
        _database = await PostgresCluster.CreateAsync(Cancel);
        _name = await _database.CreateDatabaseAsync(Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            if (node is not null)
                await node.DisposeAsync();
        }

        await _database.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Two_nodes_restarted_in_turn_under_load_lose_nothing() => await ExchangeAsync(program: null);

    /// <summary>
    /// From an earlier release: SIGNSVC_PREVIOUS names its SignSvc.dll. It has to be built before, and so this runs only
    /// where it is asked for: <c>-explicit only -class "*UpgradeTests"</c>; docs/operations.md has a run.
    /// </summary>
    [Fact(Explicit = true)]
    public async Task Two_nodes_of_the_release_before_are_exchanged_in_turn_under_load_and_lose_nothing()
    {
        var previous = Environment.GetEnvironmentVariable("SIGNSVC_PREVIOUS");
        Assert.True(File.Exists(previous), "SIGNSVC_PREVIOUS has to name the SignSvc.dll of an earlier release.");
        await ExchangeAsync(previous);
    }

    [Fact]
    public async Task A_node_signs_on_where_a_newer_one_has_migrated_and_refuses_clearly_at_its_next_start()
    {
        var node = await StartAsync(0, program: null);
        // As steps of tomorrow would: what is added to tables, and the version.
        await _database.ExecuteAsync(
            _name,
            "CREATE TABLE signsvc.of_tomorrow (id int); ALTER TABLE signsvc.documents ADD COLUMN of_tomorrow text; UPDATE signsvc.schema_version SET version = version + 1",
            Cancel);
        for (var i = 0; i < 10; i++)
            Assert.Equal(200, (await node.Client.PostJsonAsync("/v1/keys/release/sign", """{"message":"aGk="}""")).Code);
        Assert.Equal(201, (await node.Client.PostUntilServedAsync("/v1/credentials", """{"name":"late","roles":["signer"]}""")).Code);
        Assert.Equal(200, (await node.Client.GetJsonAsync("/healthz/ready")).Code);

        await StopAsync(node);
        var refused = await ServiceProcess.RefuseToStartAsync(Options(0, program: null));
        Assert.Equal(1, refused.ExitCode);
        Assert.Contains("schema version", refused.Error, StringComparison.Ordinal);
    }

    /// <param name="program">What runs before; null: the same build.</param>
    private async Task ExchangeAsync(string? program)
    {
        for (var i = 0; i < _nodes.Length; i++)
            await StartAsync(i, program);
        var urls = _nodes.Select(n => n.Url).ToArray();
        await using var clients = new SteadyClients(() => Volatile.Read(ref urls), Token);
        await clients.SignAsync(300);
        for (var i = 0; i < _nodes.Length; i++)
        {
            // How an earlier release ends is beyond help; that it loses nothing is asked all the same.
            if (program is null)
                await StopAsync(_nodes[i]);
            else
                await _nodes[i].StopAsync();
            await _nodes[i].DisposeAsync();
            var next = await StartAsync(i, program: null);
            Volatile.Write(ref urls, [.. urls.Select((url, at) => at == i ? next.Url : url)]);
            // Both versions at once, also with changes.
            Assert.Equal(201, (await next.Client.PostUntilServedAsync("/v1/credentials", $$"""{"name":"made-{{i}}","roles":["signer"]}""")).Code);
            await clients.SignAsync(300);
        }

        await clients.StopAsync();
        Assert.True(clients.Lost.Count == 0, string.Join('\n', clients.Lost.Take(5)));
        Assert.Equal(clients.Signed.Count, clients.Signed.Distinct(StringComparer.Ordinal).Count());
        // One after the other is slow; that each is there is what the check of the whole chain and the count say together.
        Assert.Equal("True", (await _nodes[0].Client.GetJsonAsync("/v1/audit/check"))["intact"]);
        foreach (var auditId in clients.Signed.Where((_, i) => i % 25 == 0))
            Assert.Equal("allowed", (await RecordAsync(auditId)).GetProperty("outcome").GetString());

        output.WriteLine($"{clients.Signed.Count} signatures, {clients.Lost.Count} lost, while both nodes were exchanged");
    }

    /// <summary>What a node spooled is found once it has handed it over.</summary>
    private async Task<JsonElement> RecordAsync(string auditId)
    {
        var from = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var found = await _nodes[1].Client.GetJsonAsync($"/v1/audit?auditId={auditId}");
            if (found.Code == 200 && found.Json.GetProperty("records") is var records && records.GetArrayLength() > 0)
                return records[0];
            Assert.True(TimeProvider.System.GetElapsedTime(from) < Patience, $"{auditId} is not on record: {found}");
            await Task.Delay(TimeSpan.FromMilliseconds(200), TimeProvider.System, Cancel);
        }
    }

    private async Task<ServiceProcess> StartAsync(int node, string? program)
    {
        var options = Options(node, program);
        if (node > 0 && !File.Exists(Path.Combine(options.Data!, "root.key")))
        {
            foreach (var secret in new[] { "root.key", "bootstrap.credential" })
            {
                File.Copy(Path.Combine(_folder.FullName, "0", secret), Path.Combine(options.Data!, secret));
                File.SetUnixFileMode(Path.Combine(options.Data!, secret), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }
        }

        return _nodes[node] = await ServiceProcess.StartAsync(options);
    }

    private static async Task StopAsync(ServiceProcess node)
    {
        var exitCode = await node.StopAsync();
        Assert.True(exitCode == 0, $"It ended with {exitCode}:\n{node.Output}\n{node.Error}");
    }

    private ServiceOptions Options(int node, string? program) => new()
    {
        Program = program,
        Data = Directory.CreateDirectory(Path.Combine(_folder.FullName, $"{node}")).FullName,
        Environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["SignSvc__Store__Postgres"] = _database.ConnectionString(_name) + ";SSL Mode=Disable;GSS Encryption Mode=Disable",
            ["SignSvc__Node"] = $"node-{node}",
        },
    };
}
