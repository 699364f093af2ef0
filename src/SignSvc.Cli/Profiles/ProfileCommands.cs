using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Profiles;

internal sealed record ProfileAnswer(
    string Name, string KeyId, string? Issuer, string[] Audiences, int DefaultLifetimeSeconds, int MaxLifetimeSeconds, string Type);

internal sealed record ProfileBody(
    string Key, string[] Audiences, int? DefaultLifetimeSeconds, int? MaxLifetimeSeconds, string? Issuer, string? Type);

internal sealed record ProfileList(ProfileAnswer[] Profiles);

/// <summary><c>signsvc profiles</c>: what tokens callers may get.</summary>
internal static class ProfileCommands
{
    public static Command Create() => new("profiles", "Token profiles: what tokens callers may get.") { CreateList(), CreateShow(), CreatePut() };

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

    private static Command CreatePut()
    {
        var profile = Parameters.Required("profile", "Its name.");
        var key = new Option<string>("--key") { HelpName = "key", Required = true, Description = "Name or id of the tokens key that signs." };
        var audiences = new Option<string[]>("--audience") { HelpName = "audience", Required = true, Description = "What may be asked for; * at the end stands for any rest. May be given several times." };
        var usual = Parameters.Text("--default-lifetime", "time", "How long a token lives: 300, 15m. Default: 300 s.");
        var longest = Parameters.Text("--max-lifetime", "time", "How long a token may live. Default: 3600 s.");
        var issuer = Parameters.Text("--issuer", "URL", "Default: the service's public URL.");
        var type = Parameters.OneOf("--type", "Default: at+jwt.", "at+jwt", "JWT");

        var command = new Command("put", "Makes a token profile, or replaces it whole.") { profile, key, audiences, usual, longest, issuer, type };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new ProfileBody(
                parsed.GetRequiredValue(key), parsed.GetRequiredValue(audiences), Durations.Seconds("--default-lifetime", parsed.GetValue(usual)),
                Durations.Seconds("--max-lifetime", parsed.GetValue(longest)), parsed.GetValue(issuer), parsed.GetValue(type));
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PutAsync(
                ApiPath.Profile(parsed.GetRequiredValue(profile)), body, CliJson.Default.ProfileBody, cancellationToken);
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
