using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;
using SignSvc.Cli.Policies;

namespace SignSvc.Cli.Approvals;

internal sealed record ApprovalAnswer(
    string Id, string State, JsonElement Request, string Requester, int Required, int Given, DateTimeOffset CreatedAt, DateTimeOffset ExpiresAt,
    ApprovalVote[] Approvals, ApprovalVote? Rejection = null, ApprovalVote? BreakGlass = null);

internal sealed record ApprovalVote(string Principal, DateTimeOffset At, string? Reason = null);

internal sealed record ApprovalList(ApprovalAnswer[] Approvals, string? Next = null);

/// <summary><c>signsvc approvals</c>: what waits for the approval of others.</summary>
internal static class ApprovalCommands
{
    /// <summary>The service's own bound.</summary>
    private const int MostSecondsToWait = 60;

    private static readonly Argument<string> Id = Parameters.Required("id", "Of the approval.");

    public static Command Create() => new("approvals", "Approvals: requests that others have to agree to.")
    {
        CreateList(),
        CreateShow(),
        CreateDecision("approve", "Approves a request, as it is shown.", needsReason: false),
        CreateDecision("reject", "Ends a request for all.", needsReason: true),
        CreateDecision("break-glass", "In an emergency: lets a request through without approval, on record and in the log at its loudest.", needsReason: true),
        ApprovalRuleCommands.Create(),
    };

    private static Command CreateList()
    {
        var state = Parameters.OneOf("--state", "Only these.", "pending", "approved", "rejected", "used", "expired");
        var limit = Parameters.Number("--limit", "At most so many. Default: 100.");
        var after = Parameters.Text("--after", "id", "Goes on after this one.");
        var command = new Command("list", "Lists what waits, or waited, the newest first.") { state, limit, after };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var path = ApiPath.WithQuery(
                "/v1/approvals",
                ("state", parsed.GetValue(state)), ("limit", parsed.GetValue(limit)?.ToString(CultureInfo.InvariantCulture)), ("after", parsed.GetValue(after)));
            var answer = await service.GetAsync(path, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ApprovalList, WriteList, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateShow()
    {
        var wait = Parameters.Number("--wait", "Seconds, at most 60: until it is pending no more.");
        var command = new Command("show", "Shows the whole request that is to be approved.") { Id, wait };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed, waits: TimeSpan.FromSeconds(Math.Clamp(parsed.GetValue(wait) ?? 0, 0, MostSecondsToWait)));
            var path = ApiPath.WithQuery(ApiPath.Approval(parsed.GetRequiredValue(Id)), ("wait", parsed.GetValue(wait)?.ToString(CultureInfo.InvariantCulture)));
            var answer = await service.GetAsync(path, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ApprovalAnswer, Show, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateDecision(string name, string description, bool needsReason)
    {
        var reason = new Option<string?>("--reason") { HelpName = "text", Description = "For who asked, and for the audit.", Required = needsReason };
        var command = new Command(name, description) { Id, reason };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new JsonObject();
            if (parsed.GetValue(reason) is { } text)
                body["reason"] = text;
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PostAsync(
                $"{ApiPath.Approval(parsed.GetRequiredValue(Id))}/{name}", PolicyFile.Element(body), CliJson.Default.JsonElement, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.ApprovalAnswer, made => Write([made]), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Show(ApprovalAnswer approval)
    {
        Write([approval]);
        var details = approval.Request.EnumerateObject().Select(p => (p.Name, Value: p.Value.ToString()))
            .Concat(approval.Approvals.Select(v => (Name: "approved by", Value: Words(v))));
        if (approval.Rejection is { } rejection)
            details = details.Append(("rejected by", Words(rejection)));
        if (approval.BreakGlass is { } broken)
            details = details.Append(("glass broken by", Words(broken)));
        Tables.Write(["", ""], details.Select(d => (Cell[])[Cell.Of(d.Name), Cell.Of(d.Value)]));
    }

    private static string Words(ApprovalVote vote) => vote.Reason is null ? vote.Principal : $"{vote.Principal}: {vote.Reason}";

    private static void WriteList(ApprovalList list)
    {
        Write(list.Approvals);
        if (list.Next is not null)
            Remarks.Write($"There are more: --after {list.Next}");
    }

    private static void Write(ApprovalAnswer[] approvals) => Tables.Write(
        ["ID", "STATE", "GIVEN", "ACTION", "RESOURCE", "REQUESTER", "EXPIRES"],
        approvals.Select(a => (Cell[])
        [
            Cell.Of(a.Id), Cell.Of(a.State), Cell.Of($"{a.Given} of {a.Required}"), Cell.Of(a.Request.GetProperty("action").GetString() ?? ""),
            Cell.Of(a.Request.GetProperty("resource").GetString() ?? ""), Cell.Of(a.Requester), Cell.Of(a.ExpiresAt),
        ]));
}
