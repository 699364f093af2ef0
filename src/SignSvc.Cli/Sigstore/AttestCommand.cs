using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using SignSvc.Cli.Http;
using SignSvc.Cli.Signing;
using SignSvc.Signing.Artifacts;
using SignSvc.Signing.Keys;

namespace SignSvc.Cli.Sigstore;

/// <summary><c>signsvc attest</c>: an in-toto statement of files and containers, signed once, in a Sigstore bundle.</summary>
internal static class AttestCommand
{
    private const int MaxPredicateBytes = 8 * 1024 * 1024;

    private static readonly Argument<string[]> Files = new("files")
    {
        Description = "The artifacts: files that are hashed here.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private static readonly Option<string[]> Subjects = Parameters.Many("--subject", "name@sha256:hex", "An artifact that is not a file here, such as a container.");
    private static readonly Option<string> Predicate = new("--predicate") { HelpName = "file", Required = true, Description = "What is said of them: a JSON object." };
    private static readonly Option<string> Type = new("--type")
    {
        HelpName = "type",
        Description = "What kind of predicate: slsaprovenance1, spdxjson, cyclonedx, openvex, vuln, link, custom, or a URI.",
        DefaultValueFactory = _ => "custom",
    };

    private static readonly Option<string> Key = Parameters.KeyOption();

    public static Command Create()
    {
        var command = new Command("attest", $"Signs an in-toto statement about up to {InTotoStatement.MaxSubjects} artifacts and writes a Sigstore bundle.")
        {
            Files, Subjects, Predicate, Type, Key, ArtifactDigest.Algorithm, BundleOutput.BundleFile, BundleOutput.SignatureFile,
        };
        ContextOptions.AddSourceTo(command);
        command.SetAction(RunAsync);
        return command;
    }

    private static async Task<int> RunAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var key = parsed.GetRequiredValue(Key);
        var subjects = await ReadSubjectsAsync(parsed, cancellationToken);
        var type = PredicateTypes.Expand(parsed.GetRequiredValue(Type));
        var predicate = await ReadPredicateAsync(parsed.GetRequiredValue(Predicate), cancellationToken);
        using var output = BundleOutput.Open(parsed);
        using var service = ServiceClient.Connect(parsed);
        var algorithm = await ArtifactDigest.ChooseAsync(parsed.GetValue(ArtifactDigest.Algorithm), key, service, cancellationToken);
        var body = new BundleBody(
            algorithm.Name, ContextOptions.SourceOf(parsed), Statement: new StatementBody(subjects, type, predicate));
        var what = subjects is [var only] ? $"a statement on {only.Name}" : $"a statement on {subjects.Length} artifacts";
        return await output.SignAsync(parsed, service, key, body, what, cancellationToken);
    }

    private static async Task<ImmutableArray<Subject>> ReadSubjectsAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        var subjects = ImmutableArray.CreateBuilder<Subject>();
        foreach (var path in parsed.GetValue(Files) ?? [])
        {
            await using var file = InputFile.Open(path);
            subjects.Add(Subject.Of(ContextOptions.NameOf(path), await ArtifactDigest.ComputeAsync(file, SigningAlgorithm.ES256, cancellationToken)));
        }

        foreach (var text in parsed.GetValue(Subjects) ?? [])
            subjects.Add(ParseSubject(text));
        return subjects.Count is > 0 and <= InTotoStatement.MaxSubjects
            ? subjects.ToImmutable()
            : throw CommandException.Usage($"Name from 1 to {InTotoStatement.MaxSubjects} artifacts: files, or --subject name@sha256:hex.");
    }

    private static Subject ParseSubject(string text)
    {
        const string separator = "@sha256:";
        var at = text.LastIndexOf(separator, StringComparison.Ordinal);
        var hex = at > 0 ? text[(at + separator.Length)..] : "";
        return hex.Length == 64 && hex.All(char.IsAsciiHexDigitLower)
            ? Subject.Of(text[..at], Convert.FromHexString(hex))
            : throw CommandException.Usage($"--subject takes name@sha256: and 64 lower-case hex digits, not '{text}'.");
    }

    private static async Task<JsonElement> ReadPredicateAsync(string path, CancellationToken cancellationToken)
    {
        var bytes = await InputFile.ReadAsync(path, MaxPredicateBytes, cancellationToken);
        try
        {
            return JsonElement.Parse(bytes, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            throw CommandException.Usage($"{InputFile.NameOf(path)} is no JSON: {e.Message}", inner: e);
        }
    }
}
