namespace SignSvc.Cluster.Tests;

/// <summary>Nodes on one database, each with its own way to it, under one root key.</summary>
internal sealed class Nodes : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-cluster-");
    private readonly List<DatabaseProxy> _ways = [];
    private readonly List<ServiceProcess> _nodes = [];

    private Nodes(PostgresCluster database) => Database = database;

    public PostgresCluster Database { get; }

    public IReadOnlyList<ServiceProcess> All => _nodes;

    public ServiceProcess this[int node] => _nodes[node];

    public DatabaseProxy WayOf(int node) => _ways[node];

    /// <summary>All administrators are one.</summary>
    public string Token => File.ReadAllText(Path.Combine(_folder.FullName, "0", "bootstrap.credential"));

    public static async Task<Nodes> StartAsync(int count, params (string Name, string Value)[] settings)
    {
        var cancel = TestContext.Current.CancellationToken;
        var nodes = new Nodes(await PostgresCluster.CreateAsync(cancel));
        try
        {
            var name = await nodes.Database.CreateDatabaseAsync(cancel);
            for (var i = 0; i < count; i++)
            {
                var way = new DatabaseProxy(nodes.Database.Port);
                nodes._ways.Add(way);
                var data = Directory.CreateDirectory(Path.Combine(nodes._folder.FullName, $"{i}")).FullName;
                if (i > 0)
                    nodes.CopySecrets(data);
                var environment = new Dictionary<string, string>(StringComparer.Ordinal)
                {
                    ["SignSvc__Store__Postgres"] = PostgresCluster.ConnectionString(name, way.Port) + ";SSL Mode=Disable;GSS Encryption Mode=Disable",
                    ["SignSvc__Node"] = $"node-{i}",
                };
                foreach (var setting in settings)
                    environment[setting.Name] = setting.Value;
                nodes._nodes.Add(await ServiceProcess.StartAsync(new ServiceOptions { Data = data, Environment = environment }));
            }

            return nodes;
        }
        catch
        {
            await nodes.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
            await node.DisposeAsync();
        foreach (var way in _ways)
            await way.DisposeAsync();
        await Database.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private void CopySecrets(string data)
    {
        foreach (var secret in (ReadOnlySpan<string>)["root.key", "bootstrap.credential"])
        {
            var copy = Path.Combine(data, secret);
            File.Copy(Path.Combine(_folder.FullName, "0", secret), copy);
            File.SetUnixFileMode(copy, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
    }
}
