using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Cli.Signing;
using SignSvc.Signing.Artifacts;

namespace SignSvc.Cli.Sigstore;

/// <summary><c>signsvc verify-blob</c>.</summary>
internal static class VerifyBlobCommand
{
    public static Command Create()
    {
        var command = new Command("verify-blob", "Verifies a file by its Sigstore bundle; exit code 1 where it is not valid.") { ArtifactDigest.File };
        BundleVerifier.AddTo(command);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(ArtifactDigest.File);
        var bundlePath = parsed.GetRequiredValue(BundleVerifier.Bundle);
        var bundle = await BundleFile.ReadAsync(bundlePath, cancellationToken);
        if (bundle.MessageSignature is not { } signature)
            throw CommandException.Usage($"{bundlePath} holds an attestation.", "'signsvc verify-attestation' verifies it.");
        await using var artifact = InputFile.Open(path);
        using var verifier = await BundleVerifier.OpenAsync(parsed, cancellationToken);
        var digest = await ArtifactDigest.ComputeAsync(artifact, verifier.Algorithm, cancellationToken);

        // What the bundle says of the digest is compared, never used.
        var isOfFile = string.Equals(signature.MessageDigest.Algorithm, SigstoreBundle.NameOf(verifier.Algorithm.Hash), StringComparison.Ordinal)
            && signature.MessageDigest.Digest.AsSpan().SequenceEqual(digest);
        var answer = isOfFile
            ? await verifier.VerifyAsync(digest, signature.Signature, cancellationToken)
            : new VerifyAnswer(Valid: false);
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(answer, CliJson.Default.VerifyAnswer), cancellationToken);
        else if (answer.Valid)
            Console.Out.WriteLine(Remarks.Plain($"valid: {verifier.SignerOf(answer.Version)}"));
        else if (isOfFile)
            Remarks.Write($"signsvc: NOT valid: the signature is not one of {InputFile.NameOf(path)} by {verifier.SignerOf(answer.Version)}.");
        else
            Remarks.Write($"signsvc: NOT valid: the bundle is of another digest than that of {InputFile.NameOf(path)}.");
        return answer.Valid ? ExitCode.Ok : ExitCode.NotValid;
    }
}
