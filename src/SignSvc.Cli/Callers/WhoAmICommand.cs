using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Callers;

internal sealed record WhoAmIAnswer(
    string Principal, string? Kind, string? Source, string[] Roles, Dictionary<string, string[]> Claims, string? Address, DateTimeOffset? ExpiresAt);

/// <summary><c>signsvc whoami</c>: how the service understands the credential that other commands use.</summary>
internal static class WhoAmICommand
{
    public static Command Create()
    {
        var command = new Command("whoami", "Shows how the service understood you: principal, roles, claims.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/whoami", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.WhoAmIAnswer, Write, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Write(WhoAmIAnswer you) => Tables.WriteFacts(
    [
        ("principal", Cell.Of(you.Principal)),
        ("known by", Cell.Of($"{you.Kind} {you.Source}")),
        ("roles", Cell.Of(you.Roles.Length == 0 ? "none" : string.Join(", ", you.Roles))),
        ("address", Cell.Of(you.Address)),
        ("expires", you.ExpiresAt is null ? Cell.Of("never") : Cell.Of(you.ExpiresAt)),
        .. you.Claims.Select(c => ($"claim {c.Key}", Cell.Of(string.Join(", ", c.Value)))),
    ]);
}
