using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace SignSvc.Signing.Artifacts;

/// <summary>
/// What the caller says it is signing: typed facts beside the digest, for policy and for the audit. SignSvc vouches for
/// the caller, not for these words.
/// </summary>
public sealed record SigningContext
{
    public const int MaxTextLength = 1024;

    /// <summary>Of <see cref="Subjects"/>.</summary>
    public const int MaxSubjects = 1000;

    /// <summary>The one artifact; of several, only what is true of all of them (their names are in <see cref="Subjects"/>).</summary>
    public ArtifactFacts? Artifact { get; init; }

    /// <summary>What an in-toto statement is about, when that is what is signed.</summary>
    public ImmutableArray<ArtifactFacts>? Subjects { get; init; }

    /// <summary>What an in-toto statement says of its subjects: a URI.</summary>
    public string? PredicateType { get; init; }

    public string? Repository { get; init; }

    public string? Commit { get; init; }

    public string? Ref { get; init; }

    /// <summary>The pipeline run, as the CI system names it.</summary>
    public string? Run { get; init; }

    /// <summary>What is wrong, in words: a text is longer than <see cref="MaxTextLength"/> or holds control characters. Null where all is well.</summary>
    [JsonIgnore]
    public string? Fault =>
        FaultOf("context.artifact", Artifact)
        ?? FaultOfSubjects()
        ?? FaultOf("context.predicateType", PredicateType)
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

    private string? FaultOfSubjects()
    {
        if (Subjects is not { } subjects)
            return null;
        if (subjects.IsDefault || subjects.Length > MaxSubjects || subjects.Any(s => s is null))
            return $"context.subjects holds at most {MaxSubjects} objects.";
        return subjects.Select(s => FaultOf("context.subjects", s)).FirstOrDefault(f => f is not null);
    }

    private static string? FaultOf(string name, ArtifactFacts? artifact) =>
        artifact is null
            ? null
            : FaultOf($"{name}.type", artifact.Type)
              ?? FaultOf($"{name}.name", artifact.Name)
              ?? FaultOf($"{name}.uri", artifact.Uri)
              ?? FaultOfDigest($"{name}.digest", artifact.Digest);

    private static string? FaultOfDigest(string name, string? text)
    {
        if (text is null)
            return null;
        var length = text.Split(':') switch { ["sha256", _] => 64, ["sha384", _] => 96, ["sha512", _] => 128, _ => 0 };
        var hex = text[(text.IndexOf(':', StringComparison.Ordinal) + 1)..];
        return length == 0 || hex.Length != length || !hex.All(char.IsAsciiHexDigitLower)
            ? $"{name} must be sha256:, sha384: or sha512: and as many lower-case hex digits."
            : null;
    }

    private static string? FaultOf(string name, string? text) =>
        text is not null && (text.Length > MaxTextLength || text.Any(char.IsControl))
            ? $"{name} must have at most {MaxTextLength} characters and no control characters."
            : null;
}

/// <param name="Type"><c>blob</c>, <c>container</c>, <c>attestation</c>, or the caller's own word.</param>
/// <param name="Digest"><c>sha256:</c>, <c>sha384:</c> or <c>sha512:</c> and lower-case hex.</param>
public sealed record ArtifactFacts(string? Type = null, string? Name = null, string? Uri = null, string? Digest = null);
