using System.CommandLine;
using System.Globalization;
using SignSvc.Cli.Http;

namespace SignSvc.Cli.Keys;

/// <summary><c>signsvc keys enable|disable|rotate|rewrap|revoke-version|delete|cancel-deletion</c>.</summary>
internal static class KeyLifecycleCommands
{
    public static readonly Argument<string> Key = Parameters.Required("key", "Name, id or alias.");

    public static IEnumerable<Command> Create() =>
    [
        CreateStep("enable", "Lets a key sign again.", "enable"),
        CreateStep("disable", "Lets a key sign nothing; it still verifies and stays published.", "disable"),
        CreateStep("rotate", "Announces the next version; with a lead of 0 it signs at once.", "rotate"),
        CreateStep("rewrap", "Wraps a volume key's private keys anew, under the newest wrapping key.", "rewrap"),
        CreateRevoke(),
        CreateDelete(),
        CreateStep("cancel-deletion", "Takes a deletion back; the key comes back disabled.", "cancel-deletion"),
    ];

    private static Command CreateStep(string name, string description, string step)
    {
        var command = new Command(name, description) { Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PostAsync($"{ApiPath.Key(parsed.GetRequiredValue(Key))}/{step}", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, KeyCommands.WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateRevoke()
    {
        var version = new Argument<int>("version") { Description = "Its number." };
        var reason = new Option<string>("--reason") { HelpName = "compromised|superseded|ceased", Required = true, Description = "Why; it is kept for good." };
        reason.AcceptOnlyFromAmong("compromised", "superseded", "ceased");
        var yes = Confirmation.YesOption();
        var command = new Command("revoke-version", "Revokes one version of a key, for good: what it signed is not valid any more.") { Key, version, reason, yes };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var key = await ReadAsync(service, parsed.GetRequiredValue(Key), cancellationToken);
            var number = parsed.GetRequiredValue(version).ToString(CultureInfo.InvariantCulture);
            Confirmation.Require(
                parsed.GetValue(yes), $"Version {number} of {key.Name} will be revoked as {parsed.GetRequiredValue(reason)}, for good.", key.Name);
            var answer = await service.PostAsync(
                $"{ApiPath.Key(key.Id)}/versions/{number}/revoke", new RevokeBody(parsed.GetRequiredValue(reason)),
                CliJson.Default.RevokeBody, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, KeyCommands.WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateDelete()
    {
        var days = Parameters.Number("--pending-window-days", "After how many days, 7 to 30; until then cancel-deletion takes it back. Default: 30.");
        var yes = Confirmation.YesOption();
        var command = new Command("delete", "Deletes a key after a waiting time; it signs nothing from now on.") { Key, days, yes };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var key = await ReadAsync(service, parsed.GetRequiredValue(Key), cancellationToken);
            var window = parsed.GetValue(days)?.ToString(CultureInfo.InvariantCulture);
            Confirmation.Require(
                parsed.GetValue(yes), $"The key {key.Name} signs nothing from now on, and its private keys are destroyed after {window ?? "30"} days.", key.Name);
            var answer = await service.DeleteAsync(
                ApiPath.WithQuery(ApiPath.Key(key.Id), ("pendingWindowInDays", window)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, KeyCommands.WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>What is confirmed is what is changed: an alias may move in between, an id does not.</summary>
    private static async Task<KeyAnswer> ReadAsync(ServiceClient service, string reference, CancellationToken cancellationToken) =>
        (await service.GetAsync(ApiPath.Key(reference), cancellationToken)).Read(CliJson.Default.KeyAnswer);
}
