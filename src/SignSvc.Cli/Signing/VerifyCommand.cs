using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Signing;

/// <summary><c>signsvc verify</c>: by the service, which knows what was revoked, or with a public key and no service.</summary>
internal static class VerifyCommand
{
    private static readonly Option<string> Signature = new("--signature") { HelpName = "file", Required = true, Description = "The file with the signature: base64 or its bytes." };
    private static readonly Option<string?> Format = Parameters.OneOf("--format", "What that file holds. Default: what it looks like.", "base64", "raw");
    private static readonly Option<string> Key = Parameters.KeyOption();
    private static readonly Option<string?> PublicKeyPath = Parameters.Text("--public-key", "file", "Verifies here with this public key (PEM), and asks nobody.");
    private static readonly Option<string> SignatureEncoding = ArtifactDigest.EncodingOption();

    public static Command Create()
    {
        var command = new Command("verify", "Verifies a file's signature; exit code 1 where it is not valid.")
        {
            ArtifactDigest.File, Signature, Format, Key, PublicKeyPath, ArtifactDigest.Algorithm, SignatureEncoding,
        };
        command.Validators.Add(result =>
        {
            if (result.GetResult(PublicKeyPath) is not null && result.GetResult(Key) is { Implicit: false })
                result.AddError("Give either --key or --public-key.");
        });
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(ArtifactDigest.File);
        var signature = await SignatureText.ReadAsync(parsed.GetRequiredValue(Signature), parsed.GetValue(Format), cancellationToken);
        await using var artifact = InputFile.Open(path);
        var verified = parsed.GetValue(PublicKeyPath) is { } publicKeyFile
            ? await VerifyHereAsync(parsed, publicKeyFile, artifact, signature, cancellationToken)
            : await VerifyThereAsync(parsed, artifact, signature, cancellationToken);

        var answer = verified.Read(CliJson.Default.VerifyAnswer);
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(verified.Body, cancellationToken);
        else if (answer.Valid)
            Console.Out.WriteLine(Remarks.Plain($"valid: {SignerOf(parsed, answer)}"));
        else
            Remarks.Write($"signsvc: NOT valid: the signature is not one of {InputFile.NameOf(path)} by {SignerOf(parsed, answer)}.");
        return answer.Valid ? ExitCode.Ok : ExitCode.NotValid;
    }

    private static string SignerOf(ParseResult parsed, VerifyAnswer answer) =>
        answer.Kid is not null ? $"kid {answer.Kid}"
        : answer.Version is null ? parsed.GetRequiredValue(Key)
        : $"{parsed.GetRequiredValue(Key)} version {answer.Version}";

    private static async Task<Answer> VerifyThereAsync(
        ParseResult parsed, Stream artifact, byte[] signature, CancellationToken cancellationToken)
    {
        var key = parsed.GetRequiredValue(Key);
        using var service = ServiceClient.Connect(parsed);
        var algorithm = await ArtifactDigest.ChooseAsync(parsed.GetValue(ArtifactDigest.Algorithm), key, service, cancellationToken);
        var digest = await ArtifactDigest.ComputeAsync(artifact, algorithm, cancellationToken);
        var body = new VerifyBody(digest, signature, algorithm.Name, parsed.GetRequiredValue(SignatureEncoding));
        return await service.PostAsync($"{ApiPath.Key(key)}/verify", body, CliJson.Default.VerifyBody, cancellationToken);
    }

    private static async Task<Answer> VerifyHereAsync(
        ParseResult parsed, string publicKeyFile, Stream artifact, byte[] signature, CancellationToken cancellationToken)
    {
        var key = await PublicKeyFile.ReadAsync(publicKeyFile, cancellationToken);
        var algorithm = parsed.GetValue(ArtifactDigest.Algorithm) is { } named ? SigningAlgorithm.Parse(named) : key.Spec.Algorithms[0];
        if (!key.Spec.CanSignWith(algorithm))
            throw CommandException.Usage($"{publicKeyFile} is a {key.Spec} key: it does not sign with {algorithm}.");
        var digest = await ArtifactDigest.ComputeAsync(artifact, algorithm, cancellationToken);
        var isDer = key.Spec.Family == KeyFamily.Ecc && parsed.GetRequiredValue(SignatureEncoding) is "der";
        if (isDer)
            signature = EcdsaEncoding.TryFromDer(signature, key.Spec.FieldLength, out var p1363) ? p1363 : [];
        var answer = new VerifyAnswer(key.Verify(algorithm, digest, signature), Kid: key.Kid);
        return new Answer(JsonSerializer.SerializeToUtf8Bytes(answer, CliJson.Default.VerifyAnswer));
    }
}
