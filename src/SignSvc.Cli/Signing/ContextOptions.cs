using System.CommandLine;
using SignSvc.Signing.Artifacts;

namespace SignSvc.Cli.Signing;

/// <summary>What is told of the thing that is signed; where nothing is said, what the pipeline's variables say.</summary>
internal static class ContextOptions
{
    private static readonly Option<string?> ArtifactType = Parameters.Text("--artifact-type", "type", "For policy and audit: what it is. Default: blob.");
    private static readonly Option<string?> ArtifactName = Parameters.Text("--artifact-name", "name", "For policy and audit: its name. Default: the file's.");
    private static readonly Option<string?> ArtifactUri = Parameters.Text("--artifact-uri", "URI", "For policy and audit: where it lives.");
    private static readonly Option<string?> Repository = Parameters.Text("--repository", "name", "For policy and audit: the source it was made from.");
    private static readonly Option<string?> Commit = Parameters.Text("--commit", "id", "For policy and audit.");
    private static readonly Option<string?> Ref = Parameters.Text("--ref", "ref", "For policy and audit: branch or tag.");
    private static readonly Option<string?> Run = Parameters.Text("--run", "id", "For policy and audit: the pipeline run.");

    public static void AddTo(Command command)
    {
        foreach (var option in new[] { ArtifactType, ArtifactName, ArtifactUri })
            command.Add(option);
        AddSourceTo(command);
    }

    /// <summary>Those alone that do not name the artifact.</summary>
    public static void AddSourceTo(Command command)
    {
        foreach (var option in new[] { Repository, Commit, Ref, Run })
            command.Add(option);
    }

    public static SigningContext Of(ParseResult parsed, string path) => SourceOf(parsed) with
    {
        Artifact = new ArtifactFacts(
            parsed.GetValue(ArtifactType) ?? "blob", parsed.GetValue(ArtifactName) ?? NameOf(path), parsed.GetValue(ArtifactUri)),
    };

    public static SigningContext SourceOf(ParseResult parsed) => PipelineFacts.AddTo(new SigningContext
    {
        Repository = parsed.GetValue(Repository),
        Commit = parsed.GetValue(Commit),
        Ref = parsed.GetValue(Ref),
        Run = parsed.GetValue(Run),
    });

    /// <summary>The file's name, unless it is one that no context takes.</summary>
    public static string? NameOf(string path) =>
        Path.GetFileName(path) is { Length: > 0 } name && !string.Equals(path, InputFile.StandardInput, StringComparison.Ordinal) && !name.Any(char.IsControl)
            ? name
            : null;
}
