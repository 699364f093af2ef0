using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Keys;

/// <summary><c>signsvc aliases</c>.</summary>
internal static class AliasCommands
{
    private static readonly Argument<string> Alias = Parameters.Required("alias", "Names joined by slashes: prod/app.");

    public static Command Create() => new("aliases", "Further names of keys, which can move from key to key.")
    {
        CreatePut(),
        CreateList(),
        CreateDelete(),
    };

    private static Command CreatePut()
    {
        var key = Parameters.Required("key", "Name or id of the key that it shall stand for.");
        var command = new Command("put", "Makes an alias, or moves it at once.") { Alias, key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PutAsync(
                ApiPath.Alias(parsed.GetRequiredValue(Alias)), new AliasBody(parsed.GetRequiredValue(key)), CliJson.Default.AliasBody, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.AliasAnswer, made => Write([made]), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateList()
    {
        var command = new Command("list", "Lists aliases.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/aliases", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.AliasList, list => Write(list.Aliases), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateDelete()
    {
        var command = new Command("delete", "Deletes an alias; the key stays.") { Alias };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            await service.DeleteAsync(ApiPath.Alias(parsed.GetRequiredValue(Alias)), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Write(AliasAnswer[] aliases) => Tables.Write(
        ["ALIAS", "KEY", "KEY ID"], aliases.Select(a => (Cell[])[Cell.Of(a.Alias), Cell.Of(a.Key), Cell.Of(a.KeyId)]));
}
