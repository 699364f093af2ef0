using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Policies;

internal sealed record GrantAnswer(
    string Id, string KeyId, string Grantee, string[] Operations, JsonElement Constraints, DateTimeOffset CreatedAt, string CreatedBy,
    string? Name = null, DateTimeOffset? ExpiresAt = null, int? MaxUses = null, int? UsesLeft = null, string? Token = null);

internal sealed record GrantList(GrantAnswer[] Grants);

/// <summary><c>signsvc grants</c>: keys lent to somebody, within bounds.</summary>
internal static class GrantCommands
{
    private static readonly Option<string> Key = Parameters.KeyOption();
    private static readonly Argument<string> Id = Parameters.Required("id", "Of the grant.");

    public static Command Create(TimeProvider time) => new("grants", "Grants: a key lent to somebody, within bounds.")
    {
        CreateCreate(time),
        CreateList(),
        CreateEnd("revoke", "Takes a grant back.", (service, path, cancellationToken) => service.DeleteAsync(path, cancellationToken)),
        CreateEnd("retire", "Gives back a grant of one's own.", (service, path, cancellationToken) => service.PostAsync($"{path}/retire", cancellationToken)),
    };

    private static Command CreateCreate(TimeProvider time)
    {
        var grantee = Parameters.Required("grantee", "A principal, or a pattern of some: oidc:github:repo:acme/app:*.");
        var operations = new Option<string[]>("--operation")
        {
            HelpName = "keys:Sign|keys:Verify|keys:Read",
            Description = "What it lets the grantee do. May be given several times.",
            DefaultValueFactory = _ => ["keys:Sign"],
        };
        var name = Parameters.Text("--name", "name", "Asked twice under one name, for the same, it is the same grant.");
        var constraints = Parameters.Many("--where", "fact=value", "What has to be so: context.ref=refs/heads/main, caller.repository=acme/*.");
        var expires = Parameters.Text("--expires", "time", "When it ends: 2030-01-31T12:00:00Z, or how long it lasts: 2h, 90d. Default: never.");
        var uses = Parameters.Number("--uses", "Signatures in all. Default: any number.");

        var command = new Command("create", "Makes a grant.") { grantee, Key, operations, name, constraints, expires, uses };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new JsonObject
            {
                ["grantee"] = parsed.GetRequiredValue(grantee),
                ["operations"] = new JsonArray([.. parsed.GetRequiredValue(operations).Select(o => JsonValue.Create(o))]),
            };
            if (parsed.GetValue(name) is { } called)
                body["name"] = called;
            if (parsed.GetValue(uses) is { } bound)
                body["maxUses"] = bound;
            if (parsed.GetValue(expires) is { } text)
                body["expiresAt"] = Durations.Rfc3339(Durations.ParseTime("--expires", text, time, ahead: true));
            if (parsed.GetRequiredValue(constraints) is { Length: > 0 } wishes)
                body["constraints"] = new JsonObject { ["stringLike"] = Constraints(wishes) };

            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PostAsync(
                $"{ApiPath.Key(parsed.GetRequiredValue(Key))}/grants", PolicyFile.Element(body), CliJson.Default.JsonElement, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.GrantAnswer, made => Write([made]), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateList()
    {
        var command = new Command("list", "Lists a key's live grants.") { Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync($"{ApiPath.Key(parsed.GetRequiredValue(Key))}/grants", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.GrantList, list => Write(list.Grants), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateEnd(string name, string description, Func<ServiceClient, string, CancellationToken, Task> end)
    {
        var command = new Command(name, description) { Id, Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            await end(service, ApiPath.Grant(parsed.GetRequiredValue(Key), parsed.GetRequiredValue(Id)), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>Several values of one fact: one of them has to fit.</summary>
    private static JsonObject Constraints(string[] wishes) => new(wishes
        .Select(w => Parameters.Pair("--where", w))
        .GroupBy(w => w.Name, StringComparer.Ordinal)
        .Select(g => KeyValuePair.Create<string, JsonNode?>(g.Key, new JsonArray([.. g.Select(w => JsonValue.Create(w.Value))]))));

    private static void Write(GrantAnswer[] grants) => Tables.Write(
        ["ID", "NAME", "GRANTEE", "OPERATIONS", "EXPIRES", "USES LEFT"],
        grants.Select(g => (Cell[])
        [
            Cell.Of(g.Id), Cell.Of(g.Name ?? ""), Cell.Of(g.Grantee), Cell.Of(string.Join(' ', g.Operations)),
            g.ExpiresAt is null ? Cell.Of("never") : Cell.Of(g.ExpiresAt), Cell.Of(g.UsesLeft is { } left ? $"{left} of {g.MaxUses}" : "any"),
        ]));
}
