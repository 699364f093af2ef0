using SignSvc.Storage.Postgres;
using SignSvc.Storage.Tests;

[assembly: AssemblyFixture(typeof(SharedPostgres))]

namespace SignSvc.Storage.Tests;

/// <summary>One server for all tests that need a database and leave the server alone.</summary>
public sealed class SharedPostgres : IAsyncLifetime
{
    public PostgresCluster Cluster { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Cluster = await PostgresCluster.CreateAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => Cluster.DisposeAsync();
}

internal static class PostgresOpening
{
    public static Task<PostgresStore> OpenAsync(this PostgresCluster cluster, string database, int? commandTimeoutSeconds = null) =>
        OpenAsync(cluster.ConnectionString(database), commandTimeoutSeconds);

    /// <summary>The machine that runs the tests may be busy: the limits are wide where a test is not about them.</summary>
    public static Task<PostgresStore> OpenAsync(string connectionString, int? commandTimeoutSeconds = null) => PostgresStore.OpenAsync(
        new PostgresOptions
        {
            ConnectionString = connectionString,
            ConnectTimeout = TimeSpan.FromSeconds(15),
            CommandTimeout = TimeSpan.FromSeconds(commandTimeoutSeconds ?? 20),
        },
        TimeProvider.System,
        TestContext.Current.CancellationToken);
}
