using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Signing;

/// <summary><c>signsvc sign</c>.</summary>
internal static class SignCommand
{
    private static readonly Option<string> Key = Parameters.KeyOption();
    private static readonly Option<string> SignatureEncoding = ArtifactDigest.EncodingOption();
    private static readonly Option<string?> SignatureFile = Parameters.Text("--output-signature", "file", "Writes the signature there instead of to standard output.");
    private static readonly Option<string?> Format = Parameters.OneOf("--format", "The signature as base64 (default) or as its bytes.", "base64", "raw");

    public static Command Create()
    {
        var command = new Command("sign", "Signs a file: hashes it here and has its digest signed.")
        {
            ArtifactDigest.File, Key, ArtifactDigest.Algorithm, SignatureEncoding, SignatureFile, Format,
        };
        ContextOptions.AddTo(command);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(ArtifactDigest.File);
        var key = parsed.GetRequiredValue(Key);
        var isRaw = parsed.GetValue(Format) is "raw";
        var signatureFile = parsed.GetValue(SignatureFile);
        if (isRaw && signatureFile is null && parsed.WantsJson())
            throw CommandException.Usage("With --output json the signature is in the JSON: --format raw needs --output-signature.");

        await using var artifact = InputFile.Open(path);
        using var output = signatureFile is null ? null : OutputFile.Open(signatureFile);
        using var service = ServiceClient.Connect(parsed);
        var algorithm = await ArtifactDigest.ChooseAsync(parsed.GetValue(ArtifactDigest.Algorithm), key, service, cancellationToken);
        var digest = await ArtifactDigest.ComputeAsync(artifact, algorithm, cancellationToken);
        var body = new SignBody(digest, algorithm.Name, parsed.GetRequiredValue(SignatureEncoding), ContextOptions.Of(parsed, path));
        var answer = await service.PostAsync($"{ApiPath.Key(key)}/sign", body, CliJson.Default.SignBody, cancellationToken);
        var signed = answer.Read(CliJson.Default.SignAnswer);

        var signature = SignatureText.Write(signed.Signature, isRaw);
        if (output is not null)
            await output.WriteAsync(signature, cancellationToken);
        if (parsed.WantsJson())
        {
            await StandardOutput.WriteLineAsync(answer.Body, cancellationToken);
            return ExitCode.Ok;
        }

        if (output is null)
            await StandardOutput.WriteAsync(signature, cancellationToken);
        Remarks.Write(
            $"Signed {InputFile.NameOf(path)} with {key} version {signed.Version}: {signed.Algorithm}, {signed.Encoding}, protection {signed.Protection}, kid {signed.Kid}, audit {signed.AuditId}");
        foreach (var warning in signed.Warnings ?? [])
            Remarks.Warn(warning);
        return ExitCode.Ok;
    }
}
