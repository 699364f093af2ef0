namespace SignSvc.Operations.Tests;

/// <summary>Published schemas of what is in <c>deploy/</c>, from npm as the lock file has them.</summary>
internal static class Schemas
{
    private const string Install = "tests/install-tools.sh";

    private static readonly string Folder = Outside.File("tests", "SignSvc.Operations.Tests", "node");

    /// <returns>Exit code 0 where the text fits; what does not is on its output, a line each.</returns>
    public static async Task<Ended> CheckAsync(string script, string yaml)
    {
        Assert.True(Directory.Exists(Path.Combine(Folder, "node_modules")), $"The schemas are missing: {Install}");
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, yaml, TestContext.Current.CancellationToken);
            return await Outside.RunAsync(Install, "node", [Path.Combine(Folder, script), file]);
        }
        finally
        {
            File.Delete(file);
        }
    }
}
