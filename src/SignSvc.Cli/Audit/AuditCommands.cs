using System.Buffers.Text;
using System.CommandLine;
using System.Globalization;
using SignSvc.Cli.Http;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Audit;

/// <summary>The members that a list shows; <c>--output json</c> has all.</summary>
internal sealed record AuditRecord(
    string? AuditId, DateTimeOffset At, string Caller, string Action, string Outcome, string? Fault, string? Detail,
    string? Resource, string? KeyName, int? Version);

internal sealed record AuditPage(AuditRecord[] Records, string? Next);

internal sealed record AuditChain(string Node, long Records, string Seal, string? Fault);

internal sealed record AuditCheckAnswer(bool Intact, AuditChain[] Chains);

/// <summary><c>signsvc audit</c>: who did what, and the proof that the record of it is whole.</summary>
internal static class AuditCommands
{
    public static Command Create(TimeProvider time) => new("audit", "Who did what.") { CreateSearch(time), CreateCheck() };

    private static Command CreateSearch(TimeProvider time)
    {
        var from = Parameters.Text("--from", "time", "Not before: 2030-01-31T12:00:00Z, or how long ago: 15m, 2h, 7d.");
        var to = Parameters.Text("--to", "time", "Not after.");
        var caller = Parameters.Text("--caller", "caller", "Such as credential:ci.");
        var key = Parameters.Text("--key", "key", "Name or id.");
        var action = Parameters.Text("--action", "action", "Such as keys:Sign or tokens:Issue.");
        var outcome = Parameters.OneOf("--outcome", "How it ended.", "allowed", "denied", "failed");
        var digest = Parameters.Text("--digest", "digest", "What was signed: base64, or sha256:<hex>, sha384:<hex>, sha512:<hex>.");
        var auditId = Parameters.Text("--audit-id", "id", "One record.");
        var limit = Parameters.Number("--limit", "At most so many; with --all, so many at a time. Default: 100, with --all 500.");
        var after = Parameters.Text("--after", "cursor", "Goes on where the page before ended.");
        var all = new Option<bool>("--all") { Description = "Everything that is found, to the oldest record." };

        var command = new Command("search", "Finds audit records, newest first.") { from, to, caller, key, action, outcome, digest, auditId, limit, after, all };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var isWhole = parsed.GetValue(all);
            var size = parsed.GetValue(limit) ?? (isWhole ? WholeSearch.DefaultPage : null);
            (string, string?)[] found =
            [
                ("from", Time("--from", parsed.GetValue(from))), ("to", Time("--to", parsed.GetValue(to))),
                ("caller", parsed.GetValue(caller)), ("key", parsed.GetValue(key)), ("action", parsed.GetValue(action)),
                ("outcome", parsed.GetValue(outcome)), ("digest", ParseDigest(parsed.GetValue(digest))), ("auditId", parsed.GetValue(auditId)),
                ("limit", size?.ToString(CultureInfo.InvariantCulture)),
            ];
            using var service = ServiceClient.Connect(parsed);
            if (isWhole)
            {
                await WholeSearch.ShowAsync(service, PathAfter, parsed.GetValue(after), parsed, WritePage, cancellationToken);
                return ExitCode.Ok;
            }

            var answer = await service.GetAsync(PathAfter(parsed.GetValue(after)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.AuditPage, WritePage, cancellationToken);
            return ExitCode.Ok;

            string PathAfter(string? cursor) => ApiPath.WithQuery("/v1/audit", [.. found, ("after", cursor)]);
        });
        return command;

        string? Time(string option, string? text) =>
            text is null ? null : Durations.Rfc3339(Durations.ParseTime(option, text, time, ahead: false));
    }

    private static Command CreateCheck()
    {
        var command = new Command("check", "Proves that no audit record was edited, dropped or reordered; a long audit may need --timeout.");
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync("/v1/audit/check", cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.AuditCheckAnswer, WriteCheck, cancellationToken);
            return answer.Read(CliJson.Default.AuditCheckAnswer).Intact ? ExitCode.Ok : ExitCode.NotValid;
        });
        return command;
    }

    /// <summary>The service knows digests as base64; tools such as sha256sum print hex.</summary>
    private static string? ParseDigest(string? text)
    {
        if (text is null)
            return null;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
            return Base64.IsValid(text) ? text : throw Wrong();
        var length = text[..colon] switch { "sha256" => 32, "sha384" => 48, "sha512" => 64, _ => throw Wrong() };
        var hex = text.AsSpan(colon + 1);
        var digest = new byte[length];
        return hex.Length == 2 * length && Convert.FromHexString(hex, digest, out _, out _) == System.Buffers.OperationStatus.Done
            ? Convert.ToBase64String(digest)
            : throw Wrong();

        static CommandException Wrong() => CommandException.Usage("--digest takes base64, or sha256:<hex>, sha384:<hex>, sha512:<hex>.");
    }

    private static void WritePage(AuditPage page)
    {
        Tables.Write(
            ["AT", "CALLER", "ACTION", "OUTCOME", "ON", "AUDIT ID", "DETAIL"],
            page.Records.Select(r => (Cell[])
            [
                Cell.Of(r.At), Cell.Of(r.Caller), Cell.Of(r.Action),
                new Cell(r.Outcome, Stands: !string.Equals(r.Outcome, "allowed", StringComparison.Ordinal)),
                Cell.Of(r.KeyName is null ? r.Resource : r.Version is null ? r.KeyName : $"{r.KeyName} v{r.Version}"),
                Cell.Of(r.AuditId), Cell.Of(r.Fault is null ? r.Detail : $"{r.Fault}: {r.Detail}"),
            ]));
        if (page.Next is not null)
            Remarks.Write($"There are more: --after {page.Next}");
    }

    private static void WriteCheck(AuditCheckAnswer check)
    {
        Tables.Write(
            ["NODE", "RECORDS", "RESULT", "SEAL"],
            check.Chains.Select(c => (Cell[])
            [
                Cell.Of(c.Node), Cell.Of(c.Records.ToString(CultureInfo.InvariantCulture)),
                new Cell(c.Fault ?? "intact", Stands: c.Fault is not null), Cell.Of(c.Seal),
            ]));
        if (!check.Intact)
            Remarks.Write("signsvc: The audit is not as it was written.");
    }
}
