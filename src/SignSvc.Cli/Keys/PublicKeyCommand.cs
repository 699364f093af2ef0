using System.CommandLine;
using System.Globalization;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Keys;

/// <summary><c>signsvc keys public-key</c>: what verifiers need.</summary>
internal static class PublicKeyCommand
{
    public static Command Create()
    {
        var key = Parameters.Required("key", "Name or id.");
        var format = Parameters.OneOf("--format", "PEM and DER are SubjectPublicKeyInfo. Default: pem; with --output json: jwk.", "pem", "der", "jwk");
        var version = Parameters.Number("--key-version", "Which version. Default: the one that signs now.");
        var file = Parameters.Text("--output-file", "file", "Writes it there instead of to standard output.");

        var command = new Command("public-key", "Prints a key's public half.") { key, format, version, file };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var wanted = parsed.GetValue(format) ?? (parsed.WantsJson() ? "jwk" : "pem");
            using var service = ServiceClient.Connect(parsed);
            using var output = parsed.GetValue(file) is { } path ? OutputFile.Open(path) : null;
            var answer = await service.GetAsync(
                ApiPath.WithQuery(
                    $"{ApiPath.Key(parsed.GetRequiredValue(key))}/public-key",
                    ("format", wanted), ("version", parsed.GetValue(version)?.ToString(CultureInfo.InvariantCulture))),
                cancellationToken);
            if (output is not null)
                await output.WriteAsync(answer.Body, cancellationToken);
            else if (wanted is "jwk")
                await StandardOutput.WriteLineAsync(answer.Body, cancellationToken);
            else
                await StandardOutput.WriteAsync(answer.Body, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }
}
