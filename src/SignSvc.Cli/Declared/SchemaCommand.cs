using System.CommandLine;

namespace SignSvc.Cli.Declared;

/// <summary><c>signsvc schema</c>: the JSON Schema of the manifests, for editors and checks.</summary>
internal static class SchemaCommand
{
    public static Command Create()
    {
        var command = new Command("schema", "Prints the JSON Schema of the manifests that plan and apply take.");
        command.SetAction(async (_, cancellationToken) =>
        {
            await using var schema = typeof(SchemaCommand).Assembly.GetManifestResourceStream("schema.json")!;
            await using var output = Console.OpenStandardOutput();
            await schema.CopyToAsync(output, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }
}
