using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Policies;

/// <summary><c>signsvc policy</c>: who may do what.</summary>
internal static class PolicyCommands
{
    private static readonly Option<string?> Key = Parameters.Text("--key", "key", "The policy of this key, in place of a service policy.");
    private static readonly Option<bool> Force = new("--force") { Description = "Also where nobody could change it back." };
    private static readonly Argument<string?> Name = new("name") { Arity = ArgumentArity.ZeroOrOne, Description = "Of a service policy." };

    public static Command Create() => new("policy", "Policies: who may do what, under which conditions.")
    {
        CreatePut(),
        CreateGet(),
        CreateList(),
        CreateDelete(),
        CreateLint(),
        PolicyExplainCommand.Create(),
        PolicyTestCommand.Create(),
    };

    /// <param name="name">Where it is meant to stand; null: not known.</param>
    internal static Task<Answer> LintAsync(ServiceClient service, JsonElement document, bool ofKey, string? name, CancellationToken cancellationToken) =>
        service.PostAsync(
            ApiPath.WithQuery("/v1/policy/lint", ("scope", ofKey ? "key" : "service"), ("name", name)), document, CliJson.Default.JsonElement, cancellationToken);

    private static Command CreatePut()
    {
        var file = Parameters.Text("--file", "file", "YAML or JSON, also in AWS's form; - for standard input (the default).");
        var command = new Command("put", "Makes a policy, or replaces it whole.") { Name, Key, file, Force };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var document = PolicyFile.Element(PolicyFile.ToJson(await PolicyFile.ReadAsync(parsed.GetValue(file) ?? InputFile.StandardInput, cancellationToken)));
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PutAsync(WithForce(parsed), document, CliJson.Default.JsonElement, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.PolicyAnswer, put => WriteFindings(put.Findings ?? []), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateGet()
    {
        var command = new Command("get", "Prints a policy's document, as put takes it.") { Name, Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync(PathOf(parsed), cancellationToken);
            await answer.ShowAsync(
                parsed, CliJson.Default.PolicyAnswer,
                policy => Console.Out.WriteLine(JsonSerializer.Serialize(policy.Document, CliJson.Default.JsonElement)), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateList()
    {
        var command = new Command("list", "Lists service policies and the built-in ones.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/policies", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.PolicyList, WriteList, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateDelete()
    {
        var command = new Command("delete", "Deletes a policy: what it allowed and what it denied.") { Name, Key, Force };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            await service.DeleteAsync(WithForce(parsed), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateLint()
    {
        var file = Parameters.Required("file", "YAML or JSON; - for standard input.");
        var ofKey = new Option<bool>("--of-key") { Description = "It is meant for a key, and needs no resources." };
        var policy = Parameters.Text("--policy", "name", "The service policy that it is meant for: says also whether it would lock its administrators out there.");
        var key = Parameters.Text("--key", "key", "The key that it is meant for, likewise.");
        var command = new Command("lint", "Looks for what is seldom meant. Ends with 1 where there is something.") { file, ofKey, policy, key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var document = PolicyFile.Element(PolicyFile.ToJson(await PolicyFile.ReadAsync(parsed.GetRequiredValue(file), cancellationToken)));
            using var service = ServiceClient.Connect(parsed);
            if (parsed.GetValue(policy) is not null && (parsed.GetValue(key) is not null || parsed.GetValue(ofKey)))
                throw CommandException.Usage("Name either a service policy or a key.");
            var answer = await LintAsync(
                service, document, parsed.GetValue(ofKey) || parsed.GetValue(key) is not null, parsed.GetValue(key) ?? parsed.GetValue(policy), cancellationToken);
            var findings = answer.Read(CliJson.Default.LintAnswer).Findings;
            await answer.ShowAsync(parsed, CliJson.Default.LintAnswer, lint => WriteFindings(lint.Findings), cancellationToken);
            return findings.Length == 0 ? ExitCode.Ok : ExitCode.NotValid;
        });
        return command;
    }

    private static string PathOf(ParseResult parsed) => (parsed.GetValue(Name), parsed.GetValue(Key)) switch
    {
        ({ } name, null) => ApiPath.Policy(name),
        (null, { } key) => $"{ApiPath.Key(key)}/policy",
        _ => throw CommandException.Usage("Name either a service policy, or a key with --key."),
    };

    private static string WithForce(ParseResult parsed) => ApiPath.WithQuery(PathOf(parsed), ("force", parsed.GetValue(Force) ? "true" : null));

    private static void WriteFindings(FindingAnswer[] findings)
    {
        if (findings.Length > 0)
            Tables.Write(["STATEMENT", "FINDING", "WHY"], findings.Select(f => (Cell[])[Cell.Of(f.Statement), Cell.Of(f.Kind), Cell.Of(f.Message)]));
    }

    private static void WriteList(PolicyList list) => Tables.Write(
        ["NAME", "STATEMENTS", "CHANGED", "BY"],
        list.Policies.Concat(list.BuiltIn).Select(p => (Cell[])
        [
            Cell.Of(p.Name ?? ""), Cell.Of($"{p.Document.GetProperty("statements").GetArrayLength()}"),
            p.ChangedAt is null ? Cell.Of("built in") : Cell.Of(p.ChangedAt), Cell.Of(p.ChangedBy ?? ""),
        ]));
}
