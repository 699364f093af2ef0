using System.CommandLine;
using System.Text;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Keys;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Declared;

/// <summary>The shape that the operator gives its resources: what <c>kubectl get</c> would show.</summary>
internal sealed record StatusReport(string ApiVersion, string Kind, IReadOnlyList<StatusItem> Items);

internal sealed record StatusItem(string ApiVersion, string Kind, StatusMetadata Metadata, KeyStatus Status);

internal sealed record StatusMetadata(string Name, string? Namespace);

/// <param name="KeyState">AWS KMS's words: Enabled, Disabled, PendingDeletion; null: there is no such key.</param>
/// <param name="LastRotationDate">When its newest version but the first began to sign.</param>
/// <param name="Ready">There is such a key, it is enabled, and a version signs.</param>
/// <param name="LastSyncTime">When the service was asked.</param>
internal sealed record KeyStatus(
    bool Ready, string? KeyId, string? KeyState, string? CreationDate, string? LastRotationDate, bool RotationEnabled, string LastSyncTime)
{
    public static KeyStatus Of(KeyAnswer? key, DateTimeOffset now)
    {
        var rotated = key?.Versions.Where(v => v.Version > 1 && v.SignsFrom <= now && v.State is not "announced").Max(v => v.SignsFrom);
        return new KeyStatus(
            key?.Active is not null && key.Is("enabled"), key?.Id, StateOf(key), key is null ? null : Durations.Rfc3339(key.CreatedAt),
            rotated is { } at ? Durations.Rfc3339(at) : null, key?.Rotation?.PeriodSeconds is not null, Durations.Rfc3339(now));
    }

    private static string? StateOf(KeyAnswer? key) =>
        key is null ? null : string.Concat(char.ToUpperInvariant(key.State[0]).ToString(), key.State.AsSpan(1));
}

/// <summary><c>signsvc status</c>: the declared keys as they are.</summary>
internal static class StatusCommand
{
    public const string Name = "status";

    public static Command Create(TimeProvider time)
    {
        var command = new Command(Name, "Shows the state of declared keys, in the shape of their manifests.") { ManifestFiles.Paths, ManifestFiles.Ignored };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var declared = await ManifestFiles.ReadAsync(parsed, cancellationToken);
            using var service = ServiceClient.Connect(parsed);
            var items = new List<StatusItem>(declared.Count);
            foreach (var key in declared)
            {
                var live = await Planner.FindAsync(service, key.Name, cancellationToken);
                var named = string.Equals(live?.Name, key.Name, StringComparison.Ordinal) ? live : null;
                items.Add(new StatusItem(key.ApiVersion, key.Kind, new StatusMetadata(key.Name, key.Namespace), KeyStatus.Of(named, time.GetUtcNow())));
            }

            await WriteAsync(parsed, new StatusReport("v1", "List", items), cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task WriteAsync(ParseResult parsed, StatusReport report, CancellationToken cancellationToken)
    {
        if (parsed.WantsJson())
            await StandardOutput.WriteLineAsync(JsonSerializer.SerializeToUtf8Bytes(report, CliJson.Default.StatusReport), cancellationToken);
        else if (parsed.WantsYaml())
            Console.Out.Write(string.Join("---\n", report.Items.Select(Yaml)));
        else
            WriteTable(report);
    }

    private static void WriteTable(StatusReport report) => Tables.Write(
        ["NAME", "READY", "STATE", "KEY ID", "CREATED", "LAST ROTATION", "ROTATES"],
        report.Items.Select(i => (Cell[])
        [
            Cell.Of(i.Metadata.Name), new Cell(i.Status.Ready ? "true" : "false", Stands: !i.Status.Ready), Cell.Of(i.Status.KeyState),
            Cell.Of(i.Status.KeyId), Cell.Of(i.Status.CreationDate), Cell.Of(i.Status.LastRotationDate), Cell.Of(i.Status.RotationEnabled ? "true" : "false"),
        ]));

    private static string Yaml(StatusItem item)
    {
        var text = new StringBuilder();
        text.Append($"apiVersion: {item.ApiVersion}\nkind: {item.Kind}\nmetadata:\n");
        Member("name", item.Metadata.Name);
        Member("namespace", item.Metadata.Namespace);
        text.Append("status:\n");
        text.Append($"  ready: {Flag(item.Status.Ready)}\n");
        Member("keyId", item.Status.KeyId);
        Member("keyState", item.Status.KeyState);
        Member("creationDate", item.Status.CreationDate);
        Member("lastRotationDate", item.Status.LastRotationDate);
        text.Append($"  rotationEnabled: {Flag(item.Status.RotationEnabled)}\n");
        Member("lastSyncTime", item.Status.LastSyncTime);
        return text.ToString();

        void Member(string name, string? value)
        {
            // A text of JSON is one of YAML, whatever it holds.
            if (value is not null)
                text.Append($"  {name}: {JsonSerializer.Serialize(value, CliJson.Default.String)}\n");
        }

        static string Flag(bool value) => value ? "true" : "false";
    }
}
