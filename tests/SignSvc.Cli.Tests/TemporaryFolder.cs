namespace SignSvc.Cli.Tests;

/// <summary>A folder of one's own for as long as it is needed.</summary>
public sealed class TemporaryFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("signsvc-cli-");

    public string Root => _folder.FullName;

    public string At(string name) => Path.Combine(Root, name);

    public string Write(string name, string content)
    {
        File.WriteAllText(At(name), content);
        return At(name);
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
