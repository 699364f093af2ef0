using System.CommandLine;
using SignSvc.Cli.Declared;
using SignSvc.Cli.Http;

namespace SignSvc.Cli.Keys;

/// <summary><c>signsvc keys update</c>: what may be changed of a key at any time.</summary>
internal static class KeyUpdateCommand
{
    public static Command Create()
    {
        var description = Parameters.Text("--description", "text", "For people.");
        var owner = Parameters.Text("--owner", "text", "Who answers for it.");
        var tags = Parameters.Many("--tag", "name=value", "All tags from now on.");
        var clearTags = new Option<bool>("--clear-tags") { Description = "No tags from now on." };
        var protection = new Option<bool?>("--deletion-protection") { HelpName = "true|false", Description = "Refuses to be deleted." };
        var signing = Parameters.Number("--min-signing-version", "Older versions sign no more.");
        var verification = Parameters.Number("--min-verification-version", "Older versions verify no more.");
        var rotation = new RotationOptions();

        var command = new Command("update", "Changes a key; what is not named stays as it is.")
        {
            KeyLifecycleCommands.Key, description, owner, tags, clearTags, protection, signing, verification,
        };
        rotation.AddTo(command);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var newTags = parsed.GetValue(clearTags) ? [] : KeyCommands.ParseTags(parsed.GetValue(tags));
            var body = new KeyUpdateBody(
                parsed.GetValue(description), parsed.GetValue(owner), newTags, rotation.Read(parsed)?.ForChange(), parsed.GetValue(protection),
                parsed.GetValue(signing), parsed.GetValue(verification));
            if (body == new KeyUpdateBody())
                throw CommandException.Usage("Nothing was named that shall change.", "See 'signsvc keys update --help'.");

            using var service = ServiceClient.Connect(parsed);
            var path = ApiPath.Key(parsed.GetRequiredValue(KeyLifecycleCommands.Key));
            string? onlyIf = null;
            if (newTags is not null)
            {
                var key = (await service.GetAsync(path, cancellationToken)).Read(CliJson.Default.KeyAnswer);
                // What was read goes back with the change: an apply in between must not be undone by it.
                (path, onlyIf) = (ApiPath.Key(key.Id), key.Etag);
                body = body with { Tags = ManagedTags.Carry(key.Tags, newTags) };
            }

            var answer = await service.PatchAsync(path, body, CliJson.Default.KeyUpdateBody, cancellationToken, onlyIf);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, KeyCommands.WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }
}
