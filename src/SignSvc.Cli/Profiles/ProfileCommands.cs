using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Profiles;

internal sealed record ProfileAnswer(
    string Name, string KeyId, string? Issuer, string[] Audiences, int DefaultLifetimeSeconds, int MaxLifetimeSeconds, string Type);

internal sealed record ProfileList(ProfileAnswer[] Profiles);

/// <summary><c>signsvc profiles</c>: what tokens callers may get.</summary>
internal static class ProfileCommands
{
    public static Command Create() => new("profiles", "Token profiles: what tokens callers may get.") { CreateList(), CreateShow() };

    private static Command CreateList()
    {
        var command = new Command("list", "Lists token profiles.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/profiles", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ProfileList, WriteList, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateShow()
    {
        var profile = Parameters.Required("profile", "Its name.");
        var command = new Command("show", "Shows one token profile.") { profile };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync(ApiPath.Profile(parsed.GetRequiredValue(profile)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ProfileAnswer, WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void WriteList(ProfileList list) => Tables.Write(
        ["NAME", "TYPE", "LIFETIME", "AUDIENCES", "ISSUER"],
        list.Profiles.Select(p => (Cell[])
        [
            Cell.Of(p.Name), Cell.Of(p.Type), LifetimeOf(p), Cell.Of(string.Join(' ', p.Audiences)), IssuerOf(p),
        ]));

    private static void WriteOne(ProfileAnswer p) => Tables.WriteFacts(
        ("name", Cell.Of(p.Name)),
        ("type", Cell.Of(p.Type)),
        ("key", Cell.Of(p.KeyId)),
        ("issuer", IssuerOf(p)),
        ("audiences", Cell.Of(string.Join(' ', p.Audiences))),
        ("lifetime", LifetimeOf(p)));

    private static Cell LifetimeOf(ProfileAnswer p) => Cell.Of($"{p.DefaultLifetimeSeconds} s, at most {p.MaxLifetimeSeconds} s");

    private static Cell IssuerOf(ProfileAnswer p) => Cell.Of(p.Issuer ?? "the service");
}
