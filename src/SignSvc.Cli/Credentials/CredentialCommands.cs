using System.CommandLine;
using System.Text;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Credentials;

internal sealed record NewCredentialBody(string Name, string[] Roles, string? ExpiresAt);

internal sealed record CredentialAnswer(
    string Id, string Name, string Principal, string[] Roles, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt,
    DateTimeOffset? RevokedAt, string? Token = null);

internal sealed record CredentialList(CredentialAnswer[] Credentials);

/// <summary><c>signsvc credentials</c>: who may come in by a bearer token.</summary>
internal static class CredentialCommands
{
    public static Command Create(TimeProvider time) => new("credentials", "Service credentials: who may come in by a bearer token.")
    {
        CreateCreate(time),
        CreateList(time),
        CreateRevoke(time),
    };

    private static Command CreateCreate(TimeProvider time)
    {
        var name = Parameters.Required("name", "Never used before.");
        var roles = new Option<string[]>("--role") { HelpName = "admin|operator|signer|auditor", Required = true, Description = "What it may do. May be given several times." };
        roles.AcceptOnlyFromAmong("admin", "operator", "signer", "auditor");
        var expires = Parameters.Text("--expires", "time", "When it ends: 2030-01-31T12:00:00Z, or how long it lasts: 2h, 90d. Default: never.");
        var file = Parameters.Text("--output-token", "file", "Writes the token to this new file, mode 0600; it is then not printed, in JSON neither.");

        var command = new Command("create", "Makes a credential and prints its token, which is shown this once.") { name, roles, expires, file };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var expiresAt = parsed.GetValue(expires) is { } text ? Durations.ParseTime("--expires", text, time, ahead: true) : (DateTimeOffset?)null;
            var body = new NewCredentialBody(
                parsed.GetRequiredValue(name), parsed.GetRequiredValue(roles), expiresAt is { } at ? Durations.Rfc3339(at) : null);
            using var service = ServiceClient.Connect(parsed);
            using var output = parsed.GetValue(file) is { } path ? OutputFile.OpenSecret(path) : null;
            var answer = await service.PostAsync("/v1/credentials", body, CliJson.Default.NewCredentialBody, cancellationToken);
            var made = answer.Read(CliJson.Default.CredentialAnswer);
            if (output is not null)
                await WriteToFileAsync(parsed, output, made, time, cancellationToken);
            else
                await answer.ShowAsync(parsed, CliJson.Default.CredentialAnswer, WriteToken, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateList(TimeProvider time)
    {
        var command = new Command("list", "Lists credentials.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/credentials", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.CredentialList, list => Write(list.Credentials, time), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateRevoke(TimeProvider time)
    {
        var name = Parameters.Required("name", "Its name.");
        var command = new Command("revoke", "Ends a credential, at once and for good.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PostAsync($"{ApiPath.Credential(parsed.GetRequiredValue(name))}/revoke", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.CredentialAnswer, revoked => Write([revoked], time), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task WriteToFileAsync(
        ParseResult parsed, OutputFile output, CredentialAnswer made, TimeProvider time, CancellationToken cancellationToken)
    {
        await output.WriteAsync(Encoding.ASCII.GetBytes($"{made.Token}\n"), cancellationToken);
        var shown = made with { Token = null };
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(shown, CliJson.Default.CredentialAnswer), cancellationToken);
        else
            Write([shown], time);
    }

    /// <summary>The token alone is on standard output, so that it can be piped on.</summary>
    private static void WriteToken(CredentialAnswer made)
    {
        Remarks.Write($"Made {made.Principal} ({string.Join(", ", made.Roles)}). This is its token; it is not shown again:");
        Console.Out.WriteLine(made.Token);
    }

    private static void Write(CredentialAnswer[] credentials, TimeProvider time)
    {
        var now = time.GetUtcNow();
        Tables.Write(
            ["NAME", "STATE", "ROLES", "CREATED", "EXPIRES", "ID"],
            credentials.Select(c => (Cell[])
            [
                Cell.Of(c.Name), new Cell(StateOf(c, now), Stands: c.RevokedAt is not null), Cell.Of(string.Join(',', c.Roles)),
                Cell.Of(c.CreatedAt), c.ExpiresAt is null ? Cell.Of("never") : Cell.Of(c.ExpiresAt), Cell.Of(c.Id),
            ]));
    }

    private static string StateOf(CredentialAnswer credential, DateTimeOffset now) => credential switch
    {
        { RevokedAt: not null } => "revoked",
        { ExpiresAt: { } at } when at <= now => "expired",
        _ => "valid",
    };
}
