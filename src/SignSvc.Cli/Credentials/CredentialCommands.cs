using System.CommandLine;
using System.Text;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Credentials;

internal sealed record NewCredentialBody(string Name, string[] Roles, string? ExpiresAt, string[]? Addresses = null);

internal sealed record RotateCredentialBody(int? OverlapSeconds, string? ExpiresAt);

internal sealed record CredentialAnswer(
    string Id, string Name, string Principal, string[] Roles, DateTimeOffset CreatedAt, DateTimeOffset? ExpiresAt,
    DateTimeOffset? RevokedAt, DateTimeOffset? RotatedAt = null, DateTimeOffset? PreviousUntil = null, string[]? Addresses = null,
    DateTimeOffset? LastUsedAt = null, string? Token = null);

internal sealed record CredentialList(CredentialAnswer[] Credentials);

/// <summary><c>signsvc credentials</c>: who may come in by a bearer token.</summary>
internal static class CredentialCommands
{
    private static readonly Option<bool> Force = new("--force") { Description = "Also where nobody could administer the service any more, or not for long." };

    public static Command Create(TimeProvider time) => new("credentials", "Service credentials: who may come in by a bearer token.")
    {
        CreateCreate(time),
        CreateList(time),
        CreateShow(time),
        CreateRotate(time),
        CreateRevoke(time),
    };

    private static Command CreateCreate(TimeProvider time)
    {
        var name = Parameters.Required("name", "Never used before.");
        var roles = new Option<string[]>("--role") { HelpName = "admin|operator|signer|auditor", Required = true, Description = "What it may do. May be given several times." };
        roles.AcceptOnlyFromAmong("admin", "operator", "signer", "auditor");
        var expires = Parameters.Text("--expires", "time", "When it ends: 2030-01-31T12:00:00Z, or how long it lasts: 2h, 90d. Default: never.");
        var file = Parameters.Text("--output-token", "file", "Writes the token to this new file, mode 0600; it is then not printed, in JSON neither.");

        var addresses = new Option<string[]>("--address") { HelpName = "network", Description = "A network that it may be used from: 10.0.0.0/8. May be given several times. Default: anywhere." };

        var command = new Command("create", "Makes a credential and prints its token, which is shown this once.") { name, roles, expires, addresses, file };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var expiresAt = parsed.GetValue(expires) is { } text ? Durations.ParseTime("--expires", text, time, ahead: true) : (DateTimeOffset?)null;
            var body = new NewCredentialBody(
                parsed.GetRequiredValue(name), parsed.GetRequiredValue(roles), expiresAt is { } at ? Durations.Rfc3339(at) : null,
                parsed.GetValue(addresses) is { Length: > 0 } networks ? networks : null);
            using var service = ServiceClient.Connect(parsed);
            using var output = parsed.GetValue(file) is { } path ? OutputFile.OpenSecret(path) : null;
            var answer = await service.PostAsync("/v1/credentials", body, CliJson.Default.NewCredentialBody, cancellationToken);
            await ShowTokenAsync(parsed, answer, output, "Made", time, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateShow(TimeProvider time)
    {
        var name = Parameters.Required("name", "Its name.");
        var command = new Command("show", "Shows a credential: its state, its networks, when it was last used.") { name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync(ApiPath.Credential(parsed.GetRequiredValue(name)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.CredentialAnswer, c => WriteFacts(c, time), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateRotate(TimeProvider time)
    {
        var name = Parameters.Required("name", "Its name.");
        var overlap = Parameters.Text("--overlap", "time", "How long the old token stays good: 10m, 2h, 7d, or 0. Default: 1h.");
        var expires = Parameters.Text("--expires", "time", "When it ends: 2030-01-31T12:00:00Z, or how long it lasts: 2h, 90d. Default: as it was.");
        var file = Parameters.Text("--output-token", "file", "Writes the token to this new file, mode 0600; it is then not printed, in JSON neither.");
        var command = new Command("rotate", "Gives a credential a new token, which is shown this once.") { name, overlap, expires, file, Force };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var expiresAt = parsed.GetValue(expires) is { } text ? Durations.ParseTime("--expires", text, time, ahead: true) : (DateTimeOffset?)null;
            var seconds = parsed.GetValue(overlap) is "0" ? 0 : Durations.Seconds("--overlap", parsed.GetValue(overlap));
            var body = new RotateCredentialBody(seconds, expiresAt is { } at ? Durations.Rfc3339(at) : null);
            using var service = ServiceClient.Connect(parsed);
            using var output = parsed.GetValue(file) is { } path ? OutputFile.OpenSecret(path) : null;
            var answer = await service.PostAsync(
                WithForce(parsed, $"{ApiPath.Credential(parsed.GetRequiredValue(name))}/rotate"), body, CliJson.Default.RotateCredentialBody, cancellationToken);
            await ShowTokenAsync(parsed, answer, output, "Rotated", time, cancellationToken);
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
        var command = new Command("revoke", "Ends a credential, at once and for good.") { name, Force };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PostAsync(WithForce(parsed, $"{ApiPath.Credential(parsed.GetRequiredValue(name))}/revoke"), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.CredentialAnswer, revoked => Write([revoked], time), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static string WithForce(ParseResult parsed, string path) => ApiPath.WithQuery(path, ("force", parsed.GetValue(Force) ? "true" : null));

    private static async Task ShowTokenAsync(
        ParseResult parsed, Answer answer, OutputFile? output, string done, TimeProvider time, CancellationToken cancellationToken)
    {
        if (output is null)
        {
            await answer.ShowAsync(parsed, CliJson.Default.CredentialAnswer, made => WriteToken(done, made), cancellationToken);
            return;
        }

        var made = answer.Read(CliJson.Default.CredentialAnswer);
        await output.WriteAsync(Encoding.ASCII.GetBytes($"{made.Token}\n"), cancellationToken);
        var shown = made with { Token = null };
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(shown, CliJson.Default.CredentialAnswer), cancellationToken);
        else
            Write([shown], time);
    }

    /// <summary>The token alone is on standard output, so that it can be piped on.</summary>
    private static void WriteToken(string done, CredentialAnswer made)
    {
        var old = made.PreviousUntil is { } until ? $" The old one is good until {Durations.Rfc3339(until)}." : "";
        Remarks.Write($"{done} {made.Principal} ({string.Join(", ", made.Roles)}).{old} This is its token; it is not shown again:");
        Console.Out.WriteLine(made.Token);
    }

    private static void WriteFacts(CredentialAnswer c, TimeProvider time) => Tables.WriteFacts(
        ("name", Cell.Of(c.Name)),
        ("id", Cell.Of(c.Id)),
        ("state", new Cell(StateOf(c, time.GetUtcNow()), Stands: c.RevokedAt is not null)),
        ("roles", Cell.Of(string.Join(", ", c.Roles))),
        ("created", Cell.Of(c.CreatedAt)),
        ("rotated", Cell.Of(c.RotatedAt)),
        ("old token until", Cell.Of(c.PreviousUntil)),
        ("expires", c.ExpiresAt is null ? Cell.Of("never") : Cell.Of(c.ExpiresAt)),
        ("used from", Cell.Of(c.Addresses is null ? "anywhere" : string.Join(", ", c.Addresses))),
        ("last used", Cell.Of(c.LastUsedAt)));

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
