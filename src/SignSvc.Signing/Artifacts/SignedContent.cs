using System.Collections.Immutable;
using System.Text.Json;

namespace SignSvc.Signing.Artifacts;

/// <summary>
/// Reads what is about to be signed, so that the signing context is its own words and not only the caller's: in-toto
/// statements in DSSE's encoding, and the simple signing payload of a container. Anything else is a blob.
/// </summary>
public static class SignedContent
{
    /// <summary>Messages that are longer are not looked into; they are signed all the same.</summary>
    public const int MaxReadableBytes = 16 * 1024 * 1024;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    /// <summary>Whether the rest of the message is worth keeping: its first bytes are those of something that can be read.</summary>
    public static bool IsReadable(ReadOnlySpan<byte> beginning) => Dsse.IsEncoded(beginning) || beginning.StartsWith("{"u8);

    /// <exception cref="SigningException">
    /// <see cref="SigningFault.InvalidRequest"/>: it says that it is a statement and is none; signing it would put words
    /// into the audit that no verifier will find.
    /// </exception>
    public static SigningContext ContextOf(ReadOnlySpan<byte> message)
    {
        if (Dsse.IsEncoded(message))
        {
            if (!Dsse.TryDecode(message, out var type, out var payload))
                throw new SigningException(SigningFault.InvalidRequest, "This begins like a DSSE envelope's encoding and is none.");
            return string.Equals(type, Dsse.InTotoType, StringComparison.Ordinal)
                ? ContextOfStatement(payload)
                : new SigningContext { Artifact = new ArtifactFacts("attestation") };
        }

        return message.StartsWith("{"u8) && ContextOfSimpleSigning(message) is { } container
            ? container
            : new SigningContext { Artifact = new ArtifactFacts("blob") };
    }

    /// <summary>The subjects of a statement of any version.</summary>
    /// <exception cref="InvalidOperationException">It is no array of objects.</exception>
    /// <exception cref="SigningException"><see cref="SigningFault.InvalidRequest"/>: there are too many.</exception>
    public static ImmutableArray<ArtifactFacts> SubjectsOf(JsonElement subject)
    {
        if (subject.GetArrayLength() > SigningContext.MaxSubjects)
            throw new SigningException(SigningFault.InvalidRequest, $"The statement has more than {SigningContext.MaxSubjects} subjects.");
        return subject.EnumerateArray().Select(s => new ArtifactFacts(Name: TextOf(s, "name"), Digest: DigestOf(s))).ToImmutableArray();
    }

    private static SigningContext ContextOfStatement(ReadOnlySpan<byte> payload)
    {
        try
        {
            using var statement = JsonDocument.Parse(payload.ToArray(), Strict);
            var root = statement.RootElement;
            return InTotoStatement.ContextOf(SubjectsOf(root.GetProperty("subject")), TextOf(root, "predicateType"));
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw new SigningException(SigningFault.InvalidRequest, "This DSSE envelope says that it holds an in-toto statement and holds none.", e);
        }
    }

    /// <summary>containers/image's docs/containers-signature.5.md: <c>critical.image.docker-manifest-digest</c>.</summary>
    private static SigningContext? ContextOfSimpleSigning(ReadOnlySpan<byte> message)
    {
        try
        {
            using var payload = JsonDocument.Parse(message.ToArray(), Strict);
            var critical = payload.RootElement.GetProperty("critical");
            var name = TextOf(critical.GetProperty("identity"), "docker-reference");
            return TextOf(critical.GetProperty("image"), "docker-manifest-digest") is { } digest
                ? new SigningContext { Artifact = new ArtifactFacts("container", name, Digest: digest) }
                : null;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // Some other JSON file.
            return null;
        }
    }

    private static string? DigestOf(JsonElement subject)
    {
        if (!subject.TryGetProperty("digest", out var digests))
            return null;
        var (algorithm, value) = digests.EnumerateObject()
            .Select(d => (d.Name, Value: d.Value.GetString()))
            .OrderBy(d => d.Name is "sha256" ? 0 : 1)
            .FirstOrDefault();
        return value is null ? null : $"{algorithm}:{value}";
    }

    private static string? TextOf(JsonElement at, string name) =>
        at.TryGetProperty(name, out var value) && value.GetString() is { Length: > 0 } text ? text : null;
}
