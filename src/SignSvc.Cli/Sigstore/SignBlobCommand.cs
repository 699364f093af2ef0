using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Signing;

namespace SignSvc.Cli.Sigstore;

/// <summary><c>signsvc sign-blob</c>: a Sigstore bundle of a file.</summary>
internal static class SignBlobCommand
{
    private static readonly Option<string> Key = Parameters.KeyOption();

    public static Command Create()
    {
        var command = new Command("sign-blob", "Signs a file and writes a Sigstore bundle: hashes it here and has its digest signed.")
        {
            ArtifactDigest.File, Key, ArtifactDigest.Algorithm, BundleOutput.BundleFile, BundleOutput.SignatureFile,
        };
        ContextOptions.AddTo(command);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var path = parsed.GetRequiredValue(ArtifactDigest.File);
        var key = parsed.GetRequiredValue(Key);
        await using var artifact = InputFile.Open(path);
        using var output = BundleOutput.Open(parsed);
        using var service = ServiceClient.Connect(parsed);
        var algorithm = await ArtifactDigest.ChooseAsync(parsed.GetValue(ArtifactDigest.Algorithm), key, service, cancellationToken);
        var digest = await ArtifactDigest.ComputeAsync(artifact, algorithm, cancellationToken);
        var body = new BundleBody(algorithm.Name, ContextOptions.Of(parsed, path), digest);
        return await output.SignAsync(parsed, service, key, body, InputFile.NameOf(path), cancellationToken);
    }
}
