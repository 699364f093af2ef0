using System.CommandLine;
using System.Globalization;
using SignSvc.Cli.Http;
using SignSvc.Cli.Keys.Import;
using SignSvc.Cli.Output;

namespace SignSvc.Cli.Keys;

/// <summary><c>signsvc keys</c>.</summary>
internal static class KeyCommands
{
    private static readonly Argument<string> Key = Parameters.Required("key", "Name or id.");

    public static Command Create()
    {
        var command = new Command("keys", "Keys that sign.") { CreateCreate(), CreateList(), CreateShow(), PublicKeyCommand.Create(), KeyUpdateCommand.Create() };
        foreach (var further in KeyLifecycleCommands.Create().Concat(ImportCommands.Create()).Concat(KeyTimelineCommands.Create()))
            command.Add(further);
        return command;
    }

    private static Command CreateCreate()
    {
        var name = Parameters.Required("name", "Lower-case letters, digits, '.', '_' and '-'; at most 63.");
        var purpose = new Option<string>("--purpose") { HelpName = "artifacts|tokens", DefaultValueFactory = _ => "artifacts", Description = "What it signs." };
        purpose.AcceptOnlyFromAmong("artifacts", "tokens");
        var spec = new Option<string>("--spec") { HelpName = "spec", DefaultValueFactory = _ => "ECC_NIST_P256", Description = "ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, RSA_2048, RSA_3072 or RSA_4096." };
        spec.CompletionSources.Add("ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521", "RSA_2048", "RSA_3072", "RSA_4096");
        var tier = Parameters.OneOf("--tier", "Default: assured for artifacts, volume for tokens.", "assured", "volume");
        var backend = Parameters.Text("--backend", "backend", "Where the private key lives. Default: software.");
        var algorithms = Parameters.Many("--algorithm", "name", "What it signs with, such as ES256 or RS256. Default: the spec's first.");
        var description = Parameters.Text("--description", "text", "For people.");
        var owner = Parameters.Text("--owner", "text", "Who answers for it.");
        var tags = Parameters.Many("--tag", "name=value", "A tag.");

        var protection = new Option<bool>("--deletion-protection") { Description = "Refuses to be deleted until that is taken back." };
        var adopt = Parameters.Text("--adopt", "name", "Takes a key into use that exists in the backend, by its name there: a PKCS#11 label or id:<hex>, an ARN or KMS alias.");
        var origin = Parameters.OneOf("--origin", "imported: it has no version, and signs nothing, until its material is imported. Default: generated.", "generated", "imported");
        var aliases = Parameters.Many("--alias", "alias", "A further name, not taken yet: names joined by slashes.");
        var disabled = new Option<bool>("--disabled") { Description = "It signs nothing until it is enabled." };
        var multiRegion = new Option<bool?>("--multi-region") { HelpName = "true|false", Description = "AWS KMS: a multi-Region key. Default: where the backend has replica Regions." };
        var rotation = new RotationOptions();

        var command = new Command("create", "Makes a key.")
        {
            name, purpose, spec, tier, backend, algorithms, description, owner, tags, protection, adopt, origin, aliases, disabled, multiRegion,
        };
        rotation.AddTo(command);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var body = new NewKeyBody(
                parsed.GetRequiredValue(name), parsed.GetRequiredValue(purpose), parsed.GetRequiredValue(spec), parsed.GetValue(tier),
                parsed.GetValue(backend), parsed.GetValue(algorithms) is { Length: > 0 } names ? names : null,
                parsed.GetValue(description), parsed.GetValue(owner), ParseTags(parsed.GetValue(tags)),
                rotation.Read(parsed)?.ForNewKey(), parsed.GetValue(protection) ? true : null, parsed.GetValue(adopt), parsed.GetValue(origin),
                parsed.GetValue(multiRegion), parsed.GetValue(disabled) ? false : null, parsed.GetValue(aliases) is { Length: > 0 } further ? further : null);
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.PostAsync("/v1/keys", body, CliJson.Default.NewKeyBody, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateList()
    {
        var purpose = Parameters.OneOf("--purpose", "Only these.", "artifacts", "tokens");
        var tier = Parameters.OneOf("--tier", "Only these.", "assured", "volume");
        var state = Parameters.OneOf("--state", "Only these.", "enabled", "disabled", "pendingDeletion", "deleted");
        var prefix = Parameters.Text("--prefix", "text", "Only names that begin so.");
        var tag = Parameters.Text("--tag", "name[=value]", "Only keys with this tag.");
        var limit = Parameters.Number("--limit", "At most so many.");
        var after = Parameters.Text("--after", "name", "Goes on after this one.");

        var command = new Command("list", "Lists keys.") { purpose, tier, state, prefix, tag, limit, after };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var path = ApiPath.WithQuery(
                "/v1/keys",
                ("purpose", parsed.GetValue(purpose)), ("tier", parsed.GetValue(tier)), ("state", parsed.GetValue(state)),
                ("prefix", parsed.GetValue(prefix)), ("tag", parsed.GetValue(tag)),
                ("limit", parsed.GetValue(limit)?.ToString(CultureInfo.InvariantCulture)), ("after", parsed.GetValue(after)));
            var answer = await service.GetAsync(path, cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyList, WriteList, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    private static Command CreateShow()
    {
        var command = new Command("show", "Shows one key and its versions.") { Key };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var service = ServiceClient.Connect(parsed);
            var answer = await service.GetAsync(ApiPath.Key(parsed.GetRequiredValue(Key)), cancellationToken);
            await answer.ShowAsync(parsed, CliJson.Default.KeyAnswer, WriteOne, cancellationToken);
            return ExitCode.Ok;
        });
        return command;
    }

    public static Dictionary<string, string>? ParseTags(string[]? texts)
    {
        if (texts is null or [])
            return null;
        var tags = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in texts.Select(t => Parameters.Pair("--tag", t)))
        {
            if (!tags.TryAdd(name, value))
                throw CommandException.Usage($"The tag {name} is given twice.");
        }

        return tags;
    }

    private static void WriteList(KeyList list)
    {
        Tables.Write(
            ["NAME", "STATE", "PURPOSE", "SPEC", "ALGORITHM", "TIER", "PROTECTION", "VERSION", "KID"],
            list.Keys.Select(key => (Cell[])
            [
                Cell.Of(key.Name), Cell.Of(key.State), Cell.Of(key.Purpose), Cell.Of(key.Spec), Cell.Of(string.Join(',', key.Algorithms)),
                Cell.Of(key.Tier), Cell.OfProtection(key.Protection), VersionOf(key), Cell.OfKid(key.Current?.Kid),
            ]));
        if (list.Keys.Any(k => Cell.OfProtection(k.Protection).Stands))
            Remarks.Write(Tables.SoftwareRemark);
        if (list.Next is not null)
            Remarks.Write($"There are more: --after {list.Next}");
    }

    private static Cell VersionOf(KeyAnswer key) => Cell.Of(key.Current?.Version.ToString(CultureInfo.InvariantCulture));

    public static void WriteOne(KeyAnswer key)
    {
        Tables.WriteFacts(
            ("name", Cell.Of(key.Name)),
            ("id", Cell.Of(key.Id)),
            ("state", Cell.Of(key.State)),
            ("purpose", Cell.Of(key.Purpose)),
            ("spec", Cell.Of(key.Spec)),
            ("algorithm", Cell.Of(string.Join(", ", key.Algorithms))),
            ("tier", Cell.Of(key.Tier)),
            ("backend", Cell.Of(key.Backend)),
            ("protection", Cell.OfProtection(key.Protection)),
            ("origin", Cell.Of(key.Origin)),
            ("owner", Cell.Of(key.Owner)),
            ("description", Cell.Of(key.Description)),
            ("tags", Cell.Of(string.Join(", ", (key.Tags ?? []).Select(t => $"{t.Key}={t.Value}")))),
            ("aliases", Cell.Of(string.Join(", ", key.Aliases ?? []))),
            ("rotation", Cell.Of(key.Rotation?.ToString())),
            ("floors", FloorsOf(key)),
            ("deletion", DeletionOf(key)),
            ("created", Cell.Of(key.CreatedAt)));
        Console.Out.WriteLine();
        Tables.Write(
            ["VERSION", "STATE", "AT BACKEND", "PROTECTION", "ORIGIN", "CREATED", "SIGNS FROM", "SIGNS UNTIL", "KID"],
            key.Versions.Select(v => (Cell[])
            [
                Cell.Of(v.Version.ToString(CultureInfo.InvariantCulture)), Cell.Of(v.State), BackendStateOf(v), Cell.OfProtection(v.Protection), Cell.Of(v.Origin),
                Cell.Of(v.CreatedAt), Cell.Of(v.SignsFrom), Cell.Of(v.SignsUntil), Cell.Of(v.Kid),
            ]));
        foreach (var warning in key.Warnings ?? [])
            Remarks.Warn(warning);
    }

    private static Cell BackendStateOf(VersionAnswer v) => new(v.BackendState ?? "-", Stands: v.BackendState is not (null or "enabled"));

    /// <summary>Only where there are any.</summary>
    private static Cell FloorsOf(KeyAnswer key) => key is { MinSigningVersion: <= 1, MinVerificationVersion: <= 1 }
        ? Cell.Of((string?)null)
        : Cell.Of(string.Create(CultureInfo.InvariantCulture, $"signs from version {key.MinSigningVersion}, verifies from version {key.MinVerificationVersion}"));

    private static Cell DeletionOf(KeyAnswer key) => key switch
    {
        { DeletesAt: not null } => new($"at {Cell.Of(key.DeletesAt).Text}", Stands: true),
        { DeletionProtection: true } => Cell.Of("protected"),
        _ => Cell.Of((string?)null),
    };
}
