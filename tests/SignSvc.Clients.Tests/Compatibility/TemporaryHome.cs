namespace SignSvc.Clients.Tests.Compatibility;

/// <summary>A folder of its own for an outside program.</summary>
internal sealed class TemporaryHome : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-home-");

    public string Folder => _folder.FullName;

    public void Dispose() => _folder.Delete(recursive: true);
}
