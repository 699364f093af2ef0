using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Backups;

internal sealed record BackupResult(string File, long Bytes);

/// <summary><c>signsvc backup</c>: all that is stored, as of one moment, encrypted under the root key, while the service goes on.</summary>
internal static class BackupCommand
{
    public static Command Create()
    {
        var file = Parameters.Required("file", "A new file; it is made with mode 0600.");
        var command = new Command("backup", "Takes a backup while the service signs on. It needs an administrator. The root key is not in it: keep that elsewhere.") { file };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            using var output = OutputFile.OpenSecret(parsed.GetRequiredValue(file));
            var bytes = await service.PostAsync("/v1/backup", output.CopyFromAsync, cancellationToken);
            var result = new BackupResult(parsed.GetRequiredValue(file), bytes);
            if (parsed.WantsJson())
                await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(result, CliJson.Default.BackupResult), cancellationToken);
            else
                Lines.Write([new Line($"{result.File}: {result.Bytes} bytes. Check it where the root key is: SIGNSVC_DATA=/folder/with/root.key dotnet SignSvc.dll restore --check {result.File}")]);
            return ExitCode.Ok;
        });
        return command;
    }
}
