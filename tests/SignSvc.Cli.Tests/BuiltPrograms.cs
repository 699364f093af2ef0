namespace SignSvc.Cli.Tests;

/// <summary>The programs as this build made them, of the tests' own configuration and framework.</summary>
internal static class BuiltPrograms
{
    private static readonly DirectoryInfo Framework = new(AppContext.BaseDirectory.TrimEnd('/'));

    /// <summary>Of the repository.</summary>
    public static string Root => Framework.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;

    public static string Cli => Find("SignSvc.Cli", "signsvc.dll");

    private static string Find(string project, string file)
    {
        var configuration = Framework.Parent!;
        var path = Path.Combine(Root, "src", project, "bin", configuration.Name, Framework.Name, file);
        return File.Exists(path)
            ? path
            : throw new FileNotFoundException($"{path} is missing. Run: dotnet build {Root}/tests/SignSvc.Cli.Tests -c {configuration.Name}");
    }
}
