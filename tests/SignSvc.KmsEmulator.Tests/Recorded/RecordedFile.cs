using System.Text.Json.Nodes;

namespace SignSvc.Emulation.Tests.Recorded;

/// <summary>
/// Answers recorded against real AWS KMS (localstack's test_kms.snapshot.json, Apache-2.0): per test, named steps with
/// placeholders where ids and times were.
/// </summary>
internal static class RecordedFile
{
    public static readonly string Path = System.IO.Path.Combine(Folder(), "aws-kms-recorded.json");

    public static readonly string Missing =
        $"The recorded answers are not at {Path}; set SIGNSVC_VECTORS to the folder that holds aws-kms-recorded.json.";

    public static readonly IReadOnlyDictionary<string, JsonObject> Tests = Read();

    private static Dictionary<string, JsonObject> Read()
    {
        if (!File.Exists(Path))
            return new Dictionary<string, JsonObject>(StringComparer.Ordinal);
        return JsonNode
            .Parse(File.ReadAllText(Path))!
            .AsObject()
            .ToDictionary(
                t => t.Key[(t.Key.LastIndexOf("::", StringComparison.Ordinal) + 2)..],
                t => t.Value!["recorded-content"]!.AsObject(),
                StringComparer.Ordinal);
    }

    private static string Folder()
    {
        if (Environment.GetEnvironmentVariable("SIGNSVC_VECTORS") is { Length: > 0 } folder)
            return folder;
        var checkout = new DirectoryInfo(AppContext.BaseDirectory);
        while (checkout.Parent is not null && !File.Exists(System.IO.Path.Combine(checkout.FullName, "SignSvc.sln")))
            checkout = checkout.Parent;
        return System.IO.Path.GetFullPath(System.IO.Path.Combine(checkout.FullName, "..", "shared", "vectors"));
    }
}
