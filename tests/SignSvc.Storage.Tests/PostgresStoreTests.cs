using SignSvc.Signing.Storage;

namespace SignSvc.Storage.Tests;

public sealed class PostgresStoreTests(SharedPostgres postgres) : StoreContract
{
    private string? _database;

    protected override async Task<IStore> OpenAsync() =>
        await postgres.Cluster.OpenAsync(_database ??= await postgres.Cluster.CreateDatabaseAsync(Cancel));
}
