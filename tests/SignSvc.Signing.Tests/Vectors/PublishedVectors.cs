using System.Text.Json;

namespace SignSvc.Signing.Tests.Vectors;

/// <summary>
/// Published test vectors (C2SP Wycheproof, ietf-jose cookbook), kept outside the repository: in the folder that
/// <c>SIGNSVC_VECTORS</c> names, by default <c>../shared/vectors</c> beside the checkout.
/// </summary>
internal static class PublishedVectors
{
    private const string Variable = "SIGNSVC_VECTORS";

    /// <summary>Reads one file; where the folder is absent the test is skipped, and says so. A file that is missing from a folder that exists fails.</summary>
    public static JsonElement Read(string file)
    {
        var folder = Folder();
        Assert.SkipUnless(
            Directory.Exists(folder),
            $"The published vectors are not there: {Variable} (default ../shared/vectors beside the checkout) names no folder.");
        using var document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, file)));
        return document.RootElement.Clone();
    }

    private static string Folder()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
            return named;
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SignSvc.sln")))
            folder = folder.Parent;
        return folder is null ? "" : Path.Combine(folder.FullName, "..", "shared", "vectors");
    }
}
