using SignSvc.Signing.Storage;
using SignSvc.Storage.Sqlite;

namespace SignSvc.Storage.Tests;

public sealed class SqliteStoreTests : StoreContract
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-sqlite-");

    protected override Task<IStore> OpenAsync() =>
        Task.FromResult<IStore>(SqliteStore.Open(Path.Combine(_folder.FullName, "signsvc.db")));

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        _folder.Delete(recursive: true);
    }
}
