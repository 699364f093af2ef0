using System.CommandLine;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Cli.Policies;

namespace SignSvc.Cli.Approvals;

internal sealed record ApprovalRuleBody(string[] Resources, string[] Actions, int Required, string[] Approvers, int? ExpiresAfterSeconds);

internal sealed record ApprovalRuleAnswer(
    string Name, string[] Resources, string[] Actions, int Required, string[] Approvers, int ExpiresAfterSeconds, DateTimeOffset ChangedAt, string ChangedBy,
    FindingAnswer[]? Findings = null);

internal sealed record ApprovalRuleList(ApprovalRuleAnswer[] Rules);

/// <summary><c>signsvc approvals rules</c>: what has to wait for others.</summary>
internal static class ApprovalRuleCommands
{
    private static readonly Argument<string> Name = Parameters.Required("name", "Of the rule.");

    public static Command Create() => new("rules", "Rules: what needs approval, of whom, of how many. A rule guards itself.")
    {
        CreateList(),
        CreateShow(),
        CreatePut(),
        CreateDelete(),
    };

    private static Command CreateList()
    {
        var command = new Command("list", "Lists the rules.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/approval-rules", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ApprovalRuleList, list => Write(list.Rules), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateShow()
    {
        var command = new Command("show", "Shows a rule.") { Name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync(ApiPath.ApprovalRule(parsed.GetRequiredValue(Name)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ApprovalRuleAnswer, rule => Write([rule]), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreatePut()
    {
        var resources = Parameters.Many("--resource", "pattern", "What it is about: key/release, key/prod-*, policy/*, *.");
        var actions = Parameters.Many("--action", "pattern", "What needs approval: keys:Sign, keys:ScheduleDeletion, policies:*, credentials:*, ….");
        var approvers = Parameters.Many("--approver", "pattern", "Whose approval counts: oidc:corp:*, credential:alice. They need approvals:Decide, too.");
        var required = new Option<int>("--required") { HelpName = "n", Description = "How many people.", Required = true };
        var expires = Parameters.Text("--expires-after", "time", "From the request until its use: 10m, 8h; at most a day. Default: 1h.");
        var force = new Option<bool>("--force") { Description = "Also where there are too few credentials that could approve." };
        var command = new Command("put", "Makes a rule, or replaces it whole.") { Name, resources, actions, required, approvers, expires, force };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new ApprovalRuleBody(
                parsed.GetRequiredValue(resources), parsed.GetRequiredValue(actions), parsed.GetValue(required), parsed.GetRequiredValue(approvers),
                Durations.Seconds("--expires-after", parsed.GetValue(expires)));
            using var service = ServiceClient.Connect(parsed);
            var path = ApiPath.WithQuery(ApiPath.ApprovalRule(parsed.GetRequiredValue(Name)), ("force", parsed.GetValue(force) ? "true" : null));
            var answer = await service.PutAsync(path, body, CliJson.Default.ApprovalRuleBody, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ApprovalRuleAnswer, WritePut, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void WritePut(ApprovalRuleAnswer rule)
    {
        Write([rule]);
        foreach (var finding in rule.Findings ?? [])
            Remarks.Write($"{finding.Kind}: {finding.Message}");
    }

    private static Command CreateDelete()
    {
        var command = new Command("delete", "Ends a rule; it needs what it asks for.") { Name };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            await service.DeleteAsync(ApiPath.ApprovalRule(parsed.GetRequiredValue(Name)), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Write(ApprovalRuleAnswer[] rules) => Tables.Write(
        ["NAME", "ACTIONS", "RESOURCES", "REQUIRED", "APPROVERS", "EXPIRES AFTER"],
        rules.Select(r => (Cell[])
        [
            Cell.Of(r.Name), Cell.Of(string.Join(' ', r.Actions)), Cell.Of(string.Join(' ', r.Resources)), Cell.Of($"{r.Required}"),
            Cell.Of(string.Join(' ', r.Approvers)), Cell.Of($"{r.ExpiresAfterSeconds} s"),
        ]));
}
