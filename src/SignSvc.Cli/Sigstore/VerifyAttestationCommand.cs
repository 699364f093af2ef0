using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Cli.Signing;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Sigstore;

/// <summary><c>signsvc verify-attestation</c>: the signature holds, the artifact is among the subjects, the predicate is of the type.</summary>
internal static class VerifyAttestationCommand
{
    private static readonly Argument<string?> File = new("file")
    {
        Description = "The artifact, or - for standard input.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> Digest = Parameters.Text("--digest", "sha256:hex", "The artifact by its digest, such as a container's, instead of a file.");
    private static readonly Option<string?> Type = Parameters.Text("--type", "type", "What kind of predicate it must be: as for attest.");

    public static Command Create()
    {
        var command = new Command("verify-attestation", "Verifies that a Sigstore bundle attests an artifact, and prints the predicate; exit code 1 where it does not.")
        {
            File, Digest, Type,
        };
        BundleVerifier.AddTo(command);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var bundlePath = parsed.GetRequiredValue(BundleVerifier.Bundle);
        var bundle = await BundleFile.ReadAsync(bundlePath, cancellationToken);
        if (bundle.DsseEnvelope is not { } envelope)
            throw CommandException.Usage($"{bundlePath} holds no attestation.", "'signsvc verify-blob' verifies the signature of a file.");
        var digest = await DigestAsync(parsed, cancellationToken);
        using var verifier = await BundleVerifier.OpenAsync(parsed, cancellationToken);

        var signed = verifier.Algorithm.HashData(Dsse.Encode(envelope.PayloadType, envelope.Payload));
        var verified = envelope.Signatures is [var only]
            ? await verifier.VerifyAsync(signed, only.Sig, cancellationToken)
            : throw CommandException.Usage($"{bundlePath} has {envelope.Signatures.Length} signatures; a bundle has one.");
        if (!verified.Valid)
            return await RefuseAsync(parsed, $"the signature is not one by {verifier.SignerOf(verified.Version)}", cancellationToken);

        // Nothing of the statement is believed before its signature holds.
        var statement = Parse(bundlePath, envelope);
        var type = statement.TryGetProperty("predicateType", out var value) ? value.GetString() : null;
        if (parsed.GetValue(Type) is { } wanted && !string.Equals(PredicateTypes.Expand(wanted), type, StringComparison.Ordinal))
            return await RefuseAsync(parsed, $"the predicate is of type {type}", cancellationToken);
        var subject = SubjectsOf(statement).FirstOrDefault(s => string.Equals(s.Digest, digest, StringComparison.Ordinal));
        if (subject is null)
            return await RefuseAsync(parsed, $"{digest} is not among the artifacts of the statement", cancellationToken);

        var answer = new AttestationAnswer(Valid: true, verified.Version, verified.Kid, type, subject.Name);
        if (parsed.WantsJson())
        {
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(answer, CliJson.Default.AttestationAnswer), cancellationToken);
            return ExitCode.Ok;
        }

        Remarks.Write($"valid: {verifier.SignerOf(verified.Version)}, of {subject.Name ?? digest}, type {type}");
        await StandardOutput.WriteLineAsync(System.Text.Encoding.UTF8.GetBytes(statement.GetProperty("predicate").GetRawText()), cancellationToken);
        return ExitCode.Ok;
    }

    private static async Task<string> DigestAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        switch (parsed.GetValue(File), parsed.GetValue(Digest))
        {
            case ({ } path, null):
                await using (var artifact = InputFile.Open(path))
                    return $"sha256:{Convert.ToHexStringLower(await ArtifactDigest.ComputeAsync(artifact, SigningAlgorithm.ES256, cancellationToken))}";
            case (null, { } digest) when digest.StartsWith("sha256:", StringComparison.Ordinal) && digest.Length == 71:
                return digest;
            default:
                throw CommandException.Usage("Name the artifact: a file, or --digest sha256:hex.");
        }
    }

    private static JsonElement Parse(string path, DsseEnvelope envelope)
    {
        try
        {
            if (string.Equals(envelope.PayloadType, Dsse.InTotoType, StringComparison.Ordinal))
            {
                var statement = JsonElement.Parse(envelope.Payload, new JsonDocumentOptions { AllowDuplicateProperties = false });
                if (statement.TryGetProperty("predicate", out _) && statement.GetProperty("subject").ValueKind == JsonValueKind.Array)
                    return statement;
            }
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            throw CommandException.Usage($"{path} holds a signature over something that is no in-toto statement.", inner: e);
        }

        throw CommandException.Usage($"{path} holds a signature over something that is no in-toto statement.");
    }

    private static ImmutableArray<ArtifactFacts> SubjectsOf(JsonElement statement) =>
        SignedContent.SubjectsOf(statement.GetProperty("subject"));

    private static async Task<int> RefuseAsync(ParseResult parsed, string why, CancellationToken cancellationToken)
    {
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync("""{"valid":false}"""u8.ToArray(), cancellationToken);
        else
            Remarks.Write($"signsvc: NOT valid: {why}.");
        return ExitCode.NotValid;
    }
}
