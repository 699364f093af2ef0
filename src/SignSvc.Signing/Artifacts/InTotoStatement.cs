using System.Buffers;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace SignSvc.Signing.Artifacts;

/// <summary>What a statement is about (in-toto ResourceDescriptor v1).</summary>
/// <param name="Name">The artifact's, as its users know it: a file name, or an image's repository.</param>
/// <param name="Digest">Lower-case hex under <c>sha256</c>, <c>sha384</c> or <c>sha512</c>; at least one of them.</param>
public sealed record Subject(string? Name, IReadOnlyDictionary<string, string> Digest)
{
    /// <summary>What policy and audit see of it: SHA-256 where it has one.</summary>
    internal ArtifactFacts Facts
    {
        get
        {
            var (algorithm, value) = Digest.OrderBy(d => d.Key, StringComparer.Ordinal).First();
            return new ArtifactFacts(Name: Name, Digest: $"{algorithm}:{value}");
        }
    }

    public static Subject Of(string? name, ReadOnlySpan<byte> digest)
    {
        var algorithm = digest.Length switch
        {
            32 => "sha256",
            48 => "sha384",
            64 => "sha512",
            _ => throw new SigningException(SigningFault.InvalidDigest, "A subject's digest is that of SHA-256, SHA-384 or SHA-512."),
        };
        return new Subject(name, new Dictionary<string, string>(StringComparer.Ordinal) { [algorithm] = Convert.ToHexStringLower(digest) });
    }
}

/// <summary>
/// An in-toto statement (v1) that was checked: from 1 to <see cref="MaxSubjects"/> subjects, each with a digest of the
/// right length, and a predicate that has what its type demands.
/// </summary>
public sealed class InTotoStatement
{
    public const string Type = "https://in-toto.io/Statement/v1";
    public const int MaxSubjects = SigningContext.MaxSubjects;

    private static readonly JsonWriterOptions Compact = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly ImmutableArray<Subject> _subjects;
    private readonly string _predicateType;
    private readonly JsonElement _predicate;

    private InTotoStatement(ImmutableArray<Subject> subjects, string predicateType, JsonElement predicate)
    {
        _subjects = subjects;
        _predicateType = predicateType;
        _predicate = predicate;
    }

    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>, <see cref="SigningFault.InvalidDigest"/>.</exception>
    public static InTotoStatement Create(ImmutableArray<Subject> subjects, string predicateType, JsonElement predicate)
    {
        if (subjects.IsDefaultOrEmpty || subjects.Length > MaxSubjects)
            throw new SigningException(SigningFault.InvalidRequest, $"A statement has from 1 to {MaxSubjects} subjects.");
        foreach (var subject in subjects)
            Check(subject);
        PredicateTypes.Check(predicateType, predicate);
        return new InTotoStatement(subjects, predicateType, predicate);
    }

    /// <summary>The statement as it is signed: compact JSON.</summary>
    public byte[] ToPayload()
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer, Compact))
        {
            json.WriteStartObject();
            json.WriteString("_type", Type);
            json.WriteStartArray("subject");
            foreach (var subject in _subjects)
                Write(json, subject);
            json.WriteEndArray();
            json.WriteString("predicateType", _predicateType);
            json.WritePropertyName("predicate");
            _predicate.WriteTo(json);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>What policy and audit see: the statement's own words over the caller's, and the caller's on where it comes from.</summary>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: the caller names an artifact beside the statement.</exception>
    public SigningContext ContextFor(SigningContext? caller)
    {
        if (caller is { Artifact: not null } or { Subjects: not null } or { PredicateType: not null })
        {
            throw new SigningException(
                SigningFault.InvalidRequest, "The artifacts of a statement are its subjects: context takes repository, commit, ref and run alone.");
        }

        return ContextOf(_subjects.Select(s => s.Facts).ToImmutableArray(), _predicateType) with
        {
            Repository = caller?.Repository,
            Commit = caller?.Commit,
            Ref = caller?.Ref,
            Run = caller?.Run,
        };
    }

    internal static SigningContext ContextOf(ImmutableArray<ArtifactFacts> subjects, string? predicateType)
    {
        var type = PredicateTypes.IsContainerSignature(predicateType) ? "container" : "attestation";
        return new SigningContext
        {
            Artifact = subjects is [var only] ? only with { Type = type } : new ArtifactFacts(type),
            Subjects = subjects,
            PredicateType = predicateType,
        };
    }

    private static void Check(Subject? subject)
    {
        if (subject?.Digest is not { Count: > 0 } digest)
            throw new SigningException(SigningFault.InvalidRequest, "Every subject needs a digest.");
        if (subject.Name is { } name && (name.Length is 0 or > SigningContext.MaxTextLength || name.Any(char.IsControl)))
            throw new SigningException(SigningFault.InvalidRequest, $"A subject's name has from 1 to {SigningContext.MaxTextLength} characters and no control characters.");
        foreach (var (algorithm, value) in digest)
        {
            var length = algorithm switch { "sha256" => 64, "sha384" => 96, "sha512" => 128, _ => 0 };
            if (length == 0 || value is null || value.Length != length || value.Any(c => !char.IsAsciiHexDigitLower(c)))
            {
                throw new SigningException(
                    SigningFault.InvalidDigest, "A subject's digest is lower-case hex of its length under sha256, sha384 or sha512.");
            }
        }
    }

    private static void Write(Utf8JsonWriter json, Subject subject)
    {
        json.WriteStartObject();
        if (subject.Name is not null)
            json.WriteString("name", subject.Name);
        json.WriteStartObject("digest");
        foreach (var (algorithm, value) in subject.Digest.OrderBy(d => d.Key, StringComparer.Ordinal))
            json.WriteString(algorithm, value);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}
