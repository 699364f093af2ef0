using System.Text.Json.Serialization;

namespace SignSvc.Signing.Artifacts;

/// <summary>
/// What the caller says it is signing: typed facts beside the digest, for policy and for the audit. SignSvc vouches for
/// the caller, not for these words.
/// </summary>
public sealed record SigningContext
{
    public const int MaxTextLength = 1024;

    public ArtifactFacts? Artifact { get; init; }

    public string? Repository { get; init; }

    public string? Commit { get; init; }

    public string? Ref { get; init; }

    /// <summary>The pipeline run, as the CI system names it.</summary>
    public string? Run { get; init; }

    /// <summary>What is wrong, in words: a text is longer than <see cref="MaxTextLength"/> or holds control characters. Null where all is well.</summary>
    [JsonIgnore]
    public string? Fault =>
        FaultOf("context.artifact.type", Artifact?.Type)
        ?? FaultOf("context.artifact.name", Artifact?.Name)
        ?? FaultOf("context.artifact.uri", Artifact?.Uri)
        ?? FaultOf("context.repository", Repository)
        ?? FaultOf("context.commit", Commit)
        ?? FaultOf("context.ref", Ref)
        ?? FaultOf("context.run", Run);

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: there is a <see cref="Fault"/>.</exception>
    public void Check()
    {
        if (Fault is { } fault)
            throw new SigningException(SigningFault.InvalidRequest, fault);
    }

    private static string? FaultOf(string name, string? text) =>
        text is not null && (text.Length > MaxTextLength || text.Any(char.IsControl))
            ? $"{name} must have at most {MaxTextLength} characters and no control characters."
            : null;
}

/// <param name="Type"><c>blob</c>, <c>container</c>, <c>attestation</c>, or the caller's own word.</param>
public sealed record ArtifactFacts(string? Type = null, string? Name = null, string? Uri = null);
