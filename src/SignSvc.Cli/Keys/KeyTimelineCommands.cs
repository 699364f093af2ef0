using System.CommandLine;
using System.Globalization;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Keys;

/// <summary><c>signsvc keys versions</c> and <c>keys timeline</c>.</summary>
internal static class KeyTimelineCommands
{
    public static IEnumerable<Command> Create() => [CreateVersions(), CreateTimeline()];

    private static Command CreateVersions()
    {
        var command = new Command("versions", "Lists the versions of a key and how they were used.") { KeyLifecycleCommands.Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync($"{ApiPath.Key(parsed.GetRequiredValue(KeyLifecycleCommands.Key))}/versions", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.VersionUseList, WriteVersions, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateTimeline()
    {
        var command = new Command("timeline", "Shows when each version of a key is announced, signs, retires and may go.") { KeyLifecycleCommands.Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync($"{ApiPath.Key(parsed.GetRequiredValue(KeyLifecycleCommands.Key))}/timeline", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.TimelineAnswer, WriteTimeline, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void WriteVersions(VersionUseList list) => Tables.Write(
        ["VERSION", "STATE", "USES", "LAST USED", "TOKENS EXPIRE", "REVOKED", "KID"],
        list.Versions.Select(v => (Cell[])
        [
            NumberOf(v), StateOf(v), Cell.Of(v.Uses.ToString(CultureInfo.InvariantCulture)), Cell.Of(v.LastUsedAt),
            Cell.Of(v.TokensExpireAt), RevocationOf(v), Cell.Of(v.Kid),
        ]));

    private static void WriteTimeline(TimelineAnswer timeline)
    {
        Tables.Write(
            ["VERSION", "STATE", "ANNOUNCED", "ACTIVE", "RETIRE", "STOPS", "REMOVED", "SAFE TO DELETE"],
            timeline.Versions.Select(v => (Cell[])
            [
                NumberOf(v), StateOf(v), Cell.Of(v.CreatedAt), Cell.Of(v.SignsFrom), Cell.Of(v.RetiresAt), Cell.Of(v.SignsUntil),
                Cell.Of(v.RemovableAt), Cell.Of(v.SafeToDeleteAt),
            ]));
        if (timeline.DeletesAt is not null)
            Remarks.Write($"{timeline.Key} is pending deletion, at {Cell.Of(timeline.DeletesAt).Text}.");
        foreach (var due in timeline.Due ?? [])
            Remarks.Write($"due: {due}");
    }

    private static Cell NumberOf(VersionUse v) => Cell.Of(v.Version.ToString(CultureInfo.InvariantCulture));

    private static Cell StateOf(VersionUse v) => new(v.State, Stands: v.RevokedAt is not null);

    private static Cell RevocationOf(VersionUse v) =>
        v.RevokedAt is null ? Cell.Of((string?)null) : Cell.Of($"{Cell.Of(v.RevokedAt).Text} {v.RevocationReason}");
}
