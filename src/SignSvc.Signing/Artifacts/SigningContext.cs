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

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: a text is longer than <see cref="MaxTextLength"/> or holds control characters.</exception>
    public void Check()
    {
        Check("context.artifact.type", Artifact?.Type);
        Check("context.artifact.name", Artifact?.Name);
        Check("context.artifact.uri", Artifact?.Uri);
        Check("context.repository", Repository);
        Check("context.commit", Commit);
        Check("context.ref", Ref);
        Check("context.run", Run);
    }

    private static void Check(string name, string? text)
    {
        if (text is not null && (text.Length > MaxTextLength || text.Any(char.IsControl)))
        {
            throw new SigningException(
                SigningFault.InvalidRequest,
                $"{name} must have at most {MaxTextLength} characters and no control characters.");
        }
    }
}

/// <param name="Type"><c>blob</c>, <c>container</c>, <c>attestation</c>, or the caller's own word.</param>
public sealed record ArtifactFacts(string? Type = null, string? Name = null, string? Uri = null);
