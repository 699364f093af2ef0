namespace SignSvc.Load.Surroundings;

/// <summary>Where this checkout keeps what is started.</summary>
internal static class Checkout
{
    public static string Root { get; } = FindRoot();

    /// <summary>A program of this checkout, built in the configuration that this program was built in.</summary>
    public static string Built(string project, string name)
    {
        var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        var program = Path.Combine(Root, project, "bin", own.Parent!.Name, own.Name, $"{name}.dll");
        return File.Exists(program) ? program : throw new FileNotFoundException($"Build it first: dotnet build {project} -c {own.Parent.Name}", program);
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SignSvc.sln")))
            folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("This program starts what lies in its checkout, and is in none. Name a service by --url.");
    }
}
